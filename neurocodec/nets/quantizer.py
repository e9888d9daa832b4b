"""Scalar quantization by a Gaussian mixture whose means are the levels (CVQN, arXiv 2007.12619)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantized(NamedTuple):
    """``values`` (…) and ``assignment`` (…, Q) are hard forward and soft backward."""

    values: Tensor
    level: Tensor
    assignment: Tensor
    log_likelihood: Tensor


class GMMQuantizer(nn.Module):
    """Q components π, μ, σ. Forward takes the μ of greatest responsibility; backward sees the
    responsibility-weighted mean.

    Start (section 3.3 of the paper): μ = −⌊Q/2⌋…⌊Q/2⌋, σ = 0.7072, π = 1/Q.
    Shape: z (…) float -> values (…) float, level (…) int64 in [0, Q), assignment (…, Q) float that
    sums to 1, log_likelihood (…) float in nats.
    """

    def __init__(self, levels: int, sigma: float = 0.7072) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.arange(levels, dtype=torch.float32) - levels // 2)
        self.log_sigma = nn.Parameter(torch.full((levels,), sigma).log())
        self.log_pi = nn.Parameter(torch.zeros(levels))

    @property
    def levels(self) -> int:
        return self.mu.shape[0]

    @property
    def zero(self) -> int:
        """Index of the zero symbol: what an uncoded position holds."""
        return self.levels // 2

    def log_responsibility(self, z: Tensor, window: slice = slice(None)) -> Tensor:
        """log π_k N(z; μ_k, σ_k), up to a constant, of the L levels k in the window, all Q by
        default: (…) -> (…, L)."""
        log_sigma = self.log_sigma[window]
        deviation = (z[..., None] - self.mu[window]) * torch.exp(-log_sigma)
        return F.log_softmax(self.log_pi, dim=0)[window] - log_sigma - 0.5 * deviation * deviation

    def forward(self, z: Tensor) -> Quantized:
        score = self.log_responsibility(z)
        log_likelihood = torch.logsumexp(score, dim=-1)
        soft = torch.exp(score - log_likelihood[..., None])
        index = score.detach().argmax(dim=-1)
        hard = F.one_hot(index, self.levels).to(soft.dtype)
        assignment = soft + (hard - soft).detach()
        return Quantized(assignment @ self.mu, index, assignment, log_likelihood)
