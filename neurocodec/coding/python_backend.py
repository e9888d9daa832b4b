"""torchac's bitstream in plain Python: the fallback without a compiler, and its oracle in tests.

The stream is that of a binary arithmetic coder with 32-bit registers (Witten, Neal and Cleary,
"Arithmetic Coding for Data Compression", CACM 30(6), 1987) that emits single bits and counts
pending ones. Here the same stream comes from a different formulation. Only the width of the
interval and the lower 31 bits of its lower end are kept in registers; the lower end itself is a
long integer into which carries run by themselves, so that no bit is ever pending. After all
symbols, its leading bits plus one are the stream.

Arguments are trusted: :mod:`neurocodec.coding` checks them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding.cdf import PRECISION, TOTAL

_HALF = 1 << 31  # half of the 32-bit interval
_LOW = _HALF - 1  # after renormalization the lower end lies in the lower half
_FLUSH = 256  # bits of the lower end kept before the leading ones are set aside
_REFILL = 32  # bytes of the stream taken at a time
_BLOCK = 1 << 18  # CDF entries unpacked at a time


def encode(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> bytes:
    """Code symbols (N,) under a CDF (N, L + 1), N >= 1."""
    chunks: list[tuple[int, int]] = []  # (value, width in bits, a multiple of 8)
    lower = 0  # all of the lower end that is not in `chunks`
    held = 1  # bits of `lower` above its lower 31
    low = 0  # `lower`, modulo 2**31 after each renormalization
    width = 1 << 32
    for left, right in _intervals(cdf, symbols):
        step = width * left >> PRECISION
        width = (width * right >> PRECISION) - step
        low += step
        lower += step
        if width > _HALF:
            continue
        shift = _renormalization(low, low + width - 1)
        low = low << shift & _LOW
        width <<= shift
        lower <<= shift
        held += shift
        if held >= _FLUSH:
            rest = held & 7
            chunks.append((lower >> (31 + rest), held - rest))
            lower &= (1 << (31 + rest)) - 1
            held = rest
    # One bit more than `held`, and the next value up: the shortest that lies inside the interval.
    padding = -(held + 1) % 8
    chunks.append((((lower >> 30) + 1) << padding, held + 1 + padding))
    return _join(chunks)


def decode(cdf: NDArray[np.int16], data: bytes) -> NDArray[np.int16]:
    """Decode N symbols (N,) int16 from a CDF (N, L + 1), N >= 1.

    Any bytes decode to some symbols; past their end the stream reads as zeros.
    """
    stride = cdf.shape[1]
    symbols: list[int] = []
    low = 0
    width = 1 << 32
    position = 4
    value = int.from_bytes(data[:4].ljust(4, b"\0"), "big")  # minus the lower end, always
    buffer = 0
    buffered = 0  # bits of `buffer` still to be read
    for entries in _blocks(cdf):
        for start in range(0, len(entries), stride):
            target = (((value + 1) << PRECISION) - 1) // width
            right = bisect_right(entries, target, start, start + stride - 1)
            symbols.append(right - start - 1)
            step = width * entries[right - 1] >> PRECISION
            width = (width * entries[right] >> PRECISION) - step
            low += step
            value -= step
            if width > _HALF:
                continue
            shift = _renormalization(low, low + width - 1)
            low = low << shift & _LOW
            width <<= shift
            if buffered < shift:
                more = data[position : position + _REFILL].ljust(_REFILL, b"\0")
                position += _REFILL
                buffer = (buffer & ((1 << buffered) - 1)) << 8 * _REFILL
                buffer |= int.from_bytes(more, "big")
                buffered += 8 * _REFILL
            buffered -= shift
            value = value << shift | (buffer >> buffered & ((1 << shift) - 1))
    return np.array(symbols, dtype=np.int16)


def _renormalization(low: int, high: int) -> int:
    """How often the coder doubles the interval low..high, which holds 2**14 integers or more.

    It drops the leading bits in which the ends agree; then, after the bit in which they differ, all
    those where the lower end goes on with ones (0 1 1 ...) and the upper with zeros (1 0 0 ...).
    """
    below = (1 << ((low ^ high).bit_length() - 1)) - 1  # the bits after the first that differs
    return 31 - ((high | ~low) & below).bit_length()


def _intervals(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """Both ends of each symbol's share of 0..2**16."""
    flat = cdf.view(np.uint16).ravel()
    position = np.arange(len(symbols), dtype=np.int64) * cdf.shape[1] + symbols
    left = flat[position].astype(np.int64)
    right = flat[position + 1].astype(np.int64)
    right[right == 0] = TOTAL
    return zip(left.tolist(), right.tolist(), strict=True)


def _blocks(cdf: NDArray[np.int16]) -> Iterator[array[int]]:
    """The entries of a CDF, some whole rows at a time, so that memory stays bounded.

    An array makes Python integers only of the entries looked at; a list would of all.
    """
    rows = max(1, _BLOCK // cdf.shape[1])
    for start in range(0, len(cdf), rows):
        entries = cdf[start : start + rows].view(np.uint16).astype(np.intc)
        entries[:, -1] = TOTAL
        yield array("i", entries.tobytes())


def _join(chunks: list[tuple[int, int]]) -> bytes:
    """Concatenate chunks of bits; what overflows one is a carry into the one before."""
    parts: list[bytes] = []
    carry = 0
    for value, bits in reversed(chunks):
        value += carry
        carry = value >> bits
        parts.append((value & ((1 << bits) - 1)).to_bytes(bits // 8, "big"))
    return b"".join(reversed(parts))
