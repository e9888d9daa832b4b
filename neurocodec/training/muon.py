"""Muon: momentum whose matrices are made orthogonal before they are applied.

Jordan et al., "Muon: an optimizer for hidden layers", kellerjordan.github.io/posts/muon, 2024; its
quintic Newton–Schulz iteration. The step's size is that of Adam, 0.2·√max(rows, columns) (Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2), so rates carry over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurocodec.training.kernels import KernelOptimizer

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: Tensor) -> Tensor:
    """About U Vᵀ of a matrix U S Vᵀ: singular values between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(a * x, b * square + c * square @ square, x)
    return x.T if tall else x


class Muon(KernelOptimizer):
    """Of each kernel, its momentum made orthogonal."""

    def _update(self, gradient: Tensor, state: dict[str, Any]) -> tuple[Tensor, float]:
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        update = orthogonalise(gradient.lerp(momentum, MOMENTUM))
        return update, 0.2 * max(update.shape) ** 0.5
