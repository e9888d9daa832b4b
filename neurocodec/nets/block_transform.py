"""A linear path beside a transform network: a block DCT with divisive companding.

A network of a few convolutions needs long to learn what a block transform gives at once. Here the
network is a residual to that transform: it starts from a working codec instead of from noise.
All of it is learned further.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets.dct import dct_matrix

BLOCK = 16
# Orthonormal: luma-like sum and two differences, about the Karhunen–Loève axes of natural RGB.
COLOUR = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
COLOUR = COLOUR / COLOUR.norm(dim=1, keepdim=True)
SSIM_C2 = 0.03**2  # the constant of SSIM's contrast term, for values in [0, 1]
MEDIUM_STEP = 36 / 255
# How much of MS-SSIM's weight (Wang 2003) sees frequencies below 1, 1/2, 1/4, 1/8 of Nyquist.
SCALE_WEIGHTS = ((8.0, 0.0448), (4.0, 0.3304), (2.0, 0.6305), (1.0, 0.8668))


def dct_basis(channels: int) -> tuple[Tensor, Tensor]:
    """The ``channels`` lowest frequencies of three colour planes' 16×16 DCT.

    Chroma ranks behind luma of twice its frequency. Returns filters (C, 3, 16, 16), orthonormal,
    and their frequencies (C,) in half-cycles per block, ordered from low to high rank.
    """
    cosines = dct_matrix(BLOCK)
    entries = []
    for plane in range(3):
        for u in range(BLOCK):
            for v in range(BLOCK):
                frequency = math.hypot(u, v)
                rank = frequency if plane == 0 else 2.0 * frequency + 1.0
                entries.append((rank, plane, u, v, frequency))
    entries.sort()
    filters = torch.stack(
        [
            COLOUR[plane].double()[:, None, None] * cosines[u][:, None] * cosines[v][None]
            for _, plane, u, v, _ in entries[:channels]
        ]
    )
    return filters.float(), torch.tensor([entry[4] for entry in entries[:channels]])


def initial_steps(frequencies: Tensor, companded: bool = True) -> Tensor:
    """Quantization step of each coefficient at medium quality, for values in [0, 1]: (C,).

    Without companding all are the same, as squared error wants them. With it, steps widen with
    frequency as MS-SSIM's weight falls: Δ ∝ 1/√weight. DC is not companded, so its step is in its
    own units; as one coefficient of 256 it must not be coarse to be cheap.
    """
    if not companded:
        return torch.full_like(frequencies, MEDIUM_STEP)
    weight = torch.ones_like(frequencies)
    for limit, share in reversed(SCALE_WEIGHTS):
        weight = torch.where(frequencies >= limit, torch.full_like(weight, share), weight)
    return torch.where(frequencies == 0, 0.3, 0.5 * torch.rsqrt(weight))


def check_companding(exponent: float) -> None:
    """ValueError where `Companding` by this exponent has no inverse."""
    if not 0 <= exponent < 0.5:
        raise ValueError(f"companding {exponent}: use 0, for none, or more, below 0.5")


class Companding(nn.Module):
    """Divide coefficients by a power of the local energy; ``inverse`` multiplies it back.

    SSIM forgives an error in proportion to 2σ² + C₂, so steps should grow with local contrast.
    Forward: y = x / (β + Σγx²)^e. For one pooled energy and large inputs, the inverse is
    x = y · (β^(1−2e) + Σγy²)^(e/(1−2e)): exact in both limits, and trained in between.
    typical: energy at which nothing changes, so that what is companded keeps its size.

    Shape: (B, C, H, W) float -> the same.
    """

    linear: Tensor

    def __init__(
        self, frequencies: Tensor, exponent: float, inverse: bool = False, typical: float = 1.0
    ) -> None:
        super().__init__()
        self.power = exponent / (1 - 2 * exponent) if inverse else -exponent
        channels = frequencies.shape[0]
        beta = SSIM_C2 / typical
        beta = beta ** (1 - 2 * exponent) if inverse else beta
        ac = (frequencies > 0).float()
        # DC stays linear: its own row is nearly zero, and it adds nothing to the contrast.
        gamma = 2.0 / (3 * BLOCK**2 * typical) * ac[None, :].expand(channels, -1).clone()
        self.log_beta = nn.Parameter(torch.full((channels,), beta).log())
        self.log_gamma = nn.Parameter((gamma + 1e-7).log())
        self.register_buffer("linear", (frequencies == 0).float()[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        energy = F.conv2d(x * x, self.log_gamma.exp()[:, :, None, None], self.log_beta.exp())
        scale = energy**self.power
        return x * (scale + (1 - scale) * self.linear)
