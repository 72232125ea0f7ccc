"""Which of several processes polls a target: rendezvous hashing by the target's name.

Each shard has a hash for each name, and the highest hash polls it. A new shard leaves the other hashes as they are,
so it gets about its share, evenly from all others, and no target moves between those.

Series and the state file identify an account by its name; the rest of a target may change without moving it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol, TypeVar

MOST = 1000
"""Shards; each of them has a hash for every target."""


class NoOrdinal(ValueError):
    """The hostname has no shard number; the text is for the operator."""


class Named(Protocol):
    """An item that is assigned to a shard by its name."""

    @property
    def name(self) -> str: ...


_Named = TypeVar("_Named", bound=Named)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` processes that share the targets of a config."""

    index: int
    """From 0 to count - 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def part(self, targets: Iterable[_Named]) -> tuple[_Named, ...]:
        """Return the targets that this shard polls, in the order given."""
        return tuple(target for target in targets if owner(target.name, self.count) == self.index)


WHOLE = Shard(0, 1)
"""The one process that polls everything."""


def divide(targets: Iterable[_Named], count: int) -> tuple[tuple[_Named, ...], ...]:
    """Return what each of `count` shards polls."""
    parts: list[list[_Named]] = [[] for _ in range(count)]
    for target in targets:
        parts[owner(target.name, count)].append(target)
    return tuple(map(tuple, parts))


def owner(name: str, count: int) -> int:
    """Return the index of the shard that polls the target of that name. It is the same on every machine and version."""
    return max(range(count), key=lambda index: _draw(index, name))


def parse(text: str, hostname: str) -> Shard:
    """Return the shard that `I/N` names, or `auto/N` on a host like `exporter-3`.

    Raise ValueError where the text is invalid, NoOrdinal where the hostname has no number.
    """
    match = re.fullmatch(r"(auto|\d{1,4})/(\d{1,4})", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a shard; write I/N such as 0/3, or auto/3")
    count = int(match[2])
    if not 1 <= count <= MOST:
        raise ValueError(f"{text!r} has {count} shards; write 1 to {MOST}")
    if match[1] == "auto":
        return Shard(_ordinal(hostname, count), count)
    if (index := int(match[1])) >= count:
        raise ValueError(f"{text!r} is not a shard; {count} shards have the numbers 0 to {count - 1}")
    return Shard(index, count)


def _ordinal(hostname: str, count: int) -> int:
    """Return the number at the end of the host's own name, which a StatefulSet gives its pods."""
    match = re.search(r"-(\d{1,4})$", hostname.partition(".")[0], re.ASCII)
    if match is None:
        raise NoOrdinal(
            f"--shard=auto/{count}: the hostname {hostname!r} does not end with a number as the pods of a StatefulSet "
            f"do, such as exporter-0; write --shard=0/{count} with the number of this shard"
        )
    if (index := int(match[1])) >= count:
        raise NoOrdinal(
            f"--shard=auto/{count}: the hostname {hostname!r} has the number {index}, but {count} shards have the "
            f"numbers 0 to {count - 1}; write the number of replicas after auto/"
        )
    return index


def _draw(index: int, name: str) -> bytes:
    return blake2b(f"{index}/{name}".encode(), digest_size=8).digest()
