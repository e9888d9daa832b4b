"""Channel attention and the residual blocks made of it (RCAN, arXiv 1807.02758, section 3.3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from neurocodec.nets.zeroed import zeroed

AttentionForm = Literal["sigmoid", "deep-softmax"]


class ChannelAttention(nn.Module):
    """Scale each channel by a weight computed from the global average of all channels.

    ``sigmoid`` is squeeze-and-excitation: 1×1 conv, ReLU, 1×1 conv, sigmoid. ``deep-softmax`` has
    four 1×1 convolutions with ReLU between, the first two reducing, the last two expanding, and a
    softmax over channels. The softmax is multiplied by the channel count, so that both forms leave
    a feature's scale about where it was: without this its weights would average 1/C.

    Shape: (B, C, H, W) float -> the same.
    """

    def __init__(self, channels: int, form: AttentionForm = "sigmoid", reduction: int = 4) -> None:
        super().__init__()
        self.form = form
        narrow = max(channels // reduction, 1)
        layers: list[nn.Module]
        if form == "sigmoid":
            layers = [nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1)]
        elif form == "deep-softmax":
            narrower = max(narrow // reduction, 1)
            widths = [channels, narrow, narrower, narrow, channels]
            layers = []
            for fan_in, fan_out in pairwise(widths):
                layers += [nn.Conv2d(fan_in, fan_out, 1), nn.ReLU()]
            layers.pop()
        else:
            raise ValueError(f"unknown channel attention {form!r}: use sigmoid or deep-softmax")
        self.excite = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.excite(x.mean(dim=(2, 3), keepdim=True))
        if self.form == "sigmoid":
            return x * torch.sigmoid(scores)
        return x * (torch.softmax(scores, dim=1) * x.shape[1])


class ResidualChannelAttentionBlock(nn.Module):
    """RCAB: x + attention(conv(ReLU(conv(x)))), 3×3 convolutions of unchanged width."""

    def __init__(self, channels: int, attention: AttentionForm = "sigmoid") -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            ChannelAttention(channels, attention),
        )

    def add_nothing(self) -> None:
        """Zero the last convolution, so that the block passes its input on."""
        zeroed(cast(nn.Conv2d, self.body[2]))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ResidualGroup(nn.Module):
    """A run of RCABs closed by a 3×3 convolution, with a skip around the whole (RCAN, eq. 5).

    Shape: x (B, C, H, W); weight of what is added to it, such as (B, C, 1, 1), default 1 -> as x.
    """

    def __init__(self, channels: int, blocks: int, attention: AttentionForm = "sigmoid") -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(ResidualChannelAttentionBlock(channels, attention) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        added = self.body(x)
        return x + (added if weight is None else weight * added)
