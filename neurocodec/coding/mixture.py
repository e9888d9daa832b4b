"""CDFs of integers under mixtures of Gaussians, from snapped parameters by integer arithmetic.

A symbol's K components have a weight, a mean and a scale each. They reach this module as integers
on coarse grids, so encoder and decoder build the same table on every machine. The alphabet is a
window of L integers around the mean of the mixture: L is the caller's, the centre is computed here.

Grids, in the order of the columns of a row (K weights, K means, K scales):

- weight: natural logarithm in steps of 1/8;
- mean: in steps of 1/16;
- scale: natural logarithm of σ in steps of 1/8, clipped to `SCALES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neurocodec.coding.cdf import MAX_LEVELS, TOTAL, exp_table
from neurocodec.coding.grid import LOGIT_STEP
from neurocodec.errors import InvalidArgument

WEIGHT_STEP, MEAN_STEP, SCALE_STEP = 1 / 8, 1 / 16, 1 / 8
SCALES = (-20, 48)
"""Smallest and largest index of a scale: σ from 0.082 to 403."""

_STEPS_BITS = 4
_STEPS = 1 << _STEPS_BITS  # of a mean, to an integer
_ONE = 1 << 18  # probability one of a component
_SHARES_BITS = 12
_SHARES = 1 << _SHARES_BITS  # the weights of a mixture together
_TO_CDF = 14  # bits that the product of both has more than an entry of a CDF
_SUBSTEPS = 256  # of one σ in the table of the normal distribution
_REACH = 6 * _SUBSTEPS  # beyond 6 σ nothing is left: Φ(-6) is 1e-9
_SHIFT = 20  # fixed point of the reciprocal scales
_ROWS, _ENTRIES = 1 << 13, 1 << 17  # worked on at a time: temporaries then stay in the cache


def grid_units(components: int) -> NDArray[np.float64]:
    """Factors (3K,) that take a row of parameters to units in which `snap` has the grids above."""
    steps = (WEIGHT_STEP, MEAN_STEP, SCALE_STEP)
    return np.repeat([LOGIT_STEP / step for step in steps], components)


@cache
def normal_table() -> NDArray[np.int32]:
    """round(2**18 Φ(t / 256)) for t = -1536…1536, ends 0 and 2**18; int32 (3073,).

    No entry before rounding lies within 1e-6 of a half (tests see to it), so every ``erfc`` that
    is right to twelve digits gives these integers.
    """
    t = range(-_REACH, _REACH + 1)
    table = [round(_ONE * 0.5 * math.erfc(-i / _SUBSTEPS / math.sqrt(2))) for i in t]
    table[0], table[-1] = 0, _ONE
    return _frozen(table, np.int32)


@cache
def reciprocal_scales() -> NDArray[np.int64]:
    """round(2**20 · 256 · MEAN_STEP / σ) for each index of a scale in `SCALES`; int64 (69,)."""
    unit = (1 << _SHIFT) * _SUBSTEPS * MEAN_STEP
    indices = range(SCALES[0], SCALES[1] + 1)
    scales = [round(unit * math.exp(-index * SCALE_STEP)) for index in indices]
    return _frozen(scales, np.int64)


@cache
def _odds() -> NDArray[np.int32]:
    """floor(2**12 exp(-d / 8)) of a weight that lies d steps below the largest, down to 0."""
    return _frozen(exp_table()[:: round(WEIGHT_STEP / LOGIT_STEP)] >> 12, np.int32)


@dataclass(frozen=True)
class _Shares:
    """Φ of every scale and sixteenth of an integer, at integers in steps of one.

    The share of a component below each symbol of a window is then a stretch of ``values``, from
    ``start`` of its scale on, plus ``width`` for each sixteenth: a copy instead of arithmetic.
    """

    values: NDArray[np.int32]
    start: NDArray[np.int64]  # of each scale: of its first sixteenth, at the integer 0
    width: NDArray[np.int64]  # of each scale: integers that the table has
    reach: NDArray[np.int64]  # of each scale: integers from 0 to where all is 0 or one


@cache
def _shares() -> _Shares:
    """12 MB, in some 30 ms, once."""
    reach = ((_REACH + 1) << _SHIFT) // (_STEPS * reciprocal_scales()) + 2
    values, starts, widths = [], [], []
    start = 0
    for scale, far in zip(reciprocal_scales(), reach, strict=True):
        margin = int(far) + MAX_LEVELS
        below = _STEPS * np.arange(-margin, margin + 1) - np.arange(_STEPS)[:, None]
        position = (below * scale >> _SHIFT) + _REACH
        values.append(normal_table().take(position, mode="clip").ravel())
        starts.append(start + margin)
        widths.append(below.shape[1])
        start += below.size
    return _Shares(np.concatenate(values), np.array(starts), np.array(widths), np.asarray(reach))


def centres(indices: NDArray[np.int32]) -> NDArray[np.int64]:
    """The integer nearest to each mixture's mean: (N, 3K) int32 -> (N,) int64.

    floor(Σ w m / 16 + 1/2), in integers, the weights w being shares of 2**12.
    """
    out = np.empty(len(indices), dtype=np.int64)
    for part in _blocks(len(indices), _ROWS):
        weights, means, _ = _parts(indices[part])
        mean = (weights * means).sum(axis=0)
        mean += _SHARES * _STEPS // 2
        mean >>= _SHARES_BITS + _STEPS_BITS
        out[part] = mean
    return out


def cdf_from_mixture(
    indices: NDArray[np.int32], centre: NDArray[np.int64], levels: int
) -> NDArray[np.int16]:
    """Snapped parameters (N, 3K) int32 to a CDF (N, L + 1) of the window around ``centre`` (N,).

    Symbol j stands for the integer centre + j - ⌊L/2⌋. Entry j is
    j + ((2**16 - L) · (Σ_k w_k Φ_k(j) // 2**14)) // 2**16, where Φ_k(j) is the k-th component's
    probability, in units of 2**-18, of lying below symbol j, and the weights w_k are 2**12
    together; 0 for j = 0 and 2**16 for j = L.

    Raises InvalidArgument for another dtype or shape, or an L that is even or outside 3..1023.
    """
    _check_window(levels)
    cdf = np.zeros((len(indices), levels + 1), dtype=np.uint16)
    windows = sliding_window_view(_shares().values, levels - 1)
    inner = np.arange(1, levels, dtype=np.uint32)
    for rows in _blocks(len(indices), _ROWS):
        weights, starts = _stretches(indices[rows], centre[rows], levels)
        block = cdf[rows]
        for part in _blocks(len(block), max(1, _ENTRIES // levels)):
            below = _mixed(weights[:, part, None], [windows[start[part]] for start in starts])
            block[part, 1:-1] = _entries(below, levels, inner)
    return cdf.view(np.int16)


def intervals_from_mixture(
    indices: NDArray[np.int32], centre: NDArray[np.int64], levels: int, symbols: NDArray[np.int64]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """What an encoder needs of `cdf_from_mixture`: the two entries around each known symbol.

    symbols: (N,), 0 to L - 1. Returns a CDF (N, 4) of three symbols and the one (N,) of them whose
    interval is that of the symbol, so that coding it gives the same bytes, for two entries a row
    instead of L + 1. Raises InvalidArgument as `cdf_from_mixture` does.
    """
    _check_window(levels)
    cdf = np.zeros((len(indices), 4), dtype=np.uint16)
    table = _shares().values
    for part in _blocks(len(indices), _ROWS):
        weights, starts = _stretches(indices[part], centre[part], levels)
        around = np.stack([symbols[part], symbols[part] + 1], axis=1)
        shares = [table[start[:, None] + around - 1] for start in starts]
        cdf[part, 1:3] = _entries(
            _mixed(weights[:, :, None], shares), levels, around.astype(np.uint32)
        )
    # The ends 0 and 2**16 are there already: beside them goes a symbol of one count.
    first, last = symbols == 0, symbols == levels - 1
    cdf[first, 1] = cdf[first, 2]
    cdf[first, 2] += 1
    cdf[last, 2] = cdf[last, 1]
    cdf[last, 1] -= 1
    return cdf.view(np.int16), np.where(first, 0, np.where(last, 2, 1)).astype(np.int16)


def _check_window(levels: int) -> None:
    if levels % 2 == 0 or not 3 <= levels < MAX_LEVELS:
        raise InvalidArgument(f"a window of {levels} integers: expected an odd number, 3..1023")


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _stretches(
    indices: NDArray[np.int32], centre: NDArray[np.int64], levels: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Of each component (K, N): its weight, and where the shares below symbol 1 and those after it
    are in the table."""
    weights, means, scales = _parts(indices)
    table = _shares()
    # The lower edge of symbol 0 lies at centre - ⌊L/2⌋ - 1/2; here in sixteenths, from the mean.
    edge = _STEPS * (centre - levels // 2) - _STEPS // 2 - means
    whole = -(-edge >> _STEPS_BITS)
    sixteenth = _STEPS * whole - edge
    whole = whole.clip(-table.reach[scales] - levels, table.reach[scales])
    starts = table.start[scales] + table.width[scales] * sixteenth + whole + 1
    return weights, starts


def _mixed(weights: NDArray[np.int32], shares: list[NDArray[np.int32]]) -> NDArray[np.uint32]:
    """Σ w Φ over the components, in units of 2**-30. Overwrites ``shares``."""
    below = shares[0]
    below *= weights[0]
    for weight, share in zip(weights[1:], shares[1:], strict=True):
        share *= weight
        below += share
    return below.view(np.uint32)


def _entries(below: NDArray[np.uint32], levels: int, at: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Entries ``at`` of a CDF, of the probabilities below their symbols, which are overwritten."""
    below >>= _TO_CDF
    below *= np.uint32(TOTAL - levels)
    below >>= 16
    below += at
    return below


def _parts(
    indices: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Weights, 2**12 together, means in sixteenths, and rows of `reciprocal_scales`; (K, N) each.

    What rounding leaves of the weights goes to the largest, the first of them.
    """
    if indices.dtype != np.int32 or indices.ndim != 2 or indices.shape[1] % 3:
        raise InvalidArgument(
            f"mixtures have dtype {indices.dtype} and shape {indices.shape}: expected int32 (N, 3K)"
        )
    weight, mean, scale = np.split(np.ascontiguousarray(indices.T), 3)
    largest = weight.max(axis=0)
    odds = _odds().take(largest - weight, mode="clip")
    # A quotient of such small integers is never rounded past the integer below it, and processors
    # divide floats many at a time.
    shares = (odds * float(_SHARES) / odds.sum(axis=0)).astype(np.int32)
    rest = _SHARES - shares.sum(axis=0, dtype=np.int32)
    for share, own in zip(shares, weight, strict=True):
        first = own == largest
        share += np.where(first, rest, 0)
        rest[first] = 0
    low, high = SCALES
    return shares, mean.astype(np.int64), scale.clip(low, high) - low


def _frozen(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    table = np.array(values, dtype=dtype)
    table.flags.writeable = False
    return table
