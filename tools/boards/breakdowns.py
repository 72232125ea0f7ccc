"""Tables of one label, and links that narrow the engagement board down to one of its values."""

from collections.abc import Sequence

from tools.boards.panels import GREEN, ORANGE, RED, YELLOW, Json, Steps, override, table, thresholds
from tools.boards.selectors import change, counts, ratio

CHANGE: Steps = ((-1, RED), (-0.4, ORANGE), (-0.25, YELLOW), (-0.1, GREEN))
"""Of a rate against last week. The lowest change has a number: not every Grafana reads null as less than -0.1."""


def narrowing(label: str) -> Json:
    """Return a link that shows this board for one value of a variable, all else kept."""
    kept = "&".join(
        f"${{{name}:queryparam}}" for name in ("datasource", "job", "instance", "target", "query", "window")
    )
    return {
        "title": "Show ${__value.text} alone",
        "url": f"/d/directmail-engagement?${{__url_time_range}}&{kept}&var-{label}=${{__value.raw}}",
    }


def breakdown(title: str, description: str, label: str, name: str, level: str, links: Sequence[Json] = ()) -> Json:
    """Return the table of one label: volume, rates, and the change against last week."""
    opened, before = (ratio("unique_opens", "emails", level, label, ago=ago) for ago in ("", "1w"))
    columns = {
        "Emails": counts("emails", level, label),
        "Unique open rate": opened,
        "Open rate vs last week": change(opened, before),
        "Unique click rate": ratio("unique_clicks", "emails", level, label),
        "Click-to-open rate": ratio("unique_clicks", "unique_opens", level, label),
        "Opens per opener": ratio("opens", "unique_opens", level, label),
    }
    changed = {"thresholds": thresholds(CHANGE), "custom__cellOptions": {"type": "color-text"}}
    return table(
        *(title, description, columns),
        overrides=[
            override(label, displayName=name, custom__minWidth=240, **({"links": list(links)} if links else {})),
            override("Emails", unit="short"),
            *(
                override(column, unit="percentunit", decimals=1)
                for column in ("Unique open rate", "Unique click rate", "Click-to-open rate")
            ),
            override("Open rate vs last week", unit="percentunit", decimals=1, custom__minWidth=170, **changed),
            override("Opens per opener", unit="none", decimals=2),
        ],
    )
