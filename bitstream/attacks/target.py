"""What a mutant is put through. Whatever is raised that is no `NczError` is a fault."""

from __future__ import annotations

import io
from dataclasses import replace
from random import Random
from zlib import crc32

from neurocodec import api, container
from neurocodec.container import Box, NczFile
from neurocodec.errors import NczError
from neurocodec.image import save

MAX_PIXELS = 2**14
"""Small, so that a decoder's time is bounded by it, and images beyond it are not rare."""

MAX_TILES = 16
"""Of a file, how many are read and written again."""

FORMATS = ("PNG", "TIFF", "JPEG", "WEBP")


def parse_one(data: bytes) -> str:
    """Reads, writes, and describes. Returns how it went."""
    try:
        file = container.read(data)
    except NczError as error:
        return f"refused as a file: {type(error).__name__}"
    assert container.read(container.write(file)) == file, "what was written again is not the same"
    assert sum(api.info(data).sections.values()) == len(data), "sizes do not sum to the file"
    if file.tiling is not None:
        for number in range(min(len(file.grid), MAX_TILES)):
            _parse_tile(file, number)
    return "parsed"


def _parse_tile(file: NczFile, number: int) -> None:
    assert file.tiling is not None
    try:
        tile = container.tile(file, number)
    except NczError:
        return
    parts = list(file.tiling.parts)
    parts[number] = container.write_tile(number, tile)
    again = replace(file, tiling=replace(file.tiling, parts=tuple(parts)))
    assert container.tile(again, number) == tile, "a tile that was written again is not the same"


def try_one(data: bytes) -> str:
    """Parses, decodes, and saves where there is metadata. Returns how it went.

    Every fourth file is decoded at best effort, of every third a part: its bytes say which.
    """
    random = Random(crc32(data))
    best_effort = random.random() < 1 / 4
    parsed = parse_one(data)
    if parsed != "parsed" and not best_effort:
        return parsed
    try:
        file = container.read(data, best_effort=best_effort)
    except NczError:
        return parsed
    crop = _part(file, random) if random.random() < 1 / 3 else None
    try:
        image = api.decode(data, max_pixels=MAX_PIXELS, crop=crop, best_effort=best_effort)
    except NczError as error:
        return f"refused when decoded: {type(error).__name__}"
    size = (file.width, file.height) if crop is None else (crop.width, crop.height)
    assert image.size == size, f"decoded to {image.size}, not {size}"
    if file.exif or file.icc or file.xmp:
        for format in FORMATS:
            try:
                save(image, io.BytesIO(), format)
            except NczError:
                return "decoded, but cannot be saved"
    return "decoded with damage" if "damaged" in image.info else "decoded"


def _part(file: NczFile, random: Random) -> Box:
    """A region of the picture."""
    x, y = random.randrange(file.width), random.randrange(file.height)
    width, height = random.randint(1, 100), random.randint(1, 100)
    return Box(x, y, min(width, file.width - x), min(height, file.height - y))
