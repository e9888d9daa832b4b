"""Distortion between two 8-bit RGB images.

Every function takes two uint8 arrays of one shape (H, W, 3) and returns a Python float. MS-SSIM
and SSIM are those of the pytorch-msssim package (window of 11, sigma 1.5, no padding, range 255),
in float32: on Kodak that is within 1e-6 of float64 and ten times as fast.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.extras import require

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]

MS_SSIM_MIN_SIDE = 161
"""Smallest side that MS-SSIM is defined for: the 11-pixel window must fit after four halvings."""

SSIM_MIN_SIDE = 11
"""Smallest side that SSIM is defined for: that of its window."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all RGB samples; ``inf`` for equal images."""
    _check(a, b, smallest=1, name="PSNR")
    error = np.subtract(a, b, dtype=np.int32)
    squares = int(np.square(error).sum(dtype=np.int64))
    return math.inf if squares == 0 else 10 * math.log10(255**2 * error.size / squares)


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Multi-scale structural similarity in [0, 1], mean over R, G, B (Wang et al. 2003).

    Five scales, so both sides must be at least :data:`MS_SSIM_MIN_SIDE`. A smaller image raises
    :class:`InvalidArgument`: a variant with fewer scales would not be comparable with the rest.
    """
    _check(a, b, smallest=MS_SSIM_MIN_SIDE, name="MS-SSIM")
    return _similarity("ms_ssim", _planes(a), _planes(b))


def ms_ssim_db(value: float) -> float:
    """MS-SSIM on the scale of DESIGN 9: −10·log10(1 − value); ``inf`` for 1."""
    return math.inf if value >= 1 else -10 * math.log10(1 - value)


def ssim(a: Pixels, b: Pixels, *, luma: bool = False) -> float:
    """Structural similarity in [−1, 1] (Wang et al. 2004): mean over R, G, B, or of BT.601 luma.

    Luma is full-range and not rounded. Sides must be at least :data:`SSIM_MIN_SIDE`.
    """
    _check(a, b, smallest=SSIM_MIN_SIDE, name="SSIM")
    x, y = _planes(a), _planes(b)
    if luma:
        weights = x.new_tensor(_LUMA).view(1, 3, 1, 1)
        x, y = ((t * weights).sum(1, keepdim=True) for t in (x, y))
    return _similarity("ssim", x, y)


def _similarity(name: str, x: "torch.Tensor", y: "torch.Tensor") -> float:
    torch = require("torch")
    function: Any = getattr(require("pytorch_msssim", "pytorch-msssim"), name)
    with torch.no_grad():
        return float(function(x, y, data_range=255))


def _planes(pixels: Pixels) -> "torch.Tensor":
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in 0..255."""
    torch = require("torch")
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes)[None]


def _check(a: Pixels, b: Pixels, *, smallest: int, name: str) -> None:
    for x in (a, b):
        if x.dtype != np.uint8 or x.ndim != 3 or x.shape[2] != 3:
            raise InvalidArgument(
                f"{name} needs uint8 arrays (height, width, 3), got {x.dtype} {x.shape}: "
                "convert the image to 8-bit RGB"
            )
    if a.shape != b.shape:
        raise InvalidArgument(
            f"{name} needs images of one size, got {a.shape[1]}x{a.shape[0]} "
            f"and {b.shape[1]}x{b.shape[0]}: compare an image with its own copy"
        )
    if min(a.shape[:2]) < smallest:
        raise InvalidArgument(
            f"{name} needs sides of at least {smallest} pixels, "
            f"got {a.shape[1]}x{a.shape[0]}: use PSNR for small images"
        )
