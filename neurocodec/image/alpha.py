"""The alpha channel on its way through a file: a PNG stream of 8-bit grey."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from neurocodec.errors import CorruptStream, ImageTooLarge, UnreadableImage
from neurocodec.image.reading import read_image


def pack_alpha(alpha: np.ndarray) -> bytes:
    """Alpha (H, W) uint8, losslessly compressed."""
    stream = BytesIO()
    Image.fromarray(alpha).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def unpack_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """What :func:`pack_alpha` stored: (height, width) uint8. Raises CorruptStream."""
    try:
        image = read_image(data, "the alpha channel", width * height, formats=("PNG",))
    except (UnreadableImage, ImageTooLarge) as error:
        raise CorruptStream(f"{error}: encode the image again") from error
    if (image.mode, *image.size) != ("L", width, height):
        raise CorruptStream(
            f"the alpha channel is {image.width}x{image.height} of mode {image.mode}, expected "
            f"{width}x{height} of mode L: the file was made by a faulty encoder"
        )
    return np.array(image)
