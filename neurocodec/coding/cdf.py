"""The contract of every probability table that reaches the entropy coder.

A CDF is an array (N, L + 1), one row a symbol to code, L >= 2 the size of its alphabet:

- stored as int16 whose bits are read as uint16, as torchac takes it;
- every row starts at 0 and increases strictly, so every symbol keeps at least 1 count of 2**16;
- the last entry is 2**16, which uint16 stores as 0.

Probabilities come from grid indices by integer arithmetic alone, so that encoder and decoder agree
on every machine. Symbols are int16 (N,), each in [0, L).
"""

from __future__ import annotations

import decimal
from functools import cache

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding.blocks import blocks
from neurocodec.coding.grid import LOGIT_STEP
from neurocodec.errors import InvalidArgument

PRECISION = 16
TOTAL = 1 << PRECISION
MAX_LEVELS = 1024

_WEIGHT_ONE = 1 << 24


@cache
def exp_table() -> NDArray[np.int64]:
    """floor(2**24 * exp(-d * LOGIT_STEP)) for d = 0, 1, ... down to the first zero, int64 (534,).

    Made by `decimal`, whose exp is correctly rounded: the same integers everywhere.
    """
    context = decimal.Context(prec=40)
    weights: list[int] = []
    while not weights or weights[-1] > 0:
        exponent = context.multiply(decimal.Decimal(-len(weights)), decimal.Decimal(LOGIT_STEP))
        weights.append(int(context.multiply(context.exp(exponent), decimal.Decimal(_WEIGHT_ONE))))
    table = np.array(weights, dtype=np.int64)
    table.flags.writeable = False
    return table


def cdf_from_grid(indices: NDArray[np.int32]) -> NDArray[np.int16]:
    """Softmax over snapped logits, in integers: grid indices (N, L) int32 to a CDF (N, L + 1).

    weight_k = exp_table[max_j i_j - i_k]; frequency_k = 1 + weight_k * (2**16 - L) // sum(weight);
    what is left of 2**16 goes to the first most probable symbol.

    Raises InvalidArgument for another dtype or shape, or L outside 2..1024.
    """
    if indices.dtype != np.int32 or indices.ndim != 2:
        raise InvalidArgument(
            f"grid indices have dtype {indices.dtype} and shape {indices.shape}: "
            "expected int32 (N, L)"
        )
    count, levels = indices.shape
    _check_levels(levels)
    table = exp_table()
    cdf = np.zeros((count, levels + 1), dtype=np.uint16)
    for rows in blocks(count, levels):
        # One row a level: reductions and sums over the levels then run along contiguous memory.
        block = indices[rows].T.astype(np.int64, order="C")
        best = block.argmax(axis=0)
        distance = block.max(axis=0) - block
        weight = table.take(distance, mode="clip")
        total = weight.sum(axis=0)
        weight *= TOTAL - levels
        weight //= total
        weight += 1
        weight[best, np.arange(len(best))] += TOTAL - weight.sum(axis=0)
        for k in range(1, levels - 1):  # five times as fast as cumsum(axis=0)
            weight[k] += weight[k - 1]
        cdf[rows, 1:-1] = weight[:-1].T
    return cdf.view(np.int16)


def frequencies(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> NDArray[np.int64]:
    """Counts of 2**16 that a CDF (N, L + 1) gives to the symbols (N,), int64 (N,), each >= 1."""
    flat = cdf.view(np.uint16).ravel()
    left = np.arange(len(symbols), dtype=np.int64) * cdf.shape[1] + symbols
    # The difference modulo 2**16 is right for the last symbol too, whose upper end is stored as 0.
    return (flat[left + 1] - flat[left]).astype(np.int64)


def entropy_bits(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> float:
    """Cross-entropy, in bits, of symbols (N,) under a CDF (N, L + 1): what coding them must cost.

    Raises InvalidArgument where the arguments break the contract of this module.
    """
    check_cdf(cdf)
    check_symbols(cdf, symbols)
    return PRECISION * len(symbols) - float(np.log2(frequencies(cdf, symbols)).sum())


def check_cdf(cdf: NDArray[np.int16]) -> None:
    """Raise InvalidArgument unless `cdf` keeps the contract of this module."""
    if not isinstance(cdf, np.ndarray) or cdf.dtype != np.int16 or cdf.ndim != 2:
        raise InvalidArgument(f"a CDF must be an int16 array (N, L + 1), not {_describe(cdf)}")
    _check_levels(cdf.shape[1] - 1)
    entries = cdf.view(np.uint16)
    if entries[:, 0].any() or entries[:, -1].any():
        raise InvalidArgument("a CDF row must run from 0 to 2**16 (stored as 0)")
    if not (entries[:, 1:-1] > entries[:, :-2]).all():
        raise InvalidArgument("a CDF row must increase strictly: some symbol has no count")


def check_symbols(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> None:
    """Raise InvalidArgument unless `symbols` is int16 (N,) in [0, L) for a valid `cdf`."""
    if not isinstance(symbols, np.ndarray) or symbols.dtype != np.int16 or symbols.ndim != 1:
        raise InvalidArgument(f"symbols must be an int16 array (N,), not {_describe(symbols)}")
    if len(symbols) != len(cdf):
        raise InvalidArgument(f"{len(symbols)} symbols do not match {len(cdf)} CDF rows")
    levels = cdf.shape[1] - 1
    if len(symbols) and not (symbols.min() >= 0 and symbols.max() < levels):
        raise InvalidArgument(
            f"symbols span {symbols.min()}..{symbols.max()}: expected 0..{levels - 1}"
        )


def _check_levels(levels: int) -> None:
    if not 2 <= levels <= MAX_LEVELS:
        raise InvalidArgument(f"an alphabet of {levels} symbols: expected 2..{MAX_LEVELS}")


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
