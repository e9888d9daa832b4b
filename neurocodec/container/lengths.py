"""Lengths of the streams, in the two forms that a file has them in."""

from __future__ import annotations

from collections.abc import Sequence

from neurocodec.container.layout import LENGTH_BITS
from neurocodec.container.wire import Cursor, unreadable, varint


def put(lengths: Sequence[int]) -> bytes:
    """A varint for each."""
    return b"".join(map(varint, lengths))


def take(body: Cursor, count: int) -> list[int]:
    """What `put` stored. Raises MalformedHeader, Truncated."""
    return [body.varint("length of a stream") for _ in range(count)]


def put_packed(lengths: Sequence[int]) -> bytes:
    """All but the last, which is what is left, in as many bits each as the longest of them needs.

    Raises InvalidArgument for lengths of more than 31 bits.
    """
    stored = lengths[:-1]
    bits = max(stored, default=0).bit_length()
    packed = sum(length << bits * place for place, length in enumerate(stored))
    return LENGTH_BITS.put(bits) + packed.to_bytes(_bytes(bits, len(stored)), "little")


def take_packed(body: Cursor, count: int) -> list[int]:
    """What `put_packed` stored, the last being what then is left of ``body``.

    Raises MalformedHeader, Truncated; also for lengths that would fit fewer bits.
    """
    bits = LENGTH_BITS.get(body)
    packed = body.unsigned(_bytes(bits, count - 1), "lengths of the streams")
    lengths = [packed >> bits * place & (1 << bits) - 1 for place in range(count - 1)]
    if packed >> bits * (count - 1) or max(lengths, default=0).bit_length() != bits:
        raise unreadable(f"the lengths of the streams are not stored in {bits} bits each")
    left = body.left - sum(lengths)
    return [*lengths, max(left, 0)]


def _bytes(bits: int, count: int) -> int:
    return (bits * count + 7) // 8
