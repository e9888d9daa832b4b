"""The mask of a region of interest."""

from __future__ import annotations

from typing import Any

from PIL import Image

from neurocodec.image import open_photo, to_pil


def luma(mask: Any) -> Image.Image:
    """An image as `image.open_photo` takes it -> grey; what is transparent in it is black."""
    image = to_pil(open_photo(mask))
    if image.mode in ("LA", "RGBA"):
        black = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert("L")
