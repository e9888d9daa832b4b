"""Mixtures of K Gaussians over the integers: what a prior network says of each symbol.

A network gives 3K numbers a symbol. `parameters` turns them into log-weights, means and log-scales
in units of quantized integers, (…, 3K) in that order, the row that `coding.mixture` takes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_SCALES = (-2.5, 6.0)
"""σ from 0.08 to 403, the range of `coding.mixture`'s grid."""

FLOOR = 2.0**-16
"""The coder leaves each symbol at least one count of 2**16."""

OUTLIER = 15.5  # bits


def parameters(raw: Tensor, unit: Tensor) -> Tensor:
    """Outputs of a network (B, 3K·n, H, W) -> (B, n, H, W, 3K).

    unit: (B, n, 1, 1) > 0, the natural deviation of each channel in integers at this quality. Means
    and scales are predicted relative to it, so that what is learned at one rate holds at others.
    """
    batch, _, rows, cols = raw.shape
    channels = unit.shape[1]
    raw = raw.view(batch, channels, -1, rows, cols)
    weight, mean, scale = raw.chunk(3, dim=2)
    # Components start apart: the k-th has e^k times the scale of the first.
    spread = torch.arange(weight.shape[2], dtype=raw.dtype, device=raw.device)[:, None, None]
    mean = mean * unit[:, :, None]
    scale = (scale + spread - 1.0 + unit[:, :, None].log()).clamp(*LOG_SCALES)
    return torch.cat([weight, mean, scale], dim=2).movedim(2, -1)


def bits(parameters: Tensor, latent: Tensor) -> Tensor:
    """Information of the integers next to ``latent`` (…) under mixtures (…, 3K), in bits.

    The mixtures learn from the integers, as the coder will meet them. The gradient with respect to
    ``latent`` is that of its information with uniform noise of one unit, in expectation, which is a
    difference of two informations: rounding has no gradient of its own, and the slope at the
    integer would leave free whatever rounds to zero.
    """
    weight, mean, scale = parameters.chunk(3, dim=-1)
    weight = torch.softmax(weight, dim=-1)
    inverse = torch.exp(-scale)
    here = _information(latent.detach().round()[..., None] - mean, inverse, weight)
    if not latent.requires_grad:
        return here
    with torch.no_grad():
        distance = latent[..., None] - mean
        slope = _information(distance + 0.5, inverse, weight)
        slope -= _information(distance - 0.5, inverse, weight)
        # Far outside of the mixture, where the floor is all there is, the way back is clear.
        away = torch.sign((weight * distance).sum(dim=-1))
        slope = torch.where(here > OUTLIER, away * OUTLIER / 2, slope)
    return here + slope * (latent - latent.detach())


def _information(distance: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """−log2 of the mixture's probability of an interval of one unit so far from the means."""
    # By symmetry on the left side, where differences of Φ do not cancel.
    left = -distance.abs()
    scale = inverse * math.sqrt(0.5)
    share = 0.5 * (torch.erfc((-0.5 - left) * scale) - torch.erfc((0.5 - left) * scale))
    probability = (weight * share).sum(dim=-1)
    return -torch.log2(probability * (1 - FLOOR) + FLOOR)
