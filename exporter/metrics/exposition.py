"""Holds the rendered metrics as bytes, ready for scrapes.

A block has one combination's sample lines, an entry for each family of its section. When a combination changes only its
block is replaced. Both text formats have the same lines, only the heads differ. A scrape's answer joins blocks and
groups while it is sent: what did not change is in memory once, however many slow clients read older responses.
`gzip_packing` deflates them.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text_format
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from exporter.metrics import gzip_packing
from exporter.metrics.gzip_packing import Deflated, PackedGroups
from exporter.metrics.negotiation import OPENMETRICS, STYLES, choose_format
from exporter.metrics.text_format import Block, Family, family_head

_Lists = dict[tuple[int, ...], list[Block]]
"""The blocks by the families that they have lines of, which are given by their index."""
_Column = list[tuple[int, list[Block]]]
"""Blocks that have lines of a family, and the place where they have them."""

RUN = 128
"""Blocks of which a family's lines are joined at a time."""
_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Section:
    """Blocks of the same families."""

    families: tuple[int, ...]
    """The families that a block has lines of, by their index."""
    blocks: dict[Hashable, Block]


@dataclass(frozen=True, slots=True)
class Page:
    """The response to a scrape."""

    content_type: str
    encoding: str
    """"gzip" or ""."""
    length: int
    """Bytes of all parts together."""
    parts: Iterable[bytes]
    """Some are made while they are iterated over, which may be done more than once."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The blocks at one moment by family, and how many bytes each family has in them."""

    columns: list[_Column]
    lengths: list[int]


@dataclass(frozen=True, slots=True)
class _Text:
    """The parts of an uncompressed response. The iterator holds one run of lines and refers to the rest."""

    heads: list[bytes]
    snapshot: _Snapshot
    own: bytes

    @property
    def length(self) -> int:
        """Bytes of all parts together."""
        lengths = zip(self.heads, self.snapshot.lengths, strict=True)
        return sum(len(head) + length for head, length in lengths if length) + len(self.own)

    def __iter__(self) -> Iterator[bytes]:
        for head, column, length in zip(self.heads, self.snapshot.columns, self.snapshot.lengths, strict=True):
            if length:
                yield head
                for place, blocks in column:
                    for start in range(0, len(blocks), RUN):
                        yield b"".join([block[place] for block in blocks[start : start + RUN]])
        yield self.own


class Exposition:
    """The blocks of all targets and their renderings."""

    def __init__(self, families: Sequence[Family], registry: CollectorRegistry) -> None:
        """`registry` has the program's own metrics, rendered by prometheus_client at each scrape."""
        self._registry = registry
        self._index = {family.name: index for index, family in enumerate(families)}
        self._heads = {style: [family_head(family, style) for family in families] for style in STYLES}
        self._packed_heads = {
            style: [gzip_packing.deflate(each) for each in heads] for style, heads in self._heads.items()
        }
        self._sections: dict[Hashable, _Section] = {}
        self._version = 0
        self._snapshot: _Snapshot | None = None
        self._packed: tuple[int, PackedGroups] = (-1, {})
        self._deflated: dict[str, Deflated] = {}
        """By style, the heads and samples of this version."""
        self._counting, self._packing = asyncio.Lock(), asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "rendering")
        """Not asyncio's default pool, where slow lookups of names would hold scrapes up."""

    def replace(self, section: Hashable, key: Hashable, block: Block) -> None:
        """Replace the block with the same key."""
        blocks = self._sections[section].blocks
        if blocks.get(key) != block:
            blocks[key] = block
            self._changed()

    def swap(self, section: Hashable, families: Iterable[Family], blocks: dict[Hashable, Block]) -> None:
        """Replace all blocks of a section by these, in this order. No scrape sees half of it.

        `families` are those that a block has entries for, in its order.
        """
        self._sections[section] = _Section(tuple(self._index[family.name] for family in families), blocks)
        self._changed()

    def drop(self, section: Hashable) -> None:
        """Remove a section."""
        self._sections.pop(section, None)
        self._changed()

    async def scrape(self, accept: str = "", *, gzip: bool = False) -> Page:
        """Return everything, in the format that an Accept header requests."""
        answered = choose_format(accept)
        style, own = answered.style, self._own(answered.style)
        if gzip:
            parts = gzip_packing.member(await self._pack(style), gzip_packing.deflate(own))
            return Page(answered.content_type, "gzip", sum(map(len, parts)), parts)
        text = _Text(self._heads[style], await self._current_snapshot(), own)
        return Page(answered.content_type, "", text.length, text)

    async def in_thread(self, work: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        """Return what some rendering returns, done in the thread of all rendering."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _current_snapshot(self) -> _Snapshot:
        """Return the blocks as they are now."""
        async with self._counting:
            snapshot = self._snapshot
            if snapshot is None:
                version, columns = self._version, self._columns()
                snapshot = _Snapshot(columns, await self.in_thread(_lengths, columns))
                if version == self._version:
                    self._snapshot = snapshot
            return snapshot

    async def _pack(self, style: str) -> Deflated:
        """Return the families deflated: their heads in this style, their sample lines in groups."""
        async with self._packing:
            version, groups = self._packed
            if version != self._version:
                version, lists = self._version, self._lists()
                groups = await self.in_thread(gzip_packing.repacked, lists, groups)
                self._packed = (version, groups)
                self._deflated.clear()
            if style not in self._deflated:
                self._deflated[style] = await self.in_thread(gzip_packing.joined, self._packed_heads[style], groups)
            return self._deflated[style]

    def _changed(self) -> None:
        self._version += 1
        self._snapshot = None

    def _lists(self) -> _Lists:
        """Return the blocks as they are now; sections of the same families are one list."""
        lists: _Lists = {}
        for section in self._sections.values():
            lists.setdefault(section.families, []).extend(section.blocks.values())
        return lists

    def _columns(self) -> list[_Column]:
        """Return the blocks of each family as they are now."""
        columns: list[_Column] = [[] for _ in self._index]
        for families, blocks in self._lists().items():
            for place, family in enumerate(families):
                columns[family].append((place, blocks))
        return columns

    def _own(self, style: str) -> bytes:
        """Return the program's own metrics, and the end that OpenMetrics wants."""
        render = openmetrics.generate_latest if style == OPENMETRICS else text_format.generate_latest
        rendered: bytes = render(_WithoutCreated(self._registry))
        return rendered


class _WithoutCreated:
    """A registry's metrics without `_created`, whose series have no use here.

    prometheus_client can leave them out by a switch for the whole process only.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _lengths(columns: Sequence[_Column]) -> list[int]:
    return [sum([len(block[place]) for place, blocks in column for block in blocks]) for column in columns]
