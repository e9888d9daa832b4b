"""How many bytes JPEG's optimized Huffman coding takes for given quantized coefficients.

Counted, not written: the sequential coding of ITU-T T.81 (categories of DC differences and of AC
coefficients, runs of zeros, end of block) with tables made for the picture, as libjpeg's
``optimize`` makes them. What is left out are the bytes stuffed behind 0xFF, about one in 256, and
the last byte's padding. The test suite holds the count against files that libjpeg wrote, to the
bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurocodec.errors import InvalidArgument

Integers = npt.NDArray[np.signedinteger]

ZERO_RUN, END_OF_BLOCK = 0xF0, 0x00
MAX_LENGTH = 16
MAX_DC, MAX_AC = 15, 14
"""Largest categories that T.81 has codes for, those of 12-bit samples."""


@dataclass(frozen=True)
class HuffmanSize:
    """bits: of the entropy-coded segment. table_bytes: of the segments that define its tables."""

    bits: int
    table_bytes: int

    @property
    def bytes(self) -> int:
        """Both together, in whole bytes."""
        return -(-self.bits // 8) + self.table_bytes


def huffman_size(planes: Sequence[Integers]) -> HuffmanSize:
    """Size of the coefficients of a picture, coded as JPEG does.

    planes: luma, then any others, each integers (rows, cols, 64) in zigzag order. Luma has tables
    of its own, the others share theirs. Blocks go by rows in each plane, which is also the order
    of libjpeg where no plane is subsampled.

    Raises InvalidArgument for other arrays and for coefficients too large for JPEG.
    """
    for plane in planes:
        if plane.ndim != 3 or plane.shape[2] != 64 or not np.issubdtype(plane.dtype, np.integer):
            raise InvalidArgument(
                f"Huffman coding needs integers (rows, cols, 64), got {plane.dtype} {plane.shape}"
            )
    if not planes or any(plane.size == 0 for plane in planes):
        raise InvalidArgument("there are no blocks to code: give planes of at least one each")
    bits = table_bytes = 0
    for group in (planes[:1], planes[1:]):
        if not group:
            continue
        for symbols in (dc_symbols, ac_symbols):
            counts, magnitudes = np.zeros(256, np.int64), 0
            for plane in group:
                found, extra = symbols(plane)
                counts += np.bincount(found, minlength=256)
                magnitudes += extra
            lengths = code_lengths({s: int(n) for s, n in enumerate(counts) if n})
            bits += magnitudes + sum(int(counts[s]) * length for s, length in lengths.items())
            # Marker and length, two bytes each; class and destination; 16 counts; the symbols.
            table_bytes += 2 + 2 + 1 + MAX_LENGTH + len(lengths)
    return HuffmanSize(bits, table_bytes)


def dc_symbols(plane: Integers) -> tuple[Integers, int]:
    """The category of each difference to the block before, and the bits of their magnitudes."""
    category = _category(np.diff(plane[:, :, 0].ravel().astype(np.int64), prepend=0))
    _check(category, MAX_DC, "DC differences")
    return category, int(category.sum())


def ac_symbols(plane: Integers) -> tuple[Integers, int]:
    """Run and category of all AC coefficients, with zero runs and ends of blocks, in any order;
    and the bits of their magnitudes."""
    ac = plane.reshape(-1, 64)[:, 1:].astype(np.int64)
    block, place = np.nonzero(ac)
    category = _category(ac[block, place])
    _check(category, MAX_AC, "AC coefficients")
    before = np.full_like(place, -1)
    same = block[1:] == block[:-1]
    before[1:][same] = place[:-1][same]
    run = place - before - 1
    symbols = np.concatenate(
        [
            16 * (run % 16) + category,
            np.full(int((run // 16).sum()), ZERO_RUN),
            np.full(int((ac[:, -1] == 0).sum()), END_OF_BLOCK),
        ]
    )
    return symbols, int(category.sum())


def code_lengths(counts: Mapping[int, int]) -> dict[int, int]:
    """Length in bits of the code of each symbol (0 to 255, with its count, at least 1).

    T.81 K.2 with libjpeg's way of breaking ties: a reserved symbol, counted once, takes the code
    of all ones, and lengths above 16 are shortened.
    """
    reserved = 256
    weight = {**counts, reserved: 1}
    members = {symbol: [symbol] for symbol in weight}
    size = dict.fromkeys(weight, 0)
    while len(weight) > 1:
        # The rarest two; of equally rare ones those of the larger value.
        first, second = sorted(weight, key=lambda s: (weight[s], -s))[:2]
        weight[first] += weight.pop(second)
        members[first] += members.pop(second)
        for symbol in members[first]:
            size[symbol] += 1
    of_length = np.bincount(list(size.values()), minlength=MAX_LENGTH + 2).tolist()
    for length in range(len(of_length) - 1, MAX_LENGTH, -1):
        while of_length[length] > 0:
            # Two of the longest part: one gets their common prefix; a shorter code, one bit longer
            # now, serves the symbol it had and the other.
            shorter = max(j for j in range(1, length - 1) if of_length[j] > 0)
            of_length[length] -= 2
            of_length[length - 1] += 1
            of_length[shorter + 1] += 2
            of_length[shorter] -= 1
    longest = max(j for j in range(MAX_LENGTH + 1) if of_length[j] > 0)
    of_length[longest] -= 1  # the reserved code
    ordered = sorted(counts, key=lambda s: (size[s], s))
    lengths = [j for j in range(1, MAX_LENGTH + 1) for _ in range(of_length[j])]
    return dict(zip(ordered, lengths, strict=True))


def _category(values: Integers) -> Integers:
    """Bits of the magnitude: 0 for 0, 1 for ±1, 2 for ±2 and ±3, and so on."""
    return np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)


def _check(category: Integers, largest: int, what: str) -> None:
    if category.size and category.max() > largest:
        raise InvalidArgument(
            f"{what} of {category.max()} bits are too large for JPEG, which has codes for at most "
            f"{largest}: quantize more coarsely"
        )
