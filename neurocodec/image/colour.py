"""Pixels through their ICC profile."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """An image of mode L, RGB or CMYK in sRGB; None where its profile does not work: a damaged
    one, one of another colour space, or a Pillow without LittleCMS."""
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, ImportError, OSError):
        return None
