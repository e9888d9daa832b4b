"""The photograph as codecs see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from neurocodec.image.alpha import pack_alpha
from neurocodec.image.metadata import EXIF_PREFIX


@dataclass(frozen=True, eq=False)
class Photo:
    """8-bit pixels, upright, and what travels with them.

    pixels: (H, W, 3) uint8; the three channels are equal where the source was grey.
    mode: "L" or "RGB", what the photo decodes to.
    alpha: (H, W) uint8, or None where every pixel is opaque.
    icc: profile of the colour space of ``mode``. exif: without orientation and without the
    prefix that JPEG puts before it. xmp: the packet. None where there is none.
    """

    pixels: np.ndarray
    mode: str
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @cached_property
    def packed_alpha(self) -> bytes | None:
        """See `pack_alpha`; packed once for every quality that is tried."""
        return None if self.alpha is None else pack_alpha(self.alpha)

    def cut(self, x: int, y: int, width: int, height: int) -> Photo:
        """A rectangle of it, without metadata; it shares the pixels."""
        rows, cols = slice(y, y + height), slice(x, x + width)
        alpha = None if self.alpha is None else self.alpha[rows, cols]
        return Photo(self.pixels[rows, cols], self.mode, alpha)


def to_pil(photo: Photo) -> Image.Image:
    """A PIL image of mode L, LA, RGB or RGBA, with the metadata in ``info`` as Pillow has it.

    A grey photo whose channels differ, as they do after lossy coding, becomes its luma.
    """
    image = _in_mode(photo.pixels, photo.mode)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    if photo.icc is not None:
        image.info["icc_profile"] = photo.icc
    if photo.exif is not None:
        image.info["exif"] = EXIF_PREFIX + photo.exif.removeprefix(EXIF_PREFIX)
    if photo.xmp is not None:
        image.info["xmp"] = photo.xmp
    return image


def as_mode(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Pixels (H, W, 3) uint8 as `to_pil` delivers them for a photo of mode L or RGB."""
    return pixels if mode == "RGB" else np.asarray(_in_mode(pixels, mode).convert("RGB"))


def _in_mode(pixels: np.ndarray, mode: str) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.convert("L") if mode == "L" else image
