"""The text of metrics, byte for byte as prometheus_client prints it: heads, labels, sample lines."""

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import exposition as text_format
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.metrics.negotiation import OPENMETRICS

Block = tuple[bytes, ...]
"""The sample lines of one combination, by the families of its section, b"" for none."""
_END = b"# EOF\n"
_LONG = 1_000_000
"""From here on numbers have an exponent."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's head. A counter's name ends with `_total`."""

    name: str
    help: str
    type: str


def label_text(labels: Mapping[str, str]) -> str:
    """Return `{a="b",...}`, sorted and escaped as prometheus_client does."""
    return "{" + ",".join(_pairs(labels, sorted(labels))) + "}"


def label_texts(labels: Mapping[str, str], name: str, values: Iterable[str]) -> list[str]:
    """Return `label_text` of the labels and one more, for each of its values."""
    names = sorted(labels)
    place = bisect(names, name)
    before, after = (",".join(_pairs(labels, part)) for part in (names[:place], names[place:]))
    head, tail = "{" + before + "," * bool(before), "," * bool(after) + after + "}"
    return [f'{head}{name}="{_escaped(value)}"{tail}' for value in values]


def sample(name: str, labels: str, value: float) -> str:
    """Return a sample line; `labels` comes from `label_text`."""
    return f"{name}{labels} {number(value)}\n"


def number(value: float) -> str:
    """Return a value as prometheus_client prints it."""
    if type(value) is int and 0 <= value < _LONG:
        return f"{value}.0"  # most values are small counts, and this is faster
    return str(floatToGoString(value))


def _pairs(labels: Mapping[str, str], names: Iterable[str]) -> list[str]:
    return [f'{name}="{_escaped(labels[name])}"' for name in names]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def family_head(family: Family, style: str) -> bytes:
    """Return a family's HELP and TYPE lines, as prometheus_client writes them."""
    one = _One(Metric(family.name.removesuffix("_total"), family.help, family.type))
    if style == OPENMETRICS:
        return bytes(openmetrics.generate_latest(one)).removesuffix(_END)
    return bytes(text_format.generate_latest(one))
