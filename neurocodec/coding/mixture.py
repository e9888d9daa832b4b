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
from functools import cache

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding.cdf import MAX_LEVELS, TOTAL, exp_table
from neurocodec.coding.grid import LOGIT_STEP
from neurocodec.errors import InvalidArgument

WEIGHT_STEP, MEAN_STEP, SCALE_STEP = 1 / 8, 1 / 16, 1 / 8
SCALES = (-20, 48)
"""Smallest and largest index of a scale: σ from 0.082 to 403."""

_ONE = 1 << 24  # probability one of a component
_SUBSTEPS = 256  # of one σ in the table of the normal distribution
_REACH = 6 * _SUBSTEPS  # beyond 6 σ nothing is left: Φ(-6) is 1e-9
_SHIFT = 20  # fixed point of the reciprocal scales
_ROWS = 1 << 13  # rows worked on at a time: the temporaries then stay in the cache


def grid_units(components: int) -> NDArray[np.float64]:
    """Factors (3K,) that take a row of parameters to units in which `snap` has the grids above."""
    steps = (WEIGHT_STEP, MEAN_STEP, SCALE_STEP)
    return np.repeat([LOGIT_STEP / step for step in steps], components)


@cache
def normal_table() -> NDArray[np.int64]:
    """round(2**24 Φ(t / 256)) for t = -1536…1536, ends 0 and 2**24; int64 (3073,).

    No entry before rounding lies within 1e-6 of a half (tests see to it), so every ``erfc`` that
    is right to twelve digits gives these integers.
    """
    t = range(-_REACH, _REACH + 1)
    table = [round(_ONE * 0.5 * math.erfc(-i / _SUBSTEPS / math.sqrt(2))) for i in t]
    table[0], table[-1] = 0, _ONE
    return _frozen(table)


@cache
def reciprocal_scales() -> NDArray[np.int64]:
    """round(2**20 · 256 · MEAN_STEP / σ) for each index of a scale in `SCALES`; int64 (69,)."""
    unit = (1 << _SHIFT) * _SUBSTEPS * MEAN_STEP
    indices = range(SCALES[0], SCALES[1] + 1)
    return _frozen([round(unit * math.exp(-index * SCALE_STEP)) for index in indices])


def centres(indices: NDArray[np.int32]) -> NDArray[np.int64]:
    """The integer nearest to each mixture's mean: (N, 3K) int32 -> (N,) int64.

    floor(Σ w m / Σ w / 16 + 1/2), in integers.
    """
    out = np.empty(len(indices), dtype=np.int64)
    for start in range(0, len(indices), _ROWS):
        weights, means, _ = _parts(indices[start : start + _ROWS])
        total = weights.sum(axis=0)
        weights *= means
        mean = 2 * weights.sum(axis=0)
        mean += 16 * total
        mean //= 32 * total
        out[start : start + _ROWS] = mean
    return out


def cdf_from_mixture(
    indices: NDArray[np.int32], centre: NDArray[np.int64], levels: int
) -> NDArray[np.int16]:
    """Snapped parameters (N, 3K) int32 to a CDF (N, L + 1) of the window around ``centre`` (N,).

    Symbol j stands for the integer centre + j - ⌊L/2⌋. Entry j is
    j + ((2**16 - L) · (Σ_k w_k Φ_k(j) // Σ_k w_k)) // 2**24, where Φ_k(j) is the k-th component's
    probability, in units of 2**-24, of lying below symbol j; 0 for j = 0 and 2**24 for j = L.

    Raises InvalidArgument for another dtype or shape, or an L that is even or outside 3..1023.
    """
    _check_window(levels)
    cdf = np.zeros((len(indices), levels + 1), dtype=np.uint16)
    inner = np.arange(1, levels, dtype=np.int64)[:, None]  # one row an edge, but for the ends
    mixtures = _Mixtures(indices, centre, levels)
    rows = max(1, min(_ROWS, 4 * _ROWS // levels))
    for start in range(0, len(indices), rows):
        part = slice(start, start + rows)
        cdf[part, 1:-1] = mixtures.entries(part, inner).T
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
    first, last = symbols == 0, symbols == levels - 1
    mixtures = _Mixtures(indices, centre, levels)
    for start in range(0, len(indices), _ROWS):
        part = slice(start, start + _ROWS)
        around = np.stack([symbols[part], symbols[part] + 1])
        cdf[part, 1:3] = mixtures.entries(part, around).T
    # The ends 0 and 2**16 are there already: beside them goes a symbol of one count.
    cdf[first, 1] = cdf[first, 2]
    cdf[first, 2] += 1
    cdf[last, 2] = cdf[last, 1]
    cdf[last, 1] -= 1
    return cdf.view(np.int16), np.where(first, 0, np.where(last, 2, 1)).astype(np.int16)


def _check_window(levels: int) -> None:
    if levels % 2 == 0 or not 3 <= levels < MAX_LEVELS:
        raise InvalidArgument(f"a window of {levels} integers: expected an odd number, 3..1023")


class _Mixtures:
    """Rows of mixtures, each with its window, ready to be integrated."""

    def __init__(self, indices: NDArray[np.int32], centre: NDArray[np.int64], levels: int) -> None:
        self.levels = levels
        self.weights, means, scales = _parts(indices)
        self.total = self.weights.sum(axis=0)
        # The lower edge of symbol j lies at centre + j - ⌊L/2⌋ - 1/2; here in steps of the means,
        # then in those of the table of the normal distribution, fixed point, from its start on.
        self.first = (16 * (centre - levels // 2) - 8 - means) * scales + (_REACH << _SHIFT)
        self.step = 16 * scales
        self.buffer = np.empty((3, 0), dtype=np.int64)  # fresh memory costs more than the sums

    def entries(self, part: slice, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Entries ``at`` (E, N) or (E, 1), from 1 to L - 1, of the CDFs of N rows: (E, N) int64.

        Valid until the next call.
        """
        shape = len(at), len(self.total[part])
        size = shape[0] * shape[1]
        if self.buffer.shape[1] < size:
            self.buffer = np.empty((3, size), dtype=np.int64)
        position, share, below = (row[:size].reshape(shape) for row in self.buffer)
        table = normal_table()
        below[...] = 0
        for weight, first, step in zip(self.weights, self.first, self.step, strict=True):
            np.multiply(step[part], at, out=position)
            position += first[part]
            position >>= _SHIFT
            table.take(position, mode="clip", out=share)
            share *= weight[part]
            below += share
        below //= self.total[part]
        below *= TOTAL - self.levels
        below >>= 24
        below += at
        return below


def _parts(
    indices: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Weights, means in steps and reciprocal scales, int64 (K, N) each."""
    if indices.dtype != np.int32 or indices.ndim != 2 or indices.shape[1] % 3:
        raise InvalidArgument(
            f"mixtures have dtype {indices.dtype} and shape {indices.shape}: expected int32 (N, 3K)"
        )
    weight, mean, scale = np.split(indices.T.astype(np.int64), 3)
    distance = (weight.max(axis=0) - weight) * round(WEIGHT_STEP / LOGIT_STEP)
    weight = exp_table().take(distance, mode="clip") >> 12
    low, high = SCALES
    return weight, mean, reciprocal_scales()[scale.clip(low, high) - low]


def _frozen(values: list[int]) -> NDArray[np.int64]:
    table = np.array(values, dtype=np.int64)
    table.flags.writeable = False
    return table
