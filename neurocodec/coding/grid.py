"""Logits to integers that are the same on every machine.

A network evaluated in float64 gives logits that differ between machines, thread counts and
instruction sets by 1e-13 to 2e-12. Rounded to a coarse grid they become equal integers, except
where a logit sits on a rounding boundary. The encoder looks for such logits and, should there be
one, shifts the whole grid by a fraction of a step; the file records that offset in one byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding.blocks import blocks
from neurocodec.errors import InvalidArgument, NczError

LOGIT_STEP = 1 / 32
"""Width of a grid cell, in logit units (nats). A power of two: scaling by it is exact."""

OFFSETS = 256
"""Number of grid offsets; offset k shifts the grid by k/256 of a step."""

_LIMIT = 2**15
_NAN = "a logit is NaN: the weights or the input of the network are damaged"


def snap(logits: NDArray[np.float64], offset: int = 0) -> NDArray[np.int32]:
    """Round float64 logits (N, L) to grid indices (N, L), int32 in [-2**15, 2**15].

    The index is floor(logit / LOGIT_STEP + 1/2 + offset / 256), clipped.

    Raises InvalidArgument for another dtype or shape, a NaN, or an offset outside 0..255.
    """
    _check(logits, offset)
    indices = np.empty(logits.shape, np.int32)
    for rows in blocks(*logits.shape):
        position = _grid_position(logits[rows], offset)
        np.floor(position, out=position)
        np.clip(position, -_LIMIT, _LIMIT, out=position)
        if np.isnan(position.sum()):  # a NaN anywhere; its conversion to int32 would be arbitrary
            raise InvalidArgument(_NAN)
        indices[rows] = position
    return indices


def boundary_distance(logits: NDArray[np.float64], offset: int = 0) -> float:
    """Smallest distance, in logit units, of any of the logits (N, L) to a rounding boundary.

    At most LOGIT_STEP / 2, which is also the answer for no logits at all. A logit that
    :func:`snap` clips is as far from a boundary as can be. Raises as :func:`snap` does.
    """
    _check(logits, offset)
    distance = 0.5
    for rows in blocks(*logits.shape):
        position = _grid_position(logits[rows], offset)
        # Clip to the middle of the outermost cells: beyond them there are no boundaries.
        np.clip(position, -_LIMIT + 0.5, _LIMIT + 0.5, out=position)
        position -= np.rint(position)
        nearest = float(np.abs(position, out=position).min(initial=0.5))
        if np.isnan(nearest):
            raise InvalidArgument(_NAN)
        distance = min(distance, nearest)
    return distance * LOGIT_STEP


def guard_for(count: int) -> float:
    """How far from a boundary each of ``count`` logits must keep, in logit units.

    1e-9 for pictures of up to about a megapixel. Beyond, so many logits cannot all keep that
    distance at any offset: the guard narrows until about one stray is expected at each. At 100
    megapixels it is 1e-11, still above the 2e-12 by which summation orders differ at most.
    """
    return min(1e-9, LOGIT_STEP / (2 * max(count, 1)))


def choose_offset(logit_arrays: Sequence[NDArray[np.float64]], guard: float | None = None) -> int:
    """The first grid offset, 0..255, at which no logit lies within `guard` of a boundary.

    `guard` is that of :func:`guard_for` unless given. `logit_arrays` holds every array (N, L) of
    one image that goes through :func:`snap`. The answer is 0 for most images of up to a
    megapixel. Raises NczError where no offset is clear.
    """
    if guard is None:
        guard = guard_for(sum(logits.size for logits in logit_arrays))
    for offset in range(OFFSETS):
        if all(boundary_distance(logits, offset) > guard for logits in logit_arrays):
            return offset
    raise NczError(
        f"every grid offset leaves a logit within {guard:g} of a rounding boundary: "
        "encode at a slightly different quality"
    )


def _check(logits: NDArray[np.float64], offset: int) -> None:
    if logits.dtype != np.float64 or logits.ndim != 2:
        raise InvalidArgument(
            f"logits have dtype {logits.dtype} and shape {logits.shape}: expected float64 (N, L)"
        )
    if not 0 <= offset < OFFSETS:
        raise InvalidArgument(f"grid offset {offset} is outside 0..{OFFSETS - 1}")


def _grid_position(logits: NDArray[np.float64], offset: int) -> NDArray[np.float64]:
    """A fresh array whose floor is the grid index."""
    position = logits * (1 / LOGIT_STEP)
    position += 0.5 + offset / OFFSETS
    return position
