"""Muon: momentum whose matrices are made orthogonal before they are applied.

Jordan et al., "Muon: an optimizer for hidden layers", kellerjordan.github.io/posts/muon, 2024; its
quintic Newton–Schulz iteration. The step's size is that of Adam, 0.2·√max(rows, columns) (Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2), so rates carry over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SMALLEST = 16  # matrices with a side below are left to Adam


def suits(parameter: nn.Parameter) -> bool:
    """Whether the parameter is the kernel of a convolution that Muon is meant for."""
    return parameter.dim() == 4 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST


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


class Muon(torch.optim.Optimizer):
    """For kernels (out, in, h, w), each taken as a matrix (out, in·h·w)."""

    def __init__(self, parameters: Any, lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad.flatten(1)
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(gradient)
                momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
                update = orthogonalise(gradient.lerp(momentum, MOMENTUM))
                size = 0.2 * max(update.shape) ** 0.5
                parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * size)
