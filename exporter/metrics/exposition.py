"""The rendered snapshot: what a scrape gets, held ready as bytes.

A block has one combination's sample lines, an entry for each family. When a combination changes only its block is
replaced; a scrape joins what is there. The lines are the same in both text formats, only the heads differ.

For gzip every run of GROUP blocks of a family is deflated on its own and kept with its checksum, so a change
deflates only the groups that it touched; strung together they are one plain gzip member (RFC 1952).
"""

import asyncio
import struct
import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text_format
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.metrics.crc32 import combine, shift

Block = tuple[bytes, ...]
"""The sample lines of one combination, by family, b"" for none."""

GROUP = 64
TEXT, OPENMETRICS = "text", "openmetrics"
CONTENT_TYPES = {
    TEXT: "text/plain; version=0.0.4; charset=utf-8",
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_END = b"# EOF\n"
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's head. A counter's name ends with `_total`."""

    name: str
    help: str
    type: str


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a scrape."""

    content_type: str
    encoding: str
    """"gzip" or ""."""
    parts: list[bytes]

    @property
    def length(self) -> int:
        """Bytes of all parts together."""
        return sum(map(len, self.parts))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of text, deflated, with what its place in a larger text needs."""

    lines: tuple[bytes, ...]
    deflated: bytes
    crc: int
    shift: int
    length: int


@dataclass(frozen=True, slots=True)
class _Strand:
    """Deflated text in one row, with its checksum and its length before."""

    deflated: bytes
    crc: int
    length: int


class Exposition:
    """The blocks of all targets and their renderings."""

    def __init__(self, families: Sequence[Family], registry: CollectorRegistry) -> None:
        """`registry` has the program's own metrics, rendered by prometheus_client at each scrape."""
        self._registry = registry
        self._heads = {style: [head(family, style) for family in families] for style in CONTENT_TYPES}
        self._packed_heads = {style: [_deflate((each,)) for each in heads] for style, heads in self._heads.items()}
        self._sections: dict[str, dict[Hashable, Block]] = {}
        self._version = 0
        self._plain: tuple[int, list[bytes]] = (-1, [])
        self._packed: tuple[int, list[list[_Piece]]] = (-1, [[] for _ in families])
        self._strands: dict[str, _Strand] = {}
        self._locks = {False: asyncio.Lock(), True: asyncio.Lock()}
        self.renders = 0
        """How often a body was made anew."""

    def replace(self, section: str, key: Hashable, block: Block) -> None:
        """Put one block in the place of the one with the same key."""
        blocks = self._sections[section]
        if blocks.get(key) != block:
            blocks[key] = block
            self._version += 1

    def swap(self, section: str, blocks: dict[Hashable, Block]) -> None:
        """Put all blocks of a section, in this order, in the place of the ones before. No scrape sees half of it."""
        self._sections[section] = blocks
        self._version += 1

    def drop(self, section: str) -> None:
        """Remove a section."""
        self._sections.pop(section, None)
        self._version += 1

    async def scrape(self, accept: str = "", *, gzip: bool = False) -> Page:
        """Return everything, in the format that an Accept header asks for."""
        style = negotiate(accept)
        own = self._own(style)
        if gzip:
            return Page(CONTENT_TYPES[style], "gzip", _member(await self._pack(style), _deflate((own,))))
        bodies = await self._join()
        parts = [part for pair in zip(self._heads[style], bodies, strict=True) if pair[1] for part in pair]
        return Page(CONTENT_TYPES[style], "", [*parts, own])

    async def _join(self) -> list[bytes]:
        """Return the sample lines of every family."""
        async with self._locks[False]:
            version, bodies = self._plain
            if version != self._version:
                version, blocks = self._version, self._blocks()
                bodies = await asyncio.to_thread(_joined, blocks, len(self._heads[TEXT]))
                self._plain = (version, bodies)
                self.renders += 1
            return bodies

    async def _pack(self, style: str) -> _Strand:
        """Return the families deflated: their heads in this style, their sample lines in groups."""
        async with self._locks[True]:
            version, pieces = self._packed
            if version != self._version:
                version, blocks = self._version, self._blocks()
                pieces = await asyncio.to_thread(_repacked, blocks, pieces)
                self._packed = (version, pieces)
                self._strands.clear()
                self.renders += 1
            if style not in self._strands:
                self._strands[style] = await asyncio.to_thread(_strung, self._packed_heads[style], pieces)
            return self._strands[style]

    def _blocks(self) -> list[Block]:
        return [block for blocks in self._sections.values() for block in blocks.values()]

    def _own(self, style: str) -> bytes:
        """Return the program's own metrics, and the end that OpenMetrics wants."""
        render = openmetrics.generate_latest if style == OPENMETRICS else text_format.generate_latest
        rendered: bytes = render(_WithoutCreated(self._registry))
        return rendered


class _WithoutCreated:
    """A registry's metrics without `_created`, which would be series of no use to anybody here.

    prometheus_client can leave them out by a switch for the whole process only.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def negotiate(accept: str) -> str:
    """Return TEXT or OPENMETRICS, whichever of the versions that we speak the Accept header weighs more."""
    best, weight = TEXT, 0.0
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media == "application/openmetrics-text" and given.get("version", "1.0.0") == "1.0.0":
            style = OPENMETRICS
        elif media in ("text/plain", "text/*", "*/*") and given.get("version", "0.0.4") == "0.0.4":
            style = TEXT
        else:
            continue
        quality = _quality(given.get("q", "1"))
        if quality > weight:
            best, weight = style, quality
    return best


def label_text(labels: Mapping[str, str]) -> str:
    """Return `{a="b",...}`, sorted and escaped as prometheus_client does."""
    pairs = (f'{name}="{_escaped(labels[name])}"' for name in sorted(labels))
    return "{" + ",".join(pairs) + "}"


def sample(name: str, labels: str, value: float) -> str:
    """Return a sample line; `labels` comes from `label_text`."""
    return f"{name}{labels} {number(value)}\n"


def number(value: float) -> str:
    """Return a value as prometheus_client prints it."""
    return str(floatToGoString(value))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def head(family: Family, style: str) -> bytes:
    """Return a family's HELP and TYPE lines, as prometheus_client writes them."""
    one = _One(Metric(family.name.removesuffix("_total"), family.help, family.type))
    if style == TEXT:
        return bytes(text_format.generate_latest(one))
    return bytes(openmetrics.generate_latest(one)).removesuffix(_END)


def _joined(blocks: Sequence[Block], families: int) -> list[bytes]:
    return [b"".join([block[index] for block in blocks]) for index in range(families)]


def _repacked(blocks: Sequence[Block], before: list[list[_Piece]]) -> list[list[_Piece]]:
    """Return the deflated groups of every family; those whose lines are as before are taken over."""
    packed = []
    for index, old in enumerate(before):
        pieces = []
        for number, start in enumerate(range(0, len(blocks), GROUP)):
            lines = tuple([block[index] for block in blocks[start : start + GROUP]])
            unchanged = number < len(old) and old[number].lines == lines
            pieces.append(old[number] if unchanged else _deflate(lines))
        packed.append(pieces)
    return packed


def _deflate(lines: tuple[bytes, ...]) -> _Piece:
    text = b"".join(lines)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH) if text else b""
    return _Piece(lines, deflated, zlib.crc32(text), shift(len(text)), len(text))


def _strung(heads: list[_Piece], bodies: list[list[_Piece]]) -> _Strand:
    """Return the families that have samples, each behind its head."""
    pieces = [
        piece
        for head, body in zip(heads, bodies, strict=True)
        if any(piece.length for piece in body)
        for piece in (head, *body)
    ]
    crc = length = 0
    for piece in pieces:
        crc = combine(crc, piece.crc, piece.shift)
        length += piece.length
    return _Strand(b"".join([piece.deflated for piece in pieces]), crc, length)


def _member(strand: _Strand, own: _Piece) -> list[bytes]:
    """Return the parts of one gzip member with all of it."""
    crc = combine(strand.crc, own.crc, own.shift)
    length = (strand.length + own.length) & 0xFFFFFFFF
    end = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS).flush(zlib.Z_FINISH)
    return [_GZIP_HEADER, strand.deflated, own.deflated, end, struct.pack("<II", crc, length)]
