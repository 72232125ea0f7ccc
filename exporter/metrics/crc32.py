"""CRC-32 of a text from those of its pieces, so that unchanged pieces are not read again.

The arithmetic of polynomials over GF(2), modulo CRC-32's polynomial, as RFC 1952 defines the checksum: the checksum
of a piece that is followed by n bytes is multiplied by x to the 8n. A number has the coefficient of x to the 0 in its
highest bit. Four coefficients are multiplied at a time, by a table of the other factor's multiples.
"""

from functools import lru_cache

Multiples = tuple[int, ...]
"""A polynomial times each of the sixteen that have four coefficients."""

_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1."""
_NIBBLES = range(0, 32, 4)


def combine(first: int, second: int, shift_of_second: Multiples) -> int:
    """Return the checksum of two texts one after the other; `shift_of_second` is `shift(length of the second)`."""
    return _times(shift_of_second, first) ^ second


@lru_cache(maxsize=4096)
def shift(length: int) -> Multiples:
    """Return x to the 8 x `length`."""
    result = _ONE
    for bit in range(length.bit_length()):
        if length >> bit & 1:
            result = _times(_power(bit), result)
    return _multiples(result)


@lru_cache
def _power(bit: int) -> Multiples:
    """Return x to the 8 x 2 to the `bit`, by squaring."""
    if not bit:
        return _multiples(1 << 23)
    root = _power(bit - 1)
    return _multiples(_times(root, root[8]))


def _times_x(factor: int) -> int:
    return factor >> 1 ^ (_POLYNOMIAL if factor & 1 else 0)


def _multiples(factor: int) -> Multiples:
    by_x = [factor]
    while len(by_x) < 4:
        by_x.append(_times_x(by_x[-1]))
    table = [0] * 16
    for place, each in enumerate(by_x):
        for nibble in range(16):
            if nibble >> (3 - place) & 1:
                table[nibble] ^= each
    return tuple(table)


def _carries() -> Multiples:
    """Return what the coefficients that four multiplications by x push out come back as."""
    carries = []
    for pushed in range(16):
        factor = pushed
        for _ in range(4):
            factor = _times_x(factor)
        carries.append(factor)
    return tuple(carries)


_CARRIES = _carries()


def _times(factor: Multiples, other: int) -> int:
    """Return the product of two polynomials."""
    product = 0
    for place in _NIBBLES:
        product = product >> 4 ^ _CARRIES[product & 15] ^ factor[other >> place & 15]
    return product
