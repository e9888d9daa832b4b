"""Channel importance by reconstruction error (CVQN, arXiv 2007.12619, section 3.2, "RE")."""

from __future__ import annotations

import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from neurocodec.nets.cvqn import CVQN

MEASURED_AT = 50.0  # the quality that the decoder is told


@torch.no_grad()
def refresh_importance(model: CVQN, x: Tensor) -> None:
    """Set ``model.importance.weight`` to what is lost, in MS-SSIM, when a channel is zeroed.

    x: (B, 3, H, W) in [0, 1], validation crops, sides above 160 and multiples of 16.
    """
    latent, _ = model.analyse(x)
    quality = latent.new_full((len(latent),), MEASURED_AT)
    whole = model.synthesise(latent, quality)
    weights = []
    for channel in range(latent.shape[1]):
        without = latent.clone()
        without[:, channel] = 0
        weights.append(1 - ms_ssim(model.synthesise(without, quality), whole, data_range=1.0))
    model.importance.weight.copy_(torch.stack(weights))
