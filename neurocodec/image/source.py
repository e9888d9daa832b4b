"""Whatever may hold a photograph, opened."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neurocodec.errors import UnreadableImage
from neurocodec.image.modes import assemble, from_pil
from neurocodec.image.photo import Photo
from neurocodec.image.reading import check_size, one_line, read_image
from neurocodec.limits import MAX_PIXELS


def open_photo(source: Any, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """A photo from any of these:

    - a path, a binary file object, or bytes: any image that Pillow reads, the first frame of it;
    - a PIL image of any mode but F;
    - a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4);
    - a photo, which is returned as it is;
    - a torch tensor (C, H, W) or (1, C, H, W), C of 1, 3 or 4, uint8 or floats in [0, 1].

    EXIF orientation is applied, palettes looked up, CMYK converted to sRGB. Of 16-bit samples
    (0 to 65535 in a PIL image of mode I), grey ones are rounded to 8 bits; of colour, and of grey
    with alpha, Pillow hands out no more than the upper 8, up to one level darker. Pixels beneath
    full transparency stay what they were.

    Raises UnreadableImage, ImageTooLarge for more than ``max_pixels``, MissingDependency for HEIF
    and JPEG XL without the package that reads it, OSError where the path cannot be opened.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, Image.Image):
        return _from_pil(source, "the image", max_pixels)
    if isinstance(source, np.ndarray):
        return _from_array(source, "the array", max_pixels)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _from_bytes(path.read_bytes(), str(path), max_pixels)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), "the data", max_pixels)
    if "torch" in sys.modules and isinstance(source, sys.modules["torch"].Tensor):
        return _from_array(_array_of(source), "the tensor", max_pixels)
    if hasattr(source, "read"):
        try:
            data = source.read()
        except UnicodeDecodeError:  # of a file in text mode
            data = None
        if not isinstance(data, bytes):
            raise UnreadableImage("the file object gives text: open the file in binary mode")
        return _from_bytes(data, str(getattr(source, "name", "the file object")), max_pixels)
    raise UnreadableImage(
        f"a {type(source).__name__} is no image: give a path, bytes, a file object, a PIL image, "
        "a uint8 array (H, W, 3) or a tensor (3, H, W)"
    )


def _from_bytes(data: bytes, name: str, max_pixels: int) -> Photo:
    return _converted(read_image(data, name, max_pixels), name)


def _from_pil(image: Image.Image, name: str, max_pixels: int) -> Photo:
    check_size(*image.size, name, max_pixels)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # opened by the caller, but read only now
        raise UnreadableImage(f"{name} cannot be loaded: {one_line(error)}") from error
    return _converted(image, name)


def _converted(image: Image.Image, name: str) -> Photo:
    try:
        return from_pil(image)
    except MemoryError:
        raise
    except Exception as error:  # of a mode without 8-bit form, a broken palette or transparency
        raise UnreadableImage(f"{name} cannot be read as an image: {one_line(error)}") from error


def _from_array(array: np.ndarray, name: str, max_pixels: int) -> Photo:
    if array.dtype != np.uint8:
        raise UnreadableImage(
            f"{name} holds {array.dtype}, expected uint8: scale it to 0..255 and convert it"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise UnreadableImage(
            f"{name} has shape {array.shape}, expected (height, width, 3), or 4 or 1 or no "
            "channels: reorder its axes"
        )
    check_size(array.shape[1], array.shape[0], name, max_pixels)
    array = array.copy()  # the caller may go on writing to his
    if array.ndim == 2:
        return assemble(array, None)
    if array.shape[2] == 1:
        return assemble(array[..., 0], None)
    return assemble(array[..., :3], array[..., 3] if array.shape[2] == 4 else None)


def _array_of(tensor: Any) -> np.ndarray:
    """A tensor (C, H, W) or (1, C, H, W) as an array (H, W, C), floats scaled to uint8."""
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise UnreadableImage(
            f"the tensor has shape {shape}, expected (3, height, width), with 1, 3 or 4 channels: "
            "reorder its axes, and give one image at a time"
        )
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.permute(1, 2, 0).numpy()
    values = tensor.permute(1, 2, 0).float().numpy()
    if values.size and not (values.min() >= 0 and values.max() <= 1):  # NaN fails as well
        raise UnreadableImage(
            f"the tensor holds values from {values.min():g} to {values.max():g}, expected [0, 1]: "
            "clamp it, or divide by 255"
        )
    return np.rint(values * 255).astype(np.uint8)
