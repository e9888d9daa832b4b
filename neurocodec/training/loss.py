"""The rate–distortion loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from neurocodec.nets.gain import QUALITY_MAX, QUALITY_MIN
from neurocodec.training.recipe import LossConfig


class Losses(NamedTuple):
    """``total`` to minimise; the rest for curves: bits per pixel, dB, and MS-SSIM in [0, 1]."""

    total: Tensor
    bpp: Tensor
    psnr: Tensor
    ms_ssim: Tensor


def distortion_weight(quality: Tensor, config: LossConfig) -> Tensor:
    """λ(q), geometric in quality: (B,) -> (B,)."""
    low, high = config.weight
    share = (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN)
    return low * (high / low) ** share


def rate_distortion(
    x: Tensor,
    x_hat: Tensor,
    bits: Tensor,
    quality: Tensor,
    config: LossConfig,
    penalty: Tensor | float = 0.0,
) -> Losses:
    """Loss of one batch. x, x_hat: (B, 3, H, W), x in [0, 1], H and W above 160 where MS-SSIM
    counts; bits, quality: (B,); penalty: (B,) or a scalar, what else there is to pay, in bpp.
    """
    bpp = bits / (x.shape[2] * x.shape[3])
    mse = torch.mean((x_hat - x) ** 2, dim=(1, 2, 3))
    weight = distortion_weight(quality, config)
    if config.distortion == "ms-ssim":
        # Contiguous: cuDNN would blur pictures that are channels_last in tf32, too coarse for
        # variances, which are small differences of large means.
        pair = x_hat.contiguous(), x.contiguous()
        similarity = ms_ssim(*pair, data_range=1.0, size_average=False)
        distortion = 1 - similarity + config.mse_share * mse
    else:
        similarity = torch.full_like(mse, float("nan"))
        distortion = mse * 255**2
    total = weight * distortion + bpp + penalty
    middle = (config.weight[0] * config.weight[1]) ** 0.5
    total = total * (middle / weight) ** config.balance
    psnr = -10 * torch.log10(mse.detach().clamp(min=1e-10))
    return Losses(total.mean(), bpp.detach(), psnr, similarity.detach())
