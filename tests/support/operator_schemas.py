"""Schemas of the Prometheus operator's resources, by hand: the fields that the manifests use, and no other allowed.

The operator's own definitions (v1 of monitoring.coreos.com) were the source; every field here is written as there.
"""

from typing import Any

DURATION = {"type": "string", "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$", "minLength": 1}
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": kind},
        metadata=_closed(["name"], name=TEXT, labels=TEXTS),
        spec=spec,
    )


_RULE = _closed(
    ["expr"],
    alert=TEXT,
    record=TEXT,
    expr=TEXT,
    keep_firing_for=DURATION,
    labels=TEXTS,
    annotations=TEXTS,
    **{"for": DURATION},
)
_GROUP = _closed(
    ["name"], name=TEXT, interval=DURATION, limit={"type": "integer"}, rules={"type": "array", "items": _RULE}
)
_ENDPOINT = _closed([], port=TEXT, path=TEXT, interval=DURATION, scrapeTimeout=DURATION)

SCHEMAS = {
    "PrometheusRule": _resource("PrometheusRule", _closed([], groups={"type": "array", "items": _GROUP})),
    "PodMonitor": _resource(
        "PodMonitor",
        _closed(
            ["selector"],
            jobLabel=TEXT,
            selector=_closed([], matchLabels=TEXTS),
            podMetricsEndpoints={"type": "array", "items": _ENDPOINT},
        ),
    ),
}
