"""Every mode of PIL to 8-bit grey or RGB, and alpha."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

from neurocodec.errors import UnreadableImage
from neurocodec.image import metadata
from neurocodec.image.colour import to_srgb
from neurocodec.image.photo import Photo

_GREY = frozenset(("1", "L", "LA", "La"))

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def from_pil(image: Image.Image) -> Photo:
    """A loaded image of any mode, upright and in 8 bits. Raises UnreadableImage."""
    exif, xmp = metadata.read_exif(image), metadata.read_xmp(image)
    icc = metadata.read_icc(image)
    turn = None if _is_turned(image) else _UPRIGHT.get(metadata.orientation(exif, xmp))
    colour, alpha = _split(image, icc)
    if turn is not None:
        colour = colour.transpose(turn)
        alpha = alpha and alpha.transpose(turn)
    return assemble(
        np.array(colour),
        None if alpha is None else np.array(alpha),
        icc=metadata.icc_for(colour.mode, icc),
        exif=metadata.exif_upright(exif),
        xmp=metadata.xmp_upright(xmp),
    )


def assemble(
    colour: np.ndarray,
    alpha: np.ndarray | None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> Photo:
    """A photo of uint8 pixels, (H, W) grey or (H, W, 3), and alpha (H, W)."""
    grey = colour.ndim == 2
    return Photo(
        pixels=np.repeat(colour[..., None], 3, axis=2) if grey else np.ascontiguousarray(colour),
        mode="L" if grey else "RGB",
        alpha=None if alpha is None or (alpha == 255).all() else np.ascontiguousarray(alpha),
        icc=icc,
        exif=exif,
        xmp=xmp,
    )


def _is_turned(image: Image.Image) -> bool:
    """Whether the reader has applied the orientation already, whatever the EXIF block says."""
    if image.format == "TIFF":  # by its own tag; what XMP says beside that is stale
        return True
    return image.format == "JXL" and not getattr(image, "jpeg", False)


def _split(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, Image.Image | None]:
    """An image of mode L or RGB, and its alpha as one of mode L."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise UnreadableImage(
            "floating-point samples have no defined range: convert the image to 8 or 16 bits"
        )
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in _GREY else "RGBA")
        return image.convert(image.mode.removesuffix("A")), image.getchannel("A")
    if image.mode == "CMYK":
        return _from_cmyk(image, icc), None
    return image.convert("L" if image.mode in _GREY else "RGB"), None


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey samples 0 to 65535, of a TIFF also of fewer bits or of ink, rounded to 0 to 255. One of
    them may stand for transparent."""
    samples = np.asarray(image).astype(np.int64)
    most, ink = _tiff_range(image)
    if samples.min() < 0 or samples.max() > most:
        raise UnreadableImage(
            f"samples reach from {samples.min()} to {samples.max()}, expected 0 to {most}: "
            "convert the image to 8 or 16 bits"
        )
    light = most - samples if ink else samples
    grey = Image.fromarray(((light * 255 + most // 2) // most).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey, None
    return grey, Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8))


def _tiff_range(image: Image.Image) -> tuple[int, bool]:
    """The largest sample, and whether samples say how dark it is: Pillow hands 12 bits out as they
    are, and 16 bits as they are where 0 is white (TIFF 6.0, section 8)."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    bits = tags.get(ExifTags.Base.BitsPerSample, (16,))[0]
    return 2 ** min(bits, 16) - 1, tags.get(ExifTags.Base.PhotometricInterpretation) == 0


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    """To sRGB through the profile, or by 255 minus ink where there is none that works."""
    converted = None if icc is None else to_srgb(image, icc)
    return image.convert("RGB") if converted is None else converted
