"""Lengths of the streams, in few bits: they grow from pass to pass, and by no more than they must.

A length is told by the number of its bits, as the difference to that of the one before, and by its
bits below the leading one (the latter as Elias' gamma code has them, IEEE Trans. Inf. Theory 21,
1975).
"""

from __future__ import annotations

from collections.abc import Sequence

from neurocodec.container.wire import Cursor, unreadable, unwritable

MAX_WIDTH = 31
"""Bits of the longest length."""

FIRST_WIDTH = 8
"""What the first length is expected to have."""


def put(lengths: Sequence[int]) -> bytes:
    """All but the last, which is what is left. Raises InvalidArgument for more than 31 bits."""
    packed = place = 0
    before = FIRST_WIDTH
    for length in lengths[:-1]:
        width = length.bit_length()
        if width > MAX_WIDTH:
            raise unwritable(f"a stream has {length} bytes, the format allows {2**MAX_WIDTH - 1}")
        ones = _ones(width - before)
        packed |= (1 << ones) - 1 << place
        place += ones + 1
        if width > 1:
            packed |= (length ^ 1 << width - 1) << place
            place += width - 1
        before = width
    return packed.to_bytes((place + 7) // 8, "little")


def take(body: Cursor, count: int) -> list[int]:
    """What `put` stored of ``count`` lengths, the last being what then is left of ``body``.

    Raises MalformedHeader, Truncated.
    """
    bits = _Bits(body)
    lengths = []
    width = FIRST_WIDTH
    for _ in range(count - 1):
        ones = 0
        while bits.take(1):
            ones += 1
            if ones > _ones(-MAX_WIDTH):
                raise unreadable(f"a stream length is told by more than {ones - 1} ones")
        width += (ones + 1) // 2 if ones % 2 else -(ones // 2)
        if not 0 <= width <= MAX_WIDTH:
            raise unreadable(
                f"a stream length has {width} bits, the format allows 0 to {MAX_WIDTH}"
            )
        lengths.append(bits.take(width - 1) | 1 << width - 1 if width else 0)
    bits.finish()
    return [*lengths, max(body.left - sum(lengths), 0)]


def _ones(difference: int) -> int:
    """How many ones before a zero tell a difference: 0, 1, -1, 2, -2 … have 0, 1, 2, 3, 4 …"""
    return 2 * difference - 1 if difference > 0 else -2 * difference


class _Bits:
    """Bits of a body, of each byte from the least significant on."""

    def __init__(self, body: Cursor) -> None:
        self._body = body
        self._held = self._count = 0

    def take(self, count: int) -> int:
        while self._count < count:
            self._held |= self._body.unsigned(1, "lengths of the streams") << self._count
            self._count += 8
        value = self._held & (1 << count) - 1
        self._held >>= count
        self._count -= count
        return value

    def finish(self) -> None:
        """Raises MalformedHeader where the byte that was begun has more in it."""
        if self._held:
            raise unreadable("bits are set after the lengths of the streams")
