"""What the one training loop asks of a codec: its networks, their loss, and how they are judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Generator, Tensor, nn

from neurocodec.nets.gain import QUALITY_MAX, QUALITY_MIN
from neurocodec.training.loss import Losses, rate_distortion
from neurocodec.training.recipe import LossConfig

VALIDATION_QUALITIES = (10.0, 30.0, 50.0, 70.0, 90.0)
JUDGED_BY = LossConfig(distortion="ms-ssim")


class System(ABC):
    """One codec's share of the loop."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Fresh networks, as the recipe has them."""

    @abstractmethod
    def part(self, name: str) -> str:
        """The field of `OptimizerConfig` that holds the rate of this parameter."""

    @abstractmethod
    def loss(self, model: Any, x: Tensor, step: int, generator: Generator) -> Losses:
        """Loss of a batch of crops (B, 3, H, W) in [0, 1] at finished step ``step``."""

    @abstractmethod
    def judge(self, model: Any, crops: Tensor) -> list[dict[str, Any]]:
        """Validation: rows with quality, bpp, psnr, ms_ssim; crops (N, 3, S, S) in [0, 1]."""

    @abstractmethod
    def begin(self, model: Any, other: Any, where: str) -> None:
        """Take over another model's parameters. Raises InvalidArgument where they do not fit."""

    def finished(self, model: Any) -> nn.Module:
        """The networks to ship, of those that were trained."""
        return model

    def after_step(self, model: Any, average: Any, epochs: float, crops: Tensor | None) -> bool:
        """Called after each step; ``epochs`` is how many are done. Returns whether it has measured
        weights anew, which processes that train together then share."""
        return False


def judge_rates(model: Any, crops: Tensor) -> list[dict[str, Any]]:
    """Validation of networks called with crops and qualities that give ``x_hat`` and ``bits``."""
    rows = []
    for quality in VALIDATION_QUALITIES:
        results = []
        for x in crops.split(4):
            qualities = torch.full((x.shape[0],), quality, device=x.device)
            output = model(x, qualities)
            x_hat = output.x_hat.clamp(0, 1)
            results.append(rate_distortion(x, x_hat, output.bits, qualities, JUDGED_BY))
        means = {
            key: torch.cat([getattr(result, key) for result in results]).mean().item()
            for key in ("bpp", "psnr", "ms_ssim")
        }
        rows.append({"quality": quality, **means})
    return rows


def stratified(
    batch: int,
    generator: Generator,
    low: float = QUALITY_MIN,
    high: float = QUALITY_MAX,
    power: float = 1.0,
) -> Tensor:
    """Qualities (B,) spread over a range, so that every batch has low, middle and high rates.
    Evenly, or with a ``power`` above 1 the low ones more densely."""
    share = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    return low + (high - low) * share**power
