"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al., "SOAP: Improving and stabilizing Shampoo using Adam", arXiv 2409.11321, algorithm 3.
The basis follows by a step of power iteration and a QR decomposition every `EVERY` steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurocodec.training.kernels import KernelOptimizer

BETA = 0.95  # of momentum, second moment and both factors of the preconditioner
EVERY = 10
LARGEST = 600  # a side above keeps its own basis: a matrix of its square would have to be factored
EPSILON = 1e-8


class Soap(KernelOptimizer):
    """The first step of a kernel only finds its basis."""

    def _update(self, gradient: Tensor, state: dict[str, Any]) -> tuple[Tensor, float]:
        factors = {"rows": gradient @ gradient.T} if len(gradient) <= LARGEST else {}
        if gradient.shape[1] <= LARGEST:
            factors["columns"] = gradient.T @ gradient
        if not state:
            state["steps"] = 0
            state["momentum"] = torch.zeros_like(gradient)
            state["square"] = torch.zeros_like(gradient)
            for side, factor in factors.items():
                state[side] = factor
                state[f"{side}_basis"] = torch.linalg.eigh(factor).eigenvectors.flip(1)
            return torch.zeros_like(gradient), 1.0
        state["steps"] += 1
        rotated = _rotated(gradient, state)
        momentum = state["momentum"].lerp_(gradient, 1 - BETA)
        square = state["square"].lerp_(rotated.square(), 1 - BETA)
        unbiased = 1 - BETA ** state["steps"]
        step = _rotated(momentum, state) / unbiased / ((square / unbiased).sqrt() + EPSILON)
        update = _rotated(step, state, back=True)
        for side, factor in factors.items():
            state[side].lerp_(factor, 1 - BETA)
            if state["steps"] % EVERY == 0:
                power = state[side] @ state[f"{side}_basis"]
                state[f"{side}_basis"] = torch.linalg.qr(power).Q
        return update, 1.0


def _rotated(matrix: Tensor, state: dict[str, Any], back: bool = False) -> Tensor:
    """Into the eigenbasis of the sides that have one, or back."""
    rows, columns = state.get("rows_basis"), state.get("columns_basis")
    if rows is not None:
        matrix = (rows if back else rows.T) @ matrix
    if columns is not None:
        matrix = matrix @ (columns.T if back else columns)
    return matrix
