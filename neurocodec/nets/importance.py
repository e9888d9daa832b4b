"""Which channels matter, and where: channel importance and the spatial importance map."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

ImportanceForm = Literal["predefined", "se", "re"]


class ChannelImportance(nn.Module):
    """Order of the code channels, most important first (CVQN, arXiv 2007.12619, section 3.2).

    - ``predefined``: w_c = c, the model's own order;
    - ``se``: squeeze-and-excitation weights averaged over the batch; they scale the channels, so
      that the loss trains them, and one image's order travels in its header;
    - ``re``: reconstruction error, measured by the trainer on validation crops and stored in
      ``weight``; the order is then the model's own.

    Shape: latent (B, C, H, W) -> latent (B, C, H, W), order (C,) int64.
    """

    weight: Tensor

    def __init__(self, channels: int, form: ImportanceForm = "predefined") -> None:
        super().__init__()
        self.form = form
        self.register_buffer("weight", -torch.arange(channels, dtype=torch.float32))
        if form == "se":
            narrow = max(channels // 4, 1)
            self.excite = nn.Sequential(
                nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid()
            )
        elif form not in ("predefined", "re"):
            raise ValueError(f"unknown channel importance {form!r}: use predefined, se or re")

    @property
    def own_order(self) -> Tensor:
        """Order where the image does not say otherwise: (C,) int64, most important first."""
        return torch.argsort(self.weight, descending=True, stable=True)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        if self.form != "se":
            return latent, self.own_order
        weight = self.excite(latent.abs().mean(dim=(2, 3)))
        order = torch.argsort(weight.detach().mean(dim=0), descending=True, stable=True)
        return latent * (2 * weight)[:, :, None, None], order


def channel_counts(channels: int, levels: int) -> Tensor:
    """Leading channels coded at each level of the map: (levels,) int64, the last is ``channels``.

    ⌈channels · ((level + 1) / levels)²⌉, exactly: the format says so. Quadratic, since the rate
    sits in the first channels: a linear table would spend most of its levels where nothing is
    coded anyway.
    """
    step = torch.arange(1, levels + 1)
    return -(-channels * step**2 // levels**2)


class ImportanceMap(nn.Module):
    """One channel from the encoder's last features through three convolutions, in (0, 1).

    Quantized to ``levels``; a level says how many leading channels are coded at that position
    (Li et al., arXiv 1703.10553; Mentzer et al., arXiv 1801.04260, section 3.3).
    """

    counts: Tensor

    def __init__(self, features: int, channels: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.channels = channels
        narrow = max(features // 4, 8)
        last = nn.Conv2d(narrow, 1, 1)
        nn.init.zeros_(last.weight)
        # Start near "everything": the rate has to argue it down.
        last.bias = nn.Parameter(torch.full((1,), 2.5))
        self.body = nn.Sequential(
            nn.Conv2d(features, narrow, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.ReLU(),
            last,
        )
        self.register_buffer("counts", channel_counts(channels, levels), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, H, W) -> importance (B, 1, H, W) in (0, 1)."""
        return torch.sigmoid(self.body(features))

    def level(self, importance: Tensor) -> Tensor:
        """Importance in (0, 1) -> level (B, 1, H, W) int64 in [0, levels)."""
        return (importance.detach() * self.levels).long().clamp(0, self.levels - 1)

    def mask(self, level: Tensor) -> Tensor:
        """Level (B, 1, H, W) -> bool (B, C, H, W): which symbols are coded."""
        channel = torch.arange(self.channels, device=level.device)[None, :, None, None]
        return channel < self.counts[level]

    def soft_mask(self, importance: Tensor) -> Tensor:
        """The hard mask forward; backward, a ramp over the neighbouring levels' channels."""
        hard = self.mask(self.level(importance)).to(importance.dtype)
        channel = torch.arange(self.channels, device=importance.device)[None, :, None, None]
        needed = torch.sqrt((channel + 0.5) / self.channels)  # inverse of channel_counts
        soft = torch.clamp((importance - needed) * self.levels * 0.5 + 0.5, 0, 1)
        return soft + (hard - soft).detach()
