"""The expressions of the boards: which series are requested, and sums and ratios of them.

Series of different queries overlap. Every selector of data says of all seven filters what they are; a combination
occurs once in a target, so nothing counts twice. A metric is named without `directmail_`, and a counter like the
gauge beside it: `track_opens` is `directmail_track_opens` or `directmail_track_observed_opens_total`.
"""

from collections.abc import Iterable

JI = 'job=~"$job", instance=~"$instance"'
SCOPE = f'{JI}, target=~"$target"'
"""The first variables of both boards."""
DATA = f'{SCOPE}, query=~"$query"'

ROUTE = ("domain", "dedicated_ip", "dedicated_ip_pool_id", "config_set_id")
BEFORE = {"1h": "30m", "3h": "2h", "24h": "2h"}
"""How long before a span two samples show that all of it was seen. After a gap of that length it was not."""
UNROUTED = ", ".join(f'{label}=""' for label in ROUTE)
_NAMED = 'account_name=~"$account_name", account_name!=""'
_OF_PROVIDER = f'{_NAMED}, tag_name="", esp=~"$esp", esp!="", {UNROUTED}'
SENDER = f'{DATA}, {_NAMED}, tag_name="", esp="", {UNROUTED}'
TAG = f'{DATA}, {_NAMED}, tag_name=~"$tag_name", tag_name!="", esp="", {UNROUTED}'
PROVIDER = f"{DATA}, {_OF_PROVIDER}"
EVERY_PROVIDER = PROVIDER.replace('esp=~"$esp", ', "")
WITHOUT_ICLOUD = PROVIDER.replace('esp!=""', 'esp!="", esp!="icloud.com"')
RECORDED_TARGET = 'job=~"$job", target=~"$target"'
RECORDED_PROVIDER = f"{RECORDED_TARGET}, {_OF_PROVIDER}"
"""What recording rules made has neither `instance` nor `query`."""


def routed(label: str) -> str:
    """Return the matchers for whatever was sent through one of ROUTE, regardless of the sender."""
    pinned = ", ".join(f'{other}{"!=" if other == label else "="}""' for other in ROUTE)
    chosen = f'{label}=~"${label}", ' if label == "domain" else ""
    return f'{DATA}, account_name="", tag_name="", esp="", {chosen}{pinned}'


def alerts(variables: Iterable[str]) -> str:
    """Return the matchers for our alerts that follow variables: an alert without the label concerns every value."""
    followed = "".join(f', {name}=~"${name}|"' for name in variables)
    return f'alertname=~"DirectMail.*"{followed}'


def counts(metric: str, level: str, by: str = "", window: str = "$window", ago: str = "") -> str:
    """Return the sum of a count in a window, by a label, as it was some time `ago`."""
    offset = f" offset {ago}" if ago else ""
    return f'{_sum(by)}(directmail_{metric}{{{level}, window="{window}"}}{offset})'


def ratio(over: str, under: str, level: str, by: str = "", window: str = "$window", ago: str = "") -> str:
    """Return a sum divided by a sum, never an average of ratios; no value where there is nothing to divide by."""
    return f"{counts(over, level, by, window, ago)} / ({counts(under, level, by, window, ago)} > 0)"


def grown(metric: str, level: str, by: str = "", span: str = "1h") -> str:
    """Return the growth that the exporter saw within `span`, no value before it was seen for as long."""
    return whole("increase", f"{_counter(metric)}{{{level}}}", span, by)


def whole(function: str, counter: str, span: str, by: str = "") -> str:
    """Return a sum of `increase` or `rate` over `span`, no value where the counters are younger: it would be a part.

    Whose they were then does not matter: an exporter that moves has other series.
    """
    older = f"increase({counter}[{BEFORE.get(span, span)}] offset {span})"
    return f"({_sum(by)}({function}({counter}[{span}])) and {_sum(by)}({older}))"


def grown_ratio(over: str, under: str, level: str, by: str = "", span: str = "24h") -> str:
    """Return a growth divided by a growth; no value where there is nothing to divide by."""
    return f"{grown(over, level, by, span)} / ({grown(under, level, by, span)} > 0)"


def hourly(metric: str, level: str) -> str:
    """Return the growth in an hour, as the mean of three."""
    return f"{grown(metric, level, span='3h')} / 3"


def change(now: str, before: str) -> str:
    """Return by which part a value has changed."""
    return f"({now}) / (({before}) > 0) - 1"


def _counter(metric: str) -> str:
    statistic, _, field = metric.partition("_")
    return f"directmail_{statistic}_observed_{field}_total"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
