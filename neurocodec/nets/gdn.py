"""Generalized divisive normalization (Ballé et al., arXiv 1511.06281, section 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LowerBound(torch.autograd.Function):
    """max(x, bound) whose gradient still lets x climb back above the bound."""

    @staticmethod
    def forward(ctx, x: Tensor, bound: float) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad * ((x >= ctx.bound) | (grad < 0)), None


class GDN(nn.Module):
    """y_c = x_c · (β_c + Σ_j γ_cj x_j²)^(-1/2); with ``inverse``, the exponent is +1/2.

    β and γ are stored as square roots, as in compressai, so that small values move slowly and
    stay positive.

    Shape: (B, C, H, W) float -> the same.
    """

    PEDESTAL = 2.0**-36

    def __init__(self, channels: int, inverse: bool = False, gamma_init: float = 0.1) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta_root = nn.Parameter(torch.sqrt(torch.ones(channels) + self.PEDESTAL))
        self.gamma_root = nn.Parameter(torch.sqrt(gamma_init * torch.eye(channels) + self.PEDESTAL))

    def forward(self, x: Tensor) -> Tensor:
        beta = LowerBound.apply(self.beta_root, (1e-6 + self.PEDESTAL) ** 0.5) ** 2 - self.PEDESTAL
        gamma = LowerBound.apply(self.gamma_root, self.PEDESTAL**0.5) ** 2 - self.PEDESTAL
        norm = F.conv2d(x * x, gamma[:, :, None, None], beta)
        return x * (torch.sqrt(norm) if self.inverse else torch.rsqrt(norm))
