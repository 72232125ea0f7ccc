"""Writes samples with their times, gathered by series, as OpenMetrics for promtool.

`promtool tsdb create-blocks-from openmetrics` makes blocks of the file.
"""

import atexit
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from exporter.metrics.negotiation import OPENMETRICS
from exporter.metrics.text_format import Family, family_head, label_text, number

END = "# EOF\n"


class Series:
    """One series: its samples in the order of time."""

    def __init__(self, name: str, labels: str) -> None:
        """`labels` comes from `label_text`."""
        self._start = f"{name}{labels} "
        self._times = array("d")
        self._values = array("d")

    def add(self, at: float, value: float) -> None:
        """Add a sample; `at` is seconds since the epoch and later than the one before."""
        self._times.append(at)
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._times)

    def lines(self) -> Iterator[str]:
        """Yield the sample lines, the oldest first."""
        start = self._start
        for at, value in zip(self._times, self._values, strict=True):
            yield f"{start}{number(value)} {at:.0f}\n"


class History:
    """The series of some families; a family without samples is left out of the text."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._series: dict[str, list[Series]] = {name: [] for name in self._families}

    def series(self, family: str, labels: Mapping[str, str]) -> Series:
        """Return a new series of a family. Labels that are "" are left out: to Prometheus it is the same."""
        made = Series(family, label_text({name: value for name, value in labels.items() if value}))
        self._series[family].append(made)
        return made

    def __len__(self) -> int:
        """Return how many samples there are."""
        return sum(len(each) for several in self._series.values() for each in several)

    def lines(self) -> Iterator[str]:
        """Yield the text, family by family: OpenMetrics wants each of them in one piece."""
        for name, several in self._series.items():
            if any(len(each) for each in several):
                yield family_head(self._families[name], OPENMETRICS).decode()
                for each in several:
                    yield from each.lines()
        yield END

    def write(self, output: Path) -> None:
        """Write the text, the file whole or not at all. Raise OSError."""
        with whole_file(output) as file:
            file.writelines(self.lines())


@contextmanager
def whole_file(output: Path) -> Iterator[TextIO]:
    """Yield a file to write that is put in its place when the block is done, and not at all if it raises.

    A pipe or a device is written to as it is; a link is followed.
    """
    if output.exists() and not output.is_file():
        with output.open("w", encoding="utf-8") as stream:
            yield stream
        return
    output = output.resolve()
    half = output.with_name(f"{output.name}.part")
    atexit.register(half.unlink, missing_ok=True)  # before there is a file: a stop signal may come in between
    try:
        with half.open("w", encoding="utf-8") as file:
            yield file
        half.replace(output)
    finally:
        half.unlink(missing_ok=True)
        atexit.unregister(half.unlink)
