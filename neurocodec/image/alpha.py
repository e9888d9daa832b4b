"""The alpha channel on its way through a file: a PNG stream of 8-bit grey."""

from __future__ import annotations

from io import BytesIO
from struct import pack, unpack_from

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
    _check(data, width, height)
    try:
        image = read_image(data, "the alpha channel", width * height, formats=("PNG",))
    except (UnreadableImage, ImageTooLarge) as error:
        raise CorruptStream(f"{error}: encode the image again") from error
    return np.array(image)


def _check(data: bytes, width: int, height: int) -> None:
    """8-bit grey of this size, not interlaced, and no chunk that the picture can do without: PNG
    has room for compressed texts, profiles and animations, and a decoder opens them all."""
    head = b"\x89PNG\r\n\x1a\n" + pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 0, 0, 0, 0)
    if data[: len(head)] != head:
        raise _unlike(f"does not begin as 8-bit grey of {width}x{height} pixels")
    position, last = len(head) + 4, b""
    while last != b"IEND":
        if len(data) - position < 12:
            raise _unlike("ends early")
        length, last = unpack_from(">I4s", data, position)
        if last not in (b"IDAT", b"IEND"):
            raise _unlike(f"has a chunk {last.hex()}")
        position += 12 + length
    if position != len(data):
        raise _unlike("does not end where its last chunk ends")


def _unlike(cause: str) -> CorruptStream:
    return CorruptStream(f"the alpha channel {cause}: the file was made by a faulty encoder")
