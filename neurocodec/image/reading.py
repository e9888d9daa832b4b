"""Encoded images through Pillow, with limits of our own and every failure in one line."""

from __future__ import annotations

import threading
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from neurocodec.errors import ImageTooLarge, MissingDependency, UnreadableImage
from neurocodec.image.formats import check_plugin_for, register_plugins

_RENDERED = frozenset(("EPS", "WMF"))
"""Page descriptions: Pillow starts other programs to draw them."""

_opening = threading.Lock()


def read_image(
    data: bytes, name: str, max_pixels: int, formats: tuple[str, ...] | None = None
) -> Image.Image:
    """The first image of a file, loaded. ``name`` goes into messages.

    Raises UnreadableImage, ImageTooLarge, and MissingDependency for HEIF or JPEG XL without the
    package that reads it.
    """
    if not data:
        raise UnreadableImage(f"{name} is empty: check where it comes from")
    try:
        try:
            image = _open(data, name, max_pixels, formats)
        except UnidentifiedImageError:
            if formats is not None:
                raise
            check_plugin_for(data, name)
            if not register_plugins():
                raise
            image = _open(data, name, max_pixels, formats)
        _scale_colour_key(image, data)
        image.load()
    except (UnreadableImage, ImageTooLarge, MissingDependency, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"{name} is no image of a known format: check the file") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{name} is too large: {one_line(error)}") from error
    except Exception as error:  # Pillow's readers raise whatever damage leads them to
        raise UnreadableImage(
            f"{name} cannot be read as an image: {one_line(error)}; the file seems damaged"
        ) from error
    return image


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Raises UnreadableImage for no pixels, ImageTooLarge for too many."""
    if width < 1 or height < 1:
        raise UnreadableImage(f"{name} has {width}x{height} pixels: an image needs at least one")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{name} has {width}x{height} = {width * height} pixels, {max_pixels} are allowed: "
            "scale it down or cut it into parts"
        )


def one_line(error: BaseException) -> str:
    """The message of an error on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _scale_colour_key(image: Image.Image, data: bytes) -> None:
    """The colour of a PNG that stands for transparent, as its samples are read: in eight bits.

    Pillow scales grey of two and four bits up and cuts RGB of 16 bits off, but not this colour.
    Depth and colour type are bytes 24 and 25 (PNG specification, 11.2.1).
    """
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None:
        return
    depth, colour_type = data[24:26]
    if colour_type == 0 and depth in (2, 4):
        image.info["transparency"] = key * (255 // (2**depth - 1))
    if colour_type == 2 and depth == 16:
        image.info["transparency"] = tuple(sample >> 8 for sample in key)


def _open(data: bytes, name: str, max_pixels: int, formats: tuple[str, ...] | None) -> Image.Image:
    """Parse the header, check the size.

    Pillow warns of, then refuses sizes by a limit of its own, which is a global of its module; it
    is lifted while the header is parsed, and ours checked. What exceeds Pillow's limit, but not
    ours, is loaded before it returns, since some readers check again.
    """
    with _opening:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            image = Image.open(BytesIO(data), formats=formats)
            if image.format in _RENDERED:
                raise UnreadableImage(f"{name} is {image.format}, no photograph: render it first")
            check_size(*image.size, name, max_pixels)
            if limit is not None and image.width * image.height > limit:
                image.load()
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    return image
