"""ICC, EXIF and XMP of a PIL image: what is kept, and which way is up.

Orientation is taken out of EXIF by moving bytes, not by parsing and serializing again: offsets
into the block stay valid, so that maker notes and thumbnails survive.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import Any, NamedTuple

from PIL import ExifTags, Image

EXIF_PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
_XMP_TAG = 700
_ENTRY = 12  # bytes of an entry of a TIFF directory
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_LARGEST_TYPE = 8  # of BigTIFF's 64-bit integers, which are not among those, and of what is unknown
_POINTERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)
_MOST_DIRECTORIES = 8  # a photograph has five
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)([1-8])""")
_TIFF_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    ExifTags.Base.DocumentName,
    ExifTags.Base.HostComputer,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
"""Those that describe the photograph; a TIFF's others say how the file is laid out."""


class _Entry(NamedTuple):
    """Where the orientation stands in an EXIF block: the directory, how many it has, which one."""

    byte_order: str
    directory: int
    entries: int
    position: int


def read_exif(image: Image.Image) -> bytes | None:
    """The EXIF block without prefix, as it is in the file; a TIFF's is put together."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif.removeprefix(EXIF_PREFIX) or None
    if isinstance(profile := image.info.get("Raw profile type exif"), str):
        # ImageMagick's text chunk: a title, a length, then lines of hexadecimal digits.
        try:
            return bytes.fromhex("".join(profile.split()[2:])).removeprefix(EXIF_PREFIX) or None
        except ValueError:
            return None
    return _exif_of_tiff(image) if image.format == "TIFF" else None


def is_exif(data: bytes) -> bool:
    """Whether the data, with the prefix or without, begin as an EXIF block does."""
    return data.removeprefix(EXIF_PREFIX)[:4] in _BYTE_ORDERS


def is_bomb(exif: bytes) -> bool:
    """Whether what the directories of an EXIF block point to is more than twice the block.

    Readers copy each value: ten thousand that are the same megabyte are ten gigabytes.
    """
    data = exif.removeprefix(EXIF_PREFIX)
    order = _BYTE_ORDERS.get(data[:4], "<")
    total, seen = 0, {0}  # a directory at 0 is none
    waiting = [_number(order + "I", data, 4)]
    while waiting:
        directory = waiting.pop()
        if directory in seen:
            continue
        seen.add(directory)
        start = directory + 2
        count = min(_number(order + "H", data, directory), max(len(data) - start, 0) // _ENTRY)
        entries = data[start : start + count * _ENTRY]
        for tag, kind, number, value in struct.iter_unpack(order + "HHII", entries):
            size = _TYPE_BYTES.get(kind, _LARGEST_TYPE) * number
            total += size if size <= len(data) else 0  # what lies outside is not read
            if tag in _POINTERS:
                waiting.append(value)
        if total > 2 * len(data) or len(seen) > _MOST_DIRECTORIES + 1:
            return True
        waiting.append(_number(order + "I", data, start + count * _ENTRY))
    return False


def _number(form: str, data: bytes, position: int) -> int:
    """A number of an EXIF block; 0 where the block ends before it."""
    end = position + struct.calcsize(form)
    number: int = struct.unpack(form, data[position:end])[0] if end <= len(data) else 0
    return number


def read_xmp(image: Image.Image) -> bytes | None:
    """The XMP packet."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return (xmp.encode() if isinstance(xmp, str) else xmp) or None


def read_icc(image: Image.Image) -> bytes | None:
    """The ICC profile, of whatever colour space."""
    return image.info.get("icc_profile") or None


def icc_for(mode: str, icc: bytes | None) -> bytes | None:
    """The profile if it describes pixels of ``mode`` (L or RGB), else None.

    The colour space is bytes 16 to 19 of the header (ICC.1:2022, 7.2).
    """
    space = {"L": b"GRAY", "RGB": b"RGB "}[mode]
    return icc if icc is not None and icc[16:20] == space else None


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """1 to 8 as in EXIF; XMP counts where EXIF is silent; 1 where both are, or make no sense."""
    entry = _find(exif)
    if exif is not None and entry is not None:
        kind, _, value = struct.unpack_from(entry.byte_order + "HIH", exif, entry.position + 2)
        if kind == 4:  # LONG, though the standard wants SHORT
            (value,) = struct.unpack_from(entry.byte_order + "I", exif, entry.position + 8)
        return value if kind in (3, 4) and 1 <= value <= 8 else 1
    match = _XMP_ORIENTATION.search(xmp or b"")
    return int(match[2]) if match else 1


def exif_upright(exif: bytes | None) -> bytes | None:
    """The EXIF block without its orientation; None if nothing else was in it."""
    entry = _find(exif)
    if exif is None or entry is None:
        return exif
    end = entry.directory + 2 + entry.entries * _ENTRY + 4  # behind the link to the next directory
    after = exif[entry.position + _ENTRY : end]
    if entry.entries == 1 and not any(after):
        return None
    count = struct.pack(entry.byte_order + "H", entry.entries - 1)
    before = exif[entry.directory + 2 : entry.position]
    return exif[: entry.directory] + count + before + after + bytes(_ENTRY) + exif[end:]


def xmp_upright(xmp: bytes | None) -> bytes | None:
    """The XMP packet, any orientation in it set to 1: readers fall back on it."""
    return None if xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _find(exif: bytes | None) -> _Entry | None:
    """The orientation in the first directory; None also where the block is damaged."""
    if exif is None or (order := _BYTE_ORDERS.get(exif[:4])) is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for position in range(directory + 2, directory + 2 + count * _ENTRY, _ENTRY):
            tag, *_ = struct.unpack_from(order + "HHII", exif, position)
            if tag == _ORIENTATION:
                return _Entry(order, directory, count, position)
    except struct.error:
        return None
    return None


def tiff_tags(exif: bytes | None, xmp: bytes | None) -> Image.Exif:
    """The tags that a TIFF file needs to hold this EXIF block and this XMP packet."""
    found = Image.Exif()
    with suppress(Exception):  # damaged tags raise anything; the pixels are worth more than they
        found.load(exif or b"")
    tags = _of_photograph(found)
    if xmp is not None:
        tags[_XMP_TAG] = xmp
    return tags


def _exif_of_tiff(image: Image.Image) -> bytes | None:
    """The EXIF block that another format would have."""
    kept = _of_photograph(image.getexif())
    return kept.tobytes().removeprefix(EXIF_PREFIX) if len(kept) else None


def _of_photograph(found: Image.Exif) -> Image.Exif:
    """A TIFF file is one large EXIF block; of it, what describes the photograph, not the file."""
    kept = Image.Exif()
    for tag in _TIFF_TAGS:
        with suppress(Exception):  # damaged tags raise anything, and should take no others along
            if tag in found and _is_sound(tag, found[tag]):
                kept[tag] = found[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        with suppress(Exception):
            values = found.get_ifd(directory)
            if sound := {tag: value for tag, value in values.items() if _is_sound(tag, value)}:
                kept[directory] = sound
    again = Image.Exif()  # as from a file: the only form that Pillow's TIFF writer takes
    if len(kept):
        again.load(kept.tobytes())
    return again


def _is_sound(tag: int, value: Any) -> bool:
    """Whether a tag can be written."""
    alone = Image.Exif()
    alone[tag] = value
    try:
        alone.tobytes()
    except Exception:
        return False
    return True
