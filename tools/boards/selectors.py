"""The expressions of the boards: which series are asked, and sums and ratios of them.

Series of different queries overlap. Every selector of data says of all six filters what they are; a combination occurs
once in a target, so nothing counts twice.
"""

JI = 'job=~"$job", instance=~"$instance"'
SCOPE = f'{JI}, target=~"$target"'
"""The first variables of both boards."""
DATA = f'{SCOPE}, query=~"$query"'

ROUTE = ("dedicated_ip", "dedicated_ip_pool_id", "config_set_id")
UNROUTED = ", ".join(f'{label}=""' for label in ROUTE)
_NAMED = 'account_name=~"$account_name", account_name!=""'
_OF_PROVIDER = f'{_NAMED}, tag_name="", esp=~"$esp", esp!="", {UNROUTED}'
SENDER = f'{DATA}, {_NAMED}, tag_name="", esp="", {UNROUTED}'
TAG = f'{DATA}, {_NAMED}, tag_name=~"$tag_name", tag_name!="", esp="", {UNROUTED}'
PROVIDER = f"{DATA}, {_OF_PROVIDER}"
EVERY_PROVIDER = PROVIDER.replace('esp=~"$esp", ', "")
WITHOUT_ICLOUD = PROVIDER.replace('esp!=""', 'esp!="", esp!="icloud.com"')
RECORDED_PROVIDER = f'job=~"$job", target=~"$target", {_OF_PROVIDER}'
"""What recording rules made has neither `instance` nor `query`."""
FIRING = 'count(ALERTS{alertname=~"DirectMail.*", alertstate="firing"}) or vector(0)'
"""Many alerts have no `instance`, and one that says that there is no exporter has no `job`."""


def routed(label: str) -> str:
    """Return the matchers for whatever was sent through one of ROUTE, whoever the sender."""
    pinned = ", ".join(f'{other}{"!=" if other == label else "="}""' for other in ROUTE)
    return f'{DATA}, account_name="", tag_name="", esp="", {pinned}'


def counts(field: str, level: str, by: str = "", window: str = "$window", ago: str = "") -> str:
    """Return the sum of a count in a window, by a label, as it was some time `ago`."""
    offset = f" offset {ago}" if ago else ""
    return f'{_sum(by)}(directmail_track_{field}{{{level}, window="{window}"}}{offset})'


def ratio(over: str, under: str, level: str, by: str = "", window: str = "$window", ago: str = "") -> str:
    """Return a sum divided by a sum: never an average of ratios."""
    return f"{counts(over, level, by, window, ago)} / {counts(under, level, by, window, ago)}"


def grown(field: str, level: str, by: str = "", span: str = "1h") -> str:
    """Return what the exporter saw to be added within `span`."""
    return f"{_sum(by)}(increase(directmail_track_observed_{field}_total{{{level}}}[{span}]))"


def change(now: str, before: str) -> str:
    """Return by which part a value has changed."""
    return f"({now}) / ({before}) - 1"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
