"""The plainest form of each inner codec's file, which is all that this format carries.

Libraries for these files take far more than a ComRec stream needs: thumbnails, animations, tiles,
a thousand scans, pictures larger than they say. Each has cost somebody memory or time (a JPEG 2000
file of 200 bytes can ask for gigabytes), so the structure is looked at before a library sees it.
Written after ITU-T T.81 and T.800, the WebP container, ISO/IEC 14496-12 and 23008-12, and the AV1
specification; the rules are in ``bitstream/SPEC.md``.

Each function takes the file and the size of the picture that it ought to hold. It raises
ValueError, with the cause, for what is not of the plainest form, and ImageTooLarge for more pixels
than that. Whether the size is right, and damage, is for the library to find.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from struct import error as StructError
from struct import unpack_from
from typing import Any

from neurocodec.errors import ImageTooLarge

MAX_SCANS = 64
"""Scans of a JPEG. Each may cost few bytes and has to be gone through for every pixel."""

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # no stuffed or fill byte, no restart
_JPEG_SEGMENTS = frozenset(b"\xe0\xee\xdb\xc0\xc1\xc2\xc4\xdd\xfe")
"""APP0 and APP14, quantization tables, the three common frames, Huffman tables, restart interval,
comment."""

_J2K_COMMENT = 0xFF64
_J2K_MAIN = {0xFF51: "SIZ", 0xFF52: "COD", 0xFF5C: "QCD", 0xFF5D: "QCC", _J2K_COMMENT: "COM"}

_PROPERTIES = {
    b"av01": (b"av1C", b"colr", b"ispe", b"pixi"),
    b"hvc1": (b"hvcC", b"colr", b"ispe", b"pixi", b"clap"),
}
_CODING_TREE = 64
"""Encoders of HEVC pad pictures to multiples of this."""


def jpeg(data: bytes, width: int, height: int) -> None:
    """One frame, at most ``MAX_SCANS`` scans, no metadata; nothing after its end."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin as one")
    position, frames, scans = 2, 0, 0
    while True:
        (marker,) = _unpack(">H", data, position)
        if marker == 0xFFD9:
            break
        if marker == 0xFFDA:
            scans += 1
        elif marker >> 8 != 0xFF or marker & 0xFF not in _JPEG_SEGMENTS:
            raise ValueError(f"it has a segment {marker:04x}")
        frames += marker in (0xFFC0, 0xFFC1, 0xFFC2)
        position += 2 + _unpack(">H", data, position + 2)[0]
        if marker == 0xFFDA:
            found = _AFTER_SCAN.search(data, position)
            if found is None:
                raise ValueError("it has no end")
            position = found.end() - 2
    if position + 2 != len(data):
        raise ValueError("it goes on after its end")
    if frames != 1 or not 1 <= scans <= MAX_SCANS:
        raise ValueError(f"it has {frames} frames and {scans} scans, not 1 and up to {MAX_SCANS}")


def webp(data: bytes, width: int, height: int) -> None:
    """One picture, no extended format: no animation, metadata or canvas of another size."""
    riff, length, kind, chunk, size = _unpack("<4sI4s4sI", data, 0)
    if (riff, kind) != (b"RIFF", b"WEBP") or chunk not in (b"VP8 ", b"VP8L"):
        raise ValueError("it is not of the simple file format")
    if length + 8 != len(data) or size + (size & 1) + 20 != len(data):
        raise ValueError("its length is not that of its only picture")


def jpeg2000(data: bytes, width: int, height: int) -> None:
    """A codestream of one tile and one tile-part, three components of full size, precincts of full
    size and code-blocks of 64 by 64."""
    if data[:2] != b"\xff\x4f":
        raise ValueError("it is not a codestream")
    position, seen = 2, set()
    while (marker := _unpack(">H", data, position)[0]) != 0xFF90:
        name = _J2K_MAIN.get(marker)
        if name is None or (name in ("SIZ", "COD") and name in seen):
            raise ValueError(f"its main header has a segment {marker:04x}")
        seen.add(name)
        if name == "SIZ":
            _check_siz(data, position)
        if name == "COD":
            style, wide, high = _unpack(">B5xBB", data, position + 4)
            if (style, wide, high) != (0, 4, 4):
                raise ValueError("its precincts or code-blocks are not of the usual size")
        position += 2 + _unpack(">H", data, position + 2)[0]
    if not {"SIZ", "COD"} <= seen:
        raise ValueError("its main header is incomplete")
    _, length, part = _unpack(">HIB", data, position + 4)
    if part != 0 or length != len(data) - 2 - position or data[-2:] != b"\xff\xd9":
        raise ValueError("its first tile-part is not all of it")
    position += 12
    while (marker := _unpack(">H", data, position)[0]) != 0xFF93:
        if marker != _J2K_COMMENT:
            raise ValueError(f"its tile has a segment {marker:04x}")
        position += 2 + _unpack(">H", data, position + 2)[0]


def _check_siz(data: bytes, position: int) -> None:
    sides = _unpack(">8I", data, position + 6)
    (components,) = _unpack(">H", data, position + 38)
    columns, rows, *origins, tile_columns, tile_rows, left, top = sides
    if any((*origins, left, top)) or tile_columns < columns or tile_rows < rows:
        raise ValueError("it has more than one tile, or does not begin at zero")
    if components != 3 or data[position + 40 : position + 49] != b"\7\1\1" * 3:
        raise ValueError("it has not three components of 8 bits and full size")


def avif(data: bytes, width: int, height: int) -> None:
    """One coded item of one frame, of the size that it announces."""
    properties, coded = _only_item(data, b"av01")
    extent = _extent(properties)
    _check_extent(*extent, width, height)
    if len(properties[b"av1C"]) != 4:
        raise ValueError("it has a sequence header outside of its picture")
    position = frames = 0
    while position < len(coded):
        head = coded[position]
        if head & 0x82 != 2:
            raise ValueError("its units have no size")
        kind = head >> 3 & 15
        size, begin = _leb128(coded, position + 1 + (head >> 2 & 1))
        position = begin + size
        if kind == 1:
            _check_sequence(coded[begin:position], extent)
        frames += kind in (3, 6)
    if position != len(coded) or frames != 1:
        raise ValueError(f"it has {frames} frames, or ends early")


def _check_sequence(unit: bytes, extent: tuple[int, int]) -> None:
    """A sequence header announces frames of this size (AV1 specification, 5.5.1)."""
    bits = _Bits(unit)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # the reduced header of a still picture
        bits.take(5)
    else:
        if bits.take(2):
            raise ValueError("its sequence header holds timings")
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
    lengths = bits.take(4) + 1, bits.take(4) + 1
    found = bits.take(lengths[0]) + 1, bits.take(lengths[1]) + 1
    # A frame may have another size, in as many bits: there must be no more than this one needs.
    if found != extent or lengths != tuple(max(1, (side - 1).bit_length()) for side in found):
        raise ValueError(f"it announces {extent[0]}x{extent[1]} and codes {found[0]}x{found[1]}")


def heic(data: bytes, width: int, height: int) -> None:
    """One coded item of one frame. The size of its parameter sets is for libheif to compare with
    the one announced."""
    properties, coded = _only_item(data, b"hvc1")
    most = (-(-side // _CODING_TREE) * _CODING_TREE for side in (width, height))
    _check_extent(*_extent(properties), *most)
    if properties[b"hvcC"][21] & 3 != 3:
        raise ValueError("the lengths of its units do not have four bytes")
    position = frames = 0
    while position < len(coded):
        (size,) = _unpack(">I", coded, position)
        kind, first = _unpack(">BxB", coded, position + 4)
        kind = kind >> 1 & 63
        if kind in (32, 33, 34):
            raise ValueError("it has parameter sets within its picture")
        frames += kind < 32 and first >> 7
        position += 4 + size
    if position != len(coded) or frames != 1:
        raise ValueError(f"it has {frames} frames, or ends early")


def _check_extent(columns: int, rows: int, width: int, height: int) -> None:
    if columns * rows > width * height:
        raise ImageTooLarge(f"it announces {columns}x{rows} pixels, not {width}x{height}")


def _extent(properties: dict[bytes, bytes]) -> tuple[int, int]:
    return _unpack(">4xII", properties[b"ispe"], 0)


def _only_item(data: bytes, kind: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The properties, by type, and the coded bytes of a file's only item."""
    top = _boxes(data, 0, (b"ftyp", b"meta", b"mdat"))
    meta = _boxes(top[b"meta"], 4, (b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp"))
    items, count = _unpack(">IH", meta[b"iinf"], 0)
    entry = _boxes(meta[b"iinf"], 6, (b"infe",))[b"infe"]
    version, found = _unpack(">I4x4s", entry, 0)
    if (items, count, version, found) != (0, 1, 2 << 24, kind):
        raise ValueError(f"it is not one item of type {kind.decode()}")
    item = _boxes(meta[b"iprp"], 0, (b"ipco", b"ipma"))
    properties = _boxes(item[b"ipco"], 0, _PROPERTIES[kind], optional=(b"clap", b"colr", b"pixi"))
    coded = top[b"mdat"]
    version, sizes, places = _unpack(">IHH", meta[b"iloc"], 0)
    form = ">4xIHII" if sizes == 0x4440 else ">4xHII"  # with a base offset, or without
    if (version, places) != (0, 1) or sizes not in (0x4400, 0x4440):
        raise ValueError("its item is not in one place")
    *bases, extents, offset, length = _unpack(form, meta[b"iloc"], 8)
    start = data.index(b"mdat" + coded) + 4
    if extents != 1 or sum(bases) + offset != start or length != len(coded):
        raise ValueError("its item is not the whole of its media data")
    return properties, coded


def _boxes(
    data: bytes, start: int, known: Collection[bytes], optional: Collection[bytes] = ()
) -> dict[bytes, bytes]:
    """The contents of the boxes from ``start`` on, by type: each of those known, once."""
    found: dict[bytes, bytes] = {}
    while start < len(data):
        size, kind = _unpack(">I4s", data, start)
        if kind not in known or kind in found or not 8 <= size <= len(data) - start:
            raise ValueError(f"it has a box {kind.hex()} of {size} bytes")
        found[kind] = data[start + 8 : start + size]
        start += size
    missing = set(known) - set(optional) - set(found)
    if missing:
        raise ValueError(f"it has no box {min(missing).decode()}")
    return found


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """A value of at most eight bytes, and where it ends."""
    value = 0
    for index in range(8):
        (byte,) = _unpack(">B", data, position + index)
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("it has a unit without end")


class _Bits:
    """Bits from front to back."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("its sequence header ends early")
        return self._value >> self._left & (1 << count) - 1


def _unpack(form: str, data: bytes, position: int) -> Any:
    try:
        return unpack_from(form, data, position)
    except StructError:
        raise ValueError("it ends early") from None
