"""Quality as a gain a channel (Cui et al., Asymmetric Gained VAE, arXiv 2003.02012, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

QUALITY_MIN, QUALITY_MAX = 1.0, 100.0


def check_anchors(anchors: int) -> None:
    """ValueError where so many are too few to lie between."""
    if anchors < 2:
        raise ValueError(f"gain_anchors {anchors}: use 2 or more")


class QualityGain(nn.Module):
    """Per-channel gains at ``anchors`` qualities spread over 1…100, interpolated in the log domain.

    Shape: quality (B,) float in [1, 100] -> gains (B, C, 1, 1) float, > 0.
    """

    def __init__(self, initial: Tensor) -> None:
        """``initial``: (anchors, C) gains > 0, from quality 1 to quality 100."""
        super().__init__()
        self.log_gain = nn.Parameter(initial.log())

    def forward(self, quality: Tensor) -> Tensor:
        last = self.log_gain.shape[0] - 1
        position = (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * last
        lower = position.floor().clamp(0, last - 1).long()
        weight = (position - lower)[:, None].to(self.log_gain.dtype)
        log_gain = torch.lerp(self.log_gain[lower], self.log_gain[lower + 1], weight)
        return log_gain.exp()[:, :, None, None]
