"""What a mutant is put through. Whatever is raised that is no `NczError` is a fault."""

from __future__ import annotations

import io

from neurocodec import api, container
from neurocodec.errors import NczError
from neurocodec.image import save

MAX_PIXELS = 2**14
"""Small, so that a decoder's time is bounded by it, and images beyond it are not rare."""

FORMATS = ("PNG", "TIFF", "JPEG", "WEBP")


def parse_one(data: bytes) -> str:
    """Reads, writes, and describes. Returns how it went."""
    try:
        file = container.read(data)
    except NczError as error:
        return f"refused as a file: {type(error).__name__}"
    assert container.read(container.write(file)) == file, "what was written again is not the same"
    assert sum(api.info(data).sections.values()) == len(data), "sizes do not sum to the file"
    return "parsed"


def try_one(data: bytes) -> str:
    """Parses, decodes, and saves where there is metadata. Returns how it went."""
    parsed = parse_one(data)
    if parsed != "parsed":
        return parsed
    file = container.read(data)
    try:
        image = api.decode(data, max_pixels=MAX_PIXELS)
    except NczError as error:
        return f"refused when decoded: {type(error).__name__}"
    assert image.size == (file.width, file.height), f"decoded to {image.size}"
    if file.exif or file.icc or file.xmp:
        for format in FORMATS:
            try:
                save(image, io.BytesIO(), format)
            except NczError:
                return "decoded, but cannot be saved"
    return "decoded"
