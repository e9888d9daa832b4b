"""The discrete cosine transform as a matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II of ``size`` samples: (size, size) float64, a frequency a row.

    >>> dct_matrix(2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    n = torch.arange(size, dtype=torch.float64)
    cosines = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / (2 * size))
    return cosines * torch.where(n == 0, math.sqrt(1 / size), math.sqrt(2 / size))[:, None]
