"""MS-SSIM of large images, a strip of rows at a time: what the pytorch-msssim package computes of
the whole at once, in many times the memory of the image."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 256
"""Rows of a strip; even, so that strips fall between the pairs of rows that are averaged."""

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Plane = np.ndarray[Any, np.dtype[Any]]


@torch.no_grad()
def ms_ssim(a: Plane, b: Plane) -> float:
    """Mean over the channels of two images (H, W, 3) uint8, sides of 161 at least."""
    return float(np.mean([_of_planes(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def _of_planes(x: Plane, y: Plane) -> float:
    value = 1.0
    for level, weight in enumerate(WEIGHTS):
        if level:
            x, y = _halved(x), _halved(y)
        full, structure = _means(x, y)
        value *= max(0.0, full if level == len(WEIGHTS) - 1 else structure) ** weight
    return value


def _window() -> Tensor:
    """Gaussian of 11 values, sigma 1.5."""
    window = torch.exp(-(torch.arange(-5.0, 6.0) ** 2) / (2 * 1.5**2))
    return window / window.sum()


def _means(x: Plane, y: Plane) -> tuple[float, float]:
    """Mean SSIM of two planes, and that of its contrast and structure alone."""
    window = _window()
    reach = len(window) - 1
    sums, count = torch.zeros(2, dtype=torch.float64), 0
    for start in range(0, x.shape[0] - reach, ROWS):
        p, q = (_tensor(plane[start : start + ROWS + reach]) for plane in (x, y))
        maps = torch.stack([p, q, p * p, q * q, p * q])[:, None]
        maps = F.conv2d(F.conv2d(maps, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
        mean_p, mean_q, pp, qq, pq = maps[:, 0]
        structure = (2 * (pq - mean_p * mean_q) + C2) / (pp - mean_p**2 + qq - mean_q**2 + C2)
        full = (2 * mean_p * mean_q + C1) / (mean_p**2 + mean_q**2 + C1) * structure
        sums += torch.stack([full.double().sum(), structure.double().sum()])
        count += full.numel()
    full_mean, structure_mean = (sums / count).tolist()
    return full_mean, structure_mean


def _halved(x: Plane) -> Plane:
    """Averages of 2×2; an odd side begins with a row or column of zeros, as in the package."""
    odd_rows, odd_cols = x.shape[0] % 2, x.shape[1] % 2
    parts = []
    # The first strip is a row shorter where one is put before it.
    edges = [0, *range(ROWS - odd_rows, x.shape[0], ROWS), x.shape[0]]
    for start, end in pairwise(edges):
        top = odd_rows if start == 0 else 0
        part = F.pad(_tensor(x[start:end]), (odd_cols, 0, top, 0))
        parts.append(F.avg_pool2d(part[None], 2)[0].numpy())
    return np.concatenate(parts)


def _tensor(rows: Plane) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, np.float32))
