"""Schemas of Kubernetes' resources; by hand those of the Prometheus operator and the Gateway API.

The operator's own definitions (v1 of monitoring.coreos.com) and those of the Gateway API (its v1) were the source.
Every field here is written as there; a field that no manifest uses is not allowed.
"""

from typing import Any

import jsonschema
import kubernetes_validate

from tools.manifests import FIRST_KUBERNETES

VERSIONS = (FIRST_KUBERNETES, "1.34")
"""The first that has every field, and a recent one."""
DURATION = {"type": "string", "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$", "minLength": 1}
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _resource(kind: str, spec: dict[str, Any], version: str = "monitoring.coreos.com/v1") -> dict[str, Any]:
    return closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": version},
        kind={"const": kind},
        metadata=closed(["name"], name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS),
        spec=spec,
    )


_RULE = closed(
    ["expr"],
    alert=TEXT,
    record=TEXT,
    expr=TEXT,
    keep_firing_for=DURATION,
    labels=TEXTS,
    annotations=TEXTS,
    **{"for": DURATION},
)
_GROUP = closed(
    ["name"], name=TEXT, interval=DURATION, limit={"type": "integer"}, rules={"type": "array", "items": _RULE}
)
_KEY = closed(["key"], key=TEXT, name=TEXT, optional={"type": "boolean"})
_RELABELING = closed(
    [],
    action=TEXT,
    regex=TEXT,
    replacement={"type": "string"},
    separator={"type": "string"},
    sourceLabels={"type": "array", "items": TEXT},
    targetLabel=TEXT,
    modulus={"type": "integer"},
)
_ENDPOINT = closed(
    [],
    port=TEXT,
    path=TEXT,
    interval=DURATION,
    scrapeTimeout=DURATION,
    scheme={"enum": ["http", "https", "HTTP", "HTTPS"]},
    tlsConfig=closed(
        [],
        ca=closed([], secret=_KEY, configMap=_KEY),
        cert=closed([], secret=_KEY, configMap=_KEY),
        keySecret=_KEY,
        serverName=TEXT,
        insecureSkipVerify={"type": "boolean"},
    ),
    basicAuth=closed([], username=_KEY, password=_KEY),
    relabelings={"type": "array", "items": _RELABELING},
    metricRelabelings={"type": "array", "items": _RELABELING},
)
_MONITOR = {
    "jobLabel": TEXT,
    "selector": closed([], matchLabels=TEXTS),
    "namespaceSelector": closed([], matchNames={"type": "array", "items": TEXT}),
}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_ROUTE_RULE = closed(
    [],
    matches={
        "type": "array",
        "items": closed([], path=closed([], type={"enum": ["Exact", "PathPrefix"]}, value=TEXT)),
    },
    filters={
        "type": "array",
        "items": closed(
            ["type"],
            type={"const": "RequestRedirect"},
            requestRedirect=closed([], scheme={"enum": ["http", "https"]}, statusCode={"enum": [301, 302]}),
        ),
    },
    backendRefs={"type": "array", "items": closed(["name"], name=TEXT, port=_PORT)},
)

SCHEMAS = {
    "PrometheusRule": _resource("PrometheusRule", closed([], groups={"type": "array", "items": _GROUP})),
    "PodMonitor": _resource(
        "PodMonitor", closed(["selector"], **_MONITOR, podMetricsEndpoints={"type": "array", "items": _ENDPOINT})
    ),
    "ServiceMonitor": _resource(
        "ServiceMonitor",
        closed(["selector", "endpoints"], **_MONITOR, endpoints={"type": "array", "items": _ENDPOINT}),
    ),
    "HTTPRoute": _resource(
        "HTTPRoute",
        closed(
            [],
            parentRefs={"type": "array", "items": closed(["name"], name=TEXT, namespace=TEXT, sectionName=TEXT)},
            hostnames={"type": "array", "items": TEXT},
            rules={"type": "array", "items": _ROUTE_RULE},
        ),
        "gateway.networking.k8s.io/v1",
    ),
}


def validate(manifest: dict[str, Any], version: str) -> None:
    """Raise an error where a manifest does not fit its schema, or has a key that the schema does not know."""
    schema = SCHEMAS.get(manifest["kind"])
    if schema is not None:
        jsonschema.validate(manifest, schema)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)
