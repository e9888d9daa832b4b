"""What optimizers for the kernels of convolutions share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 16  # matrices with a side below are left to Adam


def suits(parameter: nn.Parameter) -> bool:
    """Whether the parameter is the kernel of a convolution that they are meant for."""
    return parameter.dim() == 4 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST


class KernelOptimizer(torch.optim.Optimizer):
    """For kernels (out, in, h, w), each taken as a matrix (out, in·h·w)."""

    def __init__(self, parameters: Any, lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    gradient = parameter.grad.flatten(1)
                    update, size = self._update(gradient, self.state[parameter])
                    parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * size)

    @abstractmethod
    def _update(self, gradient: Tensor, state: dict[str, Any]) -> tuple[Tensor, float]:
        """Of a matrix: its direction, and the factor on it besides the rate."""
