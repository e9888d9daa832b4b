"""Distortion between two 8-bit RGB images, or between two planes such as their luma.

Those of distortion take two uint8 arrays of one shape (H, W, 3) and return a Python float; PSNR and
SSIM also take two planes (H, W) of uint8 or float on the scale of 0 to 255. MS-SSIM and SSIM are
those of the pytorch-msssim package (window of 11, sigma 1.5, no padding, range 255), in float32:
on Kodak MS-SSIM is then within 1e-6 of float64, SSIM within 2e-5, and ten times as fast.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurocodec.errors import InvalidArgument
from neurocodec.extras import require

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8] | npt.NDArray[np.floating[Any]]

MS_SSIM_MIN_SIDE = 161
"""Smallest side that MS-SSIM is defined for: the 11-pixel window must fit after four halvings."""

SSIM_MIN_SIDE = 11
"""Smallest side that SSIM is defined for: that of its window."""

ROWS = 512
"""Rows of a strip, where an image is taken a strip at a time."""

LARGE = 2**22
"""Pixels from which MS-SSIM is computed in strips: its maps would take a gigabyte."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range


def luma(pixels: Pixels) -> npt.NDArray[np.float64]:
    """BT.601 luma (H, W) of RGB (H, W, 3): full range, 0 to 255, not rounded.

    >>> luma(np.uint8([[[255, 255, 255], [0, 255, 0]]]))
    array([[255.   , 149.685]])
    """
    _check(pixels, pixels, smallest=1, name="luma")
    return pixels @ np.array(_LUMA)


def psnr(a: Pixels | Plane, b: Pixels | Plane) -> float:
    """Peak signal-to-noise ratio in dB over all samples; ``inf`` for equal images."""
    _check(a, b, smallest=1, name="PSNR", planes=True)
    # Integers stay integers: a lossless copy comes out as one. A strip of rows at a time, since
    # they take several times the memory of the image.
    exact, total = (np.int32, np.int64) if a.dtype == b.dtype == np.uint8 else (np.float64,) * 2
    squares = 0
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        error = np.subtract(a[rows], b[rows], dtype=exact)
        squares += np.square(error).sum(dtype=total).item()
    return math.inf if squares == 0 else 10 * math.log10(255**2 * a.size / squares)


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Multi-scale structural similarity in [0, 1], mean over R, G, B (Wang et al. 2003).

    Five scales, so both sides must be at least :data:`MS_SSIM_MIN_SIDE`. A smaller image raises
    :class:`InvalidArgument`: a variant with fewer scales would not be comparable with the rest.
    """
    _check(a, b, smallest=MS_SSIM_MIN_SIDE, name="MS-SSIM")
    if a.shape[0] * a.shape[1] > LARGE:
        from neurocodec.metrics import strips

        return strips.ms_ssim(a, b)
    return _similarity("ms_ssim", _planes(a), _planes(b))


def ms_ssim_db(value: float) -> float:
    """MS-SSIM on the scale of DESIGN 9: −10·log10(1 − value); ``inf`` for 1."""
    return math.inf if value >= 1 else -10 * math.log10(1 - value)


def ssim(a: Pixels | Plane, b: Pixels | Plane) -> float:
    """Structural similarity in [−1, 1] (Wang et al. 2004): mean over R, G, B, or of two planes.

    One scale. Sides must be at least :data:`SSIM_MIN_SIDE`, or :class:`InvalidArgument`.
    """
    _check(a, b, smallest=SSIM_MIN_SIDE, name="SSIM", planes=True)
    return _similarity("ssim", _planes(a), _planes(b))


def _similarity(name: str, x: "torch.Tensor", y: "torch.Tensor") -> float:
    torch = require("torch")
    function: Any = getattr(require("pytorch_msssim", "pytorch-msssim"), name)
    with torch.no_grad():
        return float(function(x, y, data_range=255))


def _planes(pixels: Pixels | Plane) -> "torch.Tensor":
    """(H, W, 3) -> (1, 3, H, W), (H, W) -> (1, 1, H, W): float32 in 0..255."""
    torch = require("torch")
    planes = np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes)[None]


def _check(
    a: Pixels | Plane, b: Pixels | Plane, *, smallest: int, name: str, planes: bool = False
) -> None:
    for x in (a, b):
        is_rgb = x.dtype == np.uint8 and x.ndim == 3 and x.shape[2] == 3
        is_plane = x.ndim == 2 and (x.dtype == np.uint8 or np.issubdtype(x.dtype, np.floating))
        if not (is_rgb or (planes and is_plane)):
            other = " or planes (height, width)" if planes else ""
            raise InvalidArgument(
                f"{name} needs uint8 arrays (height, width, 3){other}, got {x.dtype} {x.shape}: "
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
