"""Packs rendered metrics as gzip, a piece at a time: what did not change is not deflated again.

Every family's lines of a run of GROUP blocks are deflated on their own and kept with their checksum; one after the
other the pieces are one plain gzip member (RFC 1952).
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.metrics.crc32 import Multiples, combine, shift
from exporter.metrics.text_format import Block

GROUP = 64
LEVEL = 1
"""Of compression: half the work of the usual 6, for an eighth more bytes."""
_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))


class Piece(NamedTuple):
    """A run of text, deflated, with what its place in a larger text needs."""

    deflated: bytes
    crc: int
    shift: Multiples
    length: int


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """Some blocks, and the lines of each family in them deflated."""

    blocks: list[Block]
    pieces: list[Piece]


PackedGroups = dict[tuple[int, ...], list[PackedGroup]]
"""By the families that the blocks have lines of, which are given by their index."""


@dataclass(frozen=True, slots=True)
class Deflated:
    """Deflated pieces in a row, with the checksum and the length of their text."""

    parts: list[bytes]
    crc: int
    length: int


def repacked(lists: Mapping[tuple[int, ...], list[Block]], before: PackedGroups) -> PackedGroups:
    """Return the blocks in deflated groups; unchanged groups are reused."""
    packed: PackedGroups = {}
    for families, blocks in lists.items():
        old = before.get(families, [])
        runs = (blocks[start : start + GROUP] for start in range(0, len(blocks), GROUP))
        packed[families] = [
            _grouped(run, len(families), old[number] if number < len(old) else None) for number, run in enumerate(runs)
        ]
    return packed


def _grouped(blocks: list[Block], families: int, before: PackedGroup | None) -> PackedGroup:
    if before is not None and before.blocks == blocks:
        return before
    pieces = []
    for place in range(families):
        lines = [block[place] for block in blocks]
        if before is not None and [block[place] for block in before.blocks] == lines:
            pieces.append(before.pieces[place])
        else:
            pieces.append(deflate(b"".join(lines)))
    return PackedGroup(blocks, pieces)


def deflate(text: bytes) -> Piece:
    """Return a text deflated; it ends at a whole byte, so that another piece can follow."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH) if text else b""
    return Piece(deflated, zlib.crc32(text), shift(len(text)), len(text))


def joined(heads: Sequence[Piece], packed: PackedGroups) -> Deflated:
    """Return the families that have samples, each behind its head."""
    bodies: list[list[Piece]] = [[] for _ in heads]
    for families, groups in packed.items():
        for place, family in enumerate(families):
            bodies[family] += [group.pieces[place] for group in groups if group.pieces[place].length]
    pieces = [piece for head, body in zip(heads, bodies, strict=True) if body for piece in (head, *body)]
    crc = length = 0
    for piece in pieces:
        crc = combine(crc, piece.crc, piece.shift)
        length += piece.length
    return Deflated([piece.deflated for piece in pieces], crc, length)


def member(polled: Deflated, own: Piece) -> list[bytes]:
    """Return the parts of one gzip member with all of it."""
    crc = combine(polled.crc, own.crc, own.shift)
    length = (polled.length + own.length) & 0xFFFFFFFF
    end = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS).flush(zlib.Z_FINISH)
    return [_HEADER, *polled.parts, own.deflated, end, struct.pack("<II", crc, length)]
