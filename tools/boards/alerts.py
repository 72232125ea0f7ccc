"""The panels of our alerts: how many fire, and which."""

from collections.abc import Sequence

from tools.boards.panels import GREEN, ORANGE, RED, Json, Query, override, stat, states
from tools.boards.selectors import alerts as matching
from tools.boards.tables import COLOURED, listing

ALERT = {
    "alertstate": "State",
    "severity": "Severity",
    "alertname": "Alert",
    "account_name": "Sender",
    "esp": "Provider",
    "tag_name": "Tag",
    "target": "Target",
    "about": "About",
}
"""The labels of an alert that have a column; the others that say what it is about share one."""
_ABOUT = (
    "domain",
    "check",
    "dedicated_ip",
    "dedicated_ip_pool_id",
    "config_set_id",
    "state",
    "action",
    "threshold",
    "instance",
)


def firing(variables: Sequence[str]) -> Json:
    """Return the number of alerts that fire and follow variables."""
    return stat(
        "Firing alerts",
        "Firing alerts of the Direct Mail rules for the chosen values. 0 only if Prometheus evaluates the rules.",
        "short",
        [
            Query(
                f'count(ALERTS{{alertstate="firing", {matching(variables)}}}) or count(directmail:threshold) * 0',
                "firing",
            )
        ],
        ((None, GREEN), (1, RED)),
        text="value",
        nothing="no rules loaded",
    )


def listed(variables: Sequence[str]) -> Json:
    """Return the table of our alerts that fire or are about to, without the prefix that all of their names have."""
    named = f"ALERTS{{{matching(variables)}}}"
    named = f'label_replace({named}, "alertname", "$1", "alertname", "DirectMail(.*)")'
    named = "label_join({}, {})".format(named, ", ".join(f'"{each}"' for each in ("about", " ", *_ABOUT)))
    shades = states({"firing": ("firing", RED), "pending": ("pending", ORANGE)})
    return listing(
        "Firing and pending alerts",
        "Alerts of the Direct Mail rules for the chosen values; an alert without a sender concerns all of them. "
        "The prefix DirectMail is omitted.",
        [Query(f"max by ({', '.join(ALERT)}) ({named})", instant=True, format="table")],
        [
            override("State", mappings=shades, custom__width=80, **COLOURED),
            override("Severity", custom__width=80),
            override("Alert", custom__minWidth=150),
            override("Sender", custom__minWidth=210),
            override("Provider", custom__minWidth=90),
        ],
        [
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True, "Value": True, "Value #A": True},
                    "indexByName": {label: at for at, label in enumerate(ALERT)},
                    "renameByName": ALERT,
                },
            }
        ],
        by="State",
        descending=False,
        absent="",
        nothing="no alerts",
    )
