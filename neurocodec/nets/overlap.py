"""Overlap across the borders of a block transform: blocks that see half of their neighbours.

A filter of the pixels on both sides of every border, before the transform, takes out what the two
blocks have in common; its inverse after the transform of the decoder spreads a block's error
smoothly over the border instead of leaving an edge (Tran, Liang, Tu, "Lapped transform via
time-domain pre- and post-filtering", IEEE Trans. Signal Processing 51(6), 2003).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from neurocodec.nets.block_transform import BLOCK

HALF = BLOCK // 2


class Overlap(nn.Module):
    """The filter along rows, then along columns; borders of the picture stay as they are.

    strength: 0 begins as the identity, 1 as the orthogonal lapped transform; learned further.
    Shape: (B, C, H, W) float, H and W multiples of 16 -> the same.
    """

    def __init__(self, strength: float, inverse: bool = False) -> None:
        super().__init__()
        matrix = border_filter(strength)
        self.matrix = nn.Parameter((matrix.T if inverse else matrix).float().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        for _ in ("rows", "columns"):
            blocks = x.shape[-1] // BLOCK
            inner = x[..., HALF : x.shape[-1] - HALF].unflatten(-1, (blocks - 1, BLOCK))
            inner = (inner @ self.matrix.T).flatten(-2)
            x = torch.cat([x[..., :HALF], inner, x[..., x.shape[-1] - HALF :]], dim=-1)
            x = x.transpose(-1, -2)
        return x


def border_filter(strength: float) -> Tensor:
    """What becomes of the 8 pixels before a border and the 8 behind it: (16, 16) float64.

    The sums of pixels at equal distances stay; their differences are rotated, by the 8-point DCT-IV
    and then the inverse DCT-II (the paper's with s = 1), or by the power ``strength`` of that.
    """
    n = torch.arange(HALF, dtype=torch.float64)
    second = torch.cos(math.pi * (2 * n + 1) * n[:, None] / BLOCK) * math.sqrt(2 / HALF)
    second[0] /= math.sqrt(2)
    fourth = torch.cos(math.pi * (2 * n + 1) * (2 * n[:, None] + 1) / (2 * BLOCK))
    rotation = (second.T @ (fourth * math.sqrt(2 / HALF))).flip(0, 1)
    values, vectors = torch.linalg.eig(rotation)
    turned = (vectors * values**strength @ torch.linalg.inv(vectors)).real
    unit = torch.eye(HALF, dtype=torch.float64)
    upper = torch.cat([unit + turned.flip(0, 1), unit.flip(0) - turned.flip(0)], dim=1)
    lower = torch.cat([unit.flip(0) - turned.flip(1), unit + turned], dim=1)
    return 0.5 * torch.cat([upper, lower])
