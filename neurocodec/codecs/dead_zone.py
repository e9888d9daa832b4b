"""A JPEG whose small coefficients are rounded towards zero, without an encoder of our own.

Uniform rounding is not what costs least: a coefficient a little above half a step brings less in
squared error than its bits are worth elsewhere (Sullivan, "Efficient scalar quantization of
exponential and Laplacian random variables", IEEE Trans. Inf. Theory 42, 1996). Pillow's encoder
rounds uniformly, but if it is given a picture that is what a decoder would show of the wanted
coefficients, it finds these: all but a few where the picture is black, white, or cut by its border.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

YCBCR = np.array(  # JFIF 1.02, page 3; with the six digits of `nets.block_dct` ties fall otherwise
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ],
    np.float32,
)


def quantized(image: Image.Image, tables: list[list[int]], zone: float) -> Image.Image:
    """The YCbCr image of an RGB image's coefficients of 4:2:0, rounded with a dead zone.

    tables: steps of luma and chroma, 64 each in natural order. zone: what a magnitude needs beyond
    half a step to be rounded up, in steps, 0 to 0.5.
    """
    width, height = image.size
    pixels = np.asarray(image, np.float32)
    pixels = np.pad(pixels, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge")
    luma, *chroma = np.moveaxis(pixels @ YCBCR.T, 2, 0)
    planes = [_round(luma - 128, tables[0], zone)]
    for plane in chroma:
        rows, cols = plane.shape
        halved = plane.reshape(rows // 2, 2, cols // 2, 2).mean(axis=(1, 3))
        planes.append(_round(halved, tables[1], zone).repeat(2, axis=0).repeat(2, axis=1))
    stack = np.stack(planes, axis=2)[:height, :width]
    rounded = np.clip(np.rint(stack + 128), 0, 255).astype(np.uint8)
    return Image.merge("YCbCr", [Image.fromarray(rounded[..., k]) for k in range(3)])


def _round(plane: np.ndarray, table: list[int], zone: float) -> np.ndarray:
    """A plane around zero, sides multiples of 8 -> what its coefficients' levels stand for."""
    from scipy import fft

    rows, cols = plane.shape
    blocks = plane.reshape(rows // 8, 8, cols // 8, 8).transpose(0, 2, 1, 3)
    steps = np.array(table, np.float32).reshape(8, 8)
    half = np.full((8, 8), 0.5 - zone, np.float32)
    half[0, 0] = 0.5  # a block's mean that jumps is seen at once
    ratio = fft.dctn(blocks, axes=(2, 3), norm="ortho") / steps
    level = np.sign(ratio) * np.floor(np.abs(ratio) + half)
    shown = fft.idctn(level * steps, axes=(2, 3), norm="ortho")
    return shown.transpose(0, 2, 1, 3).reshape(rows, cols)
