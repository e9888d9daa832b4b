"""The block codec inside of ComRec: 8×8 DCT of Y, Cb, Cr, learned tables, learned context.

JPEG's transform with what JPEG of 1992 could not have: quantization tables trained for the rate
that a context model needs, and that context model (`nets.context`) in place of Huffman tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets.context import ContextConfig, ContextModel
from neurocodec.nets.dct import dct_matrix
from neurocodec.nets.gain import QualityGain

BLOCK = 8
# ITU-T T.871 (JFIF): Y, Cb, Cr from R, G, B, all in 8-bit units and centred.
YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    dtype=torch.float64,
)
PLANES = 3
ANCHORS = 6
# Groups in coding order: the three DC, low and middle luma, chroma, high luma.
CHROMA, HIGH_LUMA = 3, 4


def zigzag() -> list[tuple[int, int]]:
    """(row, column) of the 64 frequencies in JPEG's order."""
    diagonal = [(u, v) for u in range(BLOCK) for v in range(BLOCK)]
    # Odd diagonals run downwards, even ones upwards.
    return sorted(diagonal, key=lambda p: (p[0] + p[1], p[0] if (p[0] + p[1]) % 2 else p[1]))


@dataclass(frozen=True)
class BlockDCTConfig:
    """A channel is one frequency of one plane; chroma keeps its lowest ``chroma`` of 64.

    Five groups: the three DC coefficients, low and middle luma, chroma, high luma.
    bounds: where low, middle and high luma begin and end in the zigzag order.
    levels: of each group, odd; coefficients beyond ±⌊levels/2⌋ steps are clipped.
    steps: quantization step at quality 1 and at 100 of a full-size picture, before training.
    """

    chroma: int = 16
    bounds: tuple[int, int, int, int] = (1, 10, 28, 64)
    levels: tuple[int, int, int, int, int] = (127, 63, 31, 23, 15)
    steps: tuple[float, float] = (90.0, 14.0)
    context: ContextConfig = field(
        default_factory=lambda: ContextConfig(passes=(3, 2, 2, 2, 2), hidden=64)
    )

    @property
    def channels(self) -> list[tuple[int, int]]:
        """(plane, place in the zigzag order) of each channel, in coding order."""
        return [entry for group in self._groups for entry in group]

    @property
    def groups(self) -> list[int]:
        return [len(group) for group in self._groups]

    @property
    def _groups(self) -> list[list[tuple[int, int]]]:
        luma = [
            [(0, place) for place in range(start, end)]
            for start, end in zip(self.bounds, self.bounds[1:], strict=False)
        ]
        chroma = [(plane, place) for place in range(1, self.chroma) for plane in (1, 2)]
        return [[(1, 0), (2, 0), (0, 0)], *luma[:-1], chroma, luma[-1]]


def filters(channels: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis filters, (C, 3, 8, 8) each, of (plane, row, column) frequencies."""
    cosines = dct_matrix(BLOCK)
    blocks = [cosines[u][:, None] * cosines[v][None] for _, u, v in channels]
    analysis, synthesis = (
        torch.stack(
            [
                matrix[plane][:, None, None] * block
                for (plane, _, _), block in zip(channels, blocks, strict=True)
            ]
        ).float()
        for matrix in (YCBCR, torch.linalg.inv(YCBCR).T)
    )
    return analysis, synthesis


class BlockDCT(nn.Module):
    """Transform, tables and context model. Coefficients are in 8-bit units, as JPEG's."""

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, config: BlockDCTConfig) -> None:
        super().__init__()
        self.config = config
        order = zigzag()
        channels = [(plane, *order[place]) for plane, place in config.channels]
        analysis, synthesis = filters(channels)
        self.register_buffer("analysis", analysis, persistent=False)
        self.register_buffer("synthesis", synthesis, persistent=False)
        frequency = torch.tensor([u + v for _, u, v in channels], dtype=torch.float32)
        chroma = torch.tensor([plane > 0 for plane, _, _ in channels])
        first, last = config.steps
        steps = first * (last / first) ** torch.linspace(0, 1, ANCHORS)[:, None]
        # A table that rises with frequency does better in PSNR than a flat one, but less steeply
        # than JPEG's own; DC is what the eye sees first.
        shape = torch.where(frequency == 0, torch.tensor(0.6), 1 + 0.15 * frequency)
        shape = torch.where(chroma, 0.7 * shape, shape)
        # A coefficient of a half-size picture covers four times the pixels.
        self.full_steps = QualityGain(steps * shape)
        self.half_steps = QualityGain(steps * shape / 2)
        self.context = ContextModel(
            config.groups, list(config.levels), list(config.context.passes),
            config.context.features, config.context.hidden, config.context.residual_kernel,
            config.context.rank,
        )  # fmt: skip

    def steps(self, quality: Tensor, half: bool) -> Tensor:
        """Quality (B,) -> quantization steps (B, C, 1, 1)."""
        return (self.half_steps if half else self.full_steps)(quality)

    def transform(self, x: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [0, 1], multiples of 8 -> coefficients (B, C, H/8, W/8)."""
        return F.conv2d((x - 0.5) * 255, self.analysis, stride=BLOCK)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients (B, C, h, w) -> image (B, 3, 8h, 8w), not clipped."""
        return F.conv_transpose2d(coefficients, self.synthesis, stride=BLOCK) / 255 + 0.5

    def mus(self, like: Tensor) -> list[Tensor]:
        """The integers that the levels of each group stand for, (Q,) in the dtype of ``like``."""
        return [
            torch.arange(levels, dtype=like.dtype, device=like.device) - levels // 2
            for levels in self.config.levels
        ]

    @staticmethod
    def coded_blocks(group: int, before: Sequence[Tensor]) -> Tensor | None:
        """Which blocks code this group, from the values (B, n, h, w) of the groups before.

        Returns bool (B, 1, h, w), or None for all of them. Most blocks end early, as JPEG's do:
        a group of luma is coded where the group of luma before it has anything but zeros, chroma
        where the lowest group of luma has, or where chroma's DC differs from a neighbour's.
        """
        if group < 2:
            return None
        active = (before[2 if group == HIGH_LUMA else 1] != 0).any(dim=1, keepdim=True)
        if group == CHROMA:
            chroma = before[0][:, :2]
            steps = F.pad(
                (chroma[:, :, 1:] != chroma[:, :, :-1]).any(1, keepdim=True), (0, 0, 1, 1)
            )
            active = active | steps[:, :, 1:] | steps[:, :, :-1]
            steps = F.pad((chroma[..., 1:] != chroma[..., :-1]).any(1, keepdim=True), (1, 1))
            active = active | steps[..., 1:] | steps[..., :-1]
        return active

    @staticmethod
    def side(quality: Tensor, half: bool, like: Tensor) -> Tensor:
        """Side input of the context model, (B, 2, h, w): size of the picture, and quality."""
        batch, _, rows, cols = like.shape
        plane = (quality / 100).to(like.dtype)[:, None, None, None].expand(batch, 1, rows, cols)
        return torch.cat([torch.full_like(plane, half), plane], dim=1)

    def forward(self, x: Tensor, quality: Tensor, half: bool) -> tuple[Tensor, Tensor]:
        """The training pass: image -> decoded image (B, 3, H, W), bits (B,)."""
        steps = self.steps(quality, half)
        scaled = self.transform(x) / steps
        values: list[Tensor] = []
        coded = []
        parts = scaled.split(self.config.groups, 1)
        for group, (part, levels) in enumerate(zip(parts, self.config.levels, strict=True)):
            limit = levels // 2
            rounded = part + (part.round() - part).detach()
            blocks = self.coded_blocks(group, values)
            kept = torch.ones_like(x[:, :1, :1, :1]) if blocks is None else blocks.to(x.dtype)
            values.append(rounded.clamp(-limit, limit) * kept)
            coded.append(kept)
        mus = self.mus(x)
        all_logits = self.context(values, mus, self.side(quality, half, scaled))
        bits = x.new_zeros(x.shape[0])
        for logits, value, mu, kept in zip(all_logits, values, mus, coded, strict=True):
            log_p = F.log_softmax(logits, dim=-1)
            nats = -interpolated(log_p, value - mu[0]) * kept
            bits = bits + nats.sum(dim=(1, 2, 3)) / math.log(2)
        return self.inverse(torch.cat(values, dim=1) * steps), bits


def interpolated(log_p: Tensor, position: Tensor) -> Tensor:
    """log_p (…, Q) at an integer position (…), with the central difference as its gradient.

    Rounding has no gradient of its own; the slope of the table at the symbol tells the transform
    which way bits get fewer.
    """
    index = position.detach().round().long()
    last = log_p.shape[-1] - 1
    here = log_p.gather(-1, index[..., None])[..., 0]
    above = log_p.gather(-1, (index + 1).clamp(max=last)[..., None])[..., 0]
    below = log_p.gather(-1, (index - 1).clamp(min=0)[..., None])[..., 0]
    slope = (above - below).detach() / 2
    return here + slope * (position - position.detach())
