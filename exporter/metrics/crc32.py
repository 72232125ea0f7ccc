"""CRC-32 of a text from those of its pieces, so that unchanged pieces are not read again.

The arithmetic of polynomials over GF(2), modulo CRC-32's polynomial, as RFC 1952 defines the checksum: the checksum
of a piece that is followed by n bytes is multiplied by x to the 8n.
"""

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1 in the reflected order of bits."""


def combine(first: int, second: int, shift_of_second: int) -> int:
    """Return the checksum of two texts one after the other; `shift_of_second` is `shift(length of the second)`."""
    return _times(shift_of_second, first) ^ second


@lru_cache(maxsize=4096)
def shift(length: int) -> int:
    """Return x to the 8 x `length`, by squaring."""
    power, result = 1 << 23, _ONE  # x to the 8
    while length:
        if length & 1:
            result = _times(power, result)
        power = _times(power, power)
        length >>= 1
    return result


def _times(left: int, right: int) -> int:
    """Return the product of two polynomials."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = (right >> 1) ^ _POLYNOMIAL if right & 1 else right >> 1
    return product
