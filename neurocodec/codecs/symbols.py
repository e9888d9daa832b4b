"""Symbols to coded streams and back, by one walk over groups and passes.

Encoder and decoder run the same `walk`; they differ only in what happens with a pass's
probabilities. The context model runs in float64 and its logits are snapped to the coder's grid
(DESIGN 5), so that the integers handed to the coder are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neurocodec import coding
from neurocodec.errors import CorruptStream
from neurocodec.nets.context import ContextModel, last_of, scale_values
from neurocodec.nets.passes import pass_numbers

# (group, logits (N, L) float64, where (n, H, W) bool) -> which of those L levels (N,) int64 those
# voxels have
Exchange = Callable[[int, Tensor, Tensor], Tensor]
# (group, level indices of the groups before) -> bool (n, H, W), which of its symbols are coded;
# None for all. The others hold the zero symbol and cost nothing.
Coded = Callable[[int, Sequence[Tensor]], Tensor | None]
# (L, number of symbols in each pass of a group), before anything is computed for the group.
Expect = Callable[[int, Sequence[int]], None]


@dataclass(frozen=True)
class RateReport:
    """Three counts that must agree: the estimate of the loss, the coder's output, the file."""

    estimated_bits: float
    coded_bits: int
    file_bits: int


def window_of(levels: int, used: int) -> slice:
    """The ``used`` levels in the middle of ``levels``, which is odd or even as they are.

    >>> window_of(7, 3)
    slice(2, 5, None)
    """
    spare = (levels - used) // 2
    return slice(spare, spare + used)


@torch.no_grad()
def walk(
    context: ContextModel,
    mus: Sequence[Tensor],
    coded: Coded,
    side: Tensor,
    exchange: Exchange,
    expect: Expect = lambda levels, counts: None,
    used: Sequence[int] | None = None,
) -> list[Tensor]:
    """Visit every pass in coding order and exchange its logits for its symbols.

    context: in float64. mus: (Q,) float64 level values of each group. side: (1, 2, H, W) float64.
    used: how many levels of each group have a probability, see `window_of`; all by default.
    Returns the level indices of each group, (n, H, W) int64, in [0, Q).
    """
    rows, cols = side.shape[2:]
    previous = side[:, :0]
    indices: list[Tensor] = []
    used = used or [group.levels for group in context.parts]
    for number, (group, mu, width) in enumerate(zip(context.parts, mus, used, strict=True)):
        zero, window = group.levels // 2, window_of(group.levels, width)
        order = pass_numbers(group.passes, rows, cols, side.device)
        kept = coded(number, indices)
        passes = [(order == step).expand(group.size, -1, -1) for step in range(group.passes)]
        if kept is not None:
            passes = [now & kept for now in passes]
        counts = [int(torch.count_nonzero(where)) for where in passes]
        expect(width, counts)
        index = torch.full((group.size, rows, cols), zero, device=side.device)
        given, below = group.given(previous, side), last_of(previous, side)
        state = group.start(side.new_empty(1, group.size, rows, cols))
        for step, where in enumerate(passes):
            known = scale_values(mu[index], group.levels)[None] * (order < step)
            wanted = where.any(dim=0)
            last, state = group.step(step, known, given, below, order, state, wanted)
            if counts[step]:
                parameters = group.logits.parameters_of(last[..., None])[0, ..., 0]
                voxels = parameters[:, where[:, wanted]].T
                levels = partial(group.logits, mu=mu, window=window)
                out = voxels.new_empty(len(voxels), width)
                logits = by_blocks(levels, width, out, voxels)
                index[where] = window.start + exchange(number, logits, where)
        indices.append(index)
        previous = torch.cat([previous, scale_values(mu[index], group.levels)[None]], dim=1)
    return indices


def by_blocks(compute: Callable[..., Tensor], columns: int, out: Tensor, *tables: Tensor) -> Tensor:
    """``compute`` of tables (N, …), into ``out`` (N, …), whose work is on N × ``columns`` entries.

    A GPU, which starts work slowly and has no such cache, does it at once.
    """
    every = slice(None)
    for rows in [every] if out.is_cuda else coding.blocks(len(out), columns):
        out[rows] = compute(*(table[rows] for table in tables))
    return out


def encode(
    context: ContextModel,
    mus: Sequence[Tensor],
    coded: Coded,
    side: Tensor,
    choose: Exchange,
    used: Sequence[int] | None = None,
) -> tuple[tuple[bytes, ...], int, list[Tensor]]:
    """Code what ``choose`` picks. Returns streams, the grid's offset, and indices a group.

    used: as for `walk`.
    """
    passes: list[tuple[np.ndarray, np.ndarray]] = []

    def exchange(group: int, logits: Tensor, where: Tensor) -> Tensor:
        index = choose(group, logits, where)
        passes.append((logits.cpu().numpy(), index.cpu().numpy().astype(np.int16)))
        return index

    indices = walk(context, mus, coded, side, exchange, used=used)
    offset = coding.choose_offset([logits for logits, _ in passes])
    streams = tuple(
        coding.encode_symbols(coding.cdf_from_grid(coding.snap(logits, offset)), symbols)
        for logits, symbols in passes
    )
    return streams, offset, indices


def decode(
    context: ContextModel,
    mus: Sequence[Tensor],
    coded: Coded,
    side: Tensor,
    streams: Sequence[bytes],
    offset: int,
    used: Sequence[int] | None = None,
    *,
    estimate: bool = True,
) -> tuple[list[Tensor], float]:
    """The inverse of `encode`. Returns indices a group and the float cross-entropy in bits.

    used: as for `walk`, and as it was there.
    estimate: whether to compute the latter, 3 to 5 % of the time to decode; 0 if not.
    Raises CorruptStream where the number of streams, or the length of one, is not what the passes
    need; of a group, before anything is computed for it.
    """
    remaining = list(streams)
    bits = 0.0

    def expect(levels: int, counts: Sequence[int]) -> None:
        coming = [count for count in counts if count]
        if len(coming) > len(remaining):
            raise CorruptStream(
                f"{len(streams)} coded streams are too few for this image: re-encode it"
            )
        for count, stream in zip(coming, remaining, strict=False):
            coding.check_size(count, levels, len(stream))

    def exchange(_: int, logits: Tensor, where: Tensor) -> Tensor:
        nonlocal bits
        cdf = coding.cdf_from_grid(coding.snap(logits.cpu().numpy(), offset))
        symbols = coding.decode_symbols(cdf, remaining.pop(0))
        index = torch.from_numpy(symbols.astype(np.int64)).to(logits.device)
        if estimate:
            nats = torch.log_softmax(logits, dim=1).gather(1, index[:, None]).sum()
            bits -= float(nats) / float(np.log(2))
        return index

    indices = walk(context, mus, coded, side, exchange, expect, used)
    if remaining:
        raise CorruptStream(f"{len(remaining)} coded streams too many for this image: re-encode it")
    return indices, bits
