"""Format version 6, a picture in tiles: a head that says where they are, then the tiles.

A tile is what a file of version 5 would hold of its pixels, less what all tiles share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from neurocodec.container import body as stored
from neurocodec.container.fields import Blame, get_all, put_all
from neurocodec.container.layout import (
    CHECKSUM_BYTES,
    FEWEST_LEVELS,
    FIRST_SKIPPABLE_SECTION,
    GRID_OFFSET,
    LEVELS_BY_TILE,
    MAGIC,
    MAX_TILES,
    TILE,
    TILED_VERSION,
)
from neurocodec.container.records import ComRecHeader, Group, Header, NczFile, Tiling
from neurocodec.container.rules import check_header
from neurocodec.container.sections import Opaque, Section, sections_of
from neurocodec.container.wire import Cursor, unreadable, unwritable, varint
from neurocodec.errors import ChecksumMismatch, TrailingData, Truncated

START = len(MAGIC) + 1
"""Bytes of signature and version."""


def write(file: NczFile) -> bytes:
    """The bytes of a file of tiles. Raises InvalidArgument."""
    assert file.tiling is not None
    tiling = file.tiling
    if file.streams or file.alpha is not None or _without_tile(file) != file.header:
        raise unwritable("streams, alpha or tile fields are outside of the tiles")
    size = put_all(TILE, tiling)
    _check_grid(file, unwritable)
    if len(tiling.parts) != len(file.grid):
        raise unwritable(f"{len(tiling.parts)} tiles, the picture has {len(file.grid)}")
    head = b"".join(
        [
            stored.put_fields(file),
            size,
            stored.put_sections(file, _of_the_file(file.codec)),
            *(varint(len(part)) for part in tiling.parts),
        ]
    )
    length_of_head = varint(len(head) + CHECKSUM_BYTES)
    tiles = b"".join(tiling.parts)
    rest = len(length_of_head) + len(head) + CHECKSUM_BYTES + len(tiles)
    unsigned = b"".join([MAGIC, bytes([TILED_VERSION]), varint(rest), length_of_head, head])
    return unsigned + _checksum(crc32(unsigned)) + tiles


def write_tile(number: int, file: NczFile) -> bytes:
    """The stored form of a tile that, were it a picture of its own, would be this file.

    Metadata belong to the whole and are left out. Raises InvalidArgument.
    """
    check_header(file.header, unwritable)
    body = b"".join(
        [
            _put_own(file),
            stored.put_sections(file, _of_the_tile(file.codec)),
            stored.put_streams(file.header, file.streams),
        ]
    )
    return body + _checksum(_of_tile(number, body))


def shared(file: NczFile, tiling: Tiling) -> NczFile:
    """The file of tiles, of which ``file`` is one: its header less what is the tile's own."""
    return replace(file, header=_without_tile(file), streams=(), alpha=None, tiling=tiling)


def tile(file: NczFile, number: int, *, inflate: bool = True) -> NczFile:
    """A tile of a file, as if it were a file of its own: its size, its header, its streams.

    inflate: without it, an importance map and an order of channels are validated and left out.
    Raises ChecksumMismatch, MalformedHeader, Truncated, TrailingData.
    """
    assert file.tiling is not None
    part = memoryview(file.tiling.parts[number])
    found = int.from_bytes(part[-CHECKSUM_BYTES:], "little")
    contents = part[:-CHECKSUM_BYTES]
    if len(part) < CHECKSUM_BYTES or found != _of_tile(number, contents):
        raise ChecksumMismatch(
            f"tile {number} of {len(file.grid)} is damaged, its checksum is another: copy or "
            "download the file again, or decode the others with --best-effort"
        )
    body = Cursor(contents)
    header = _get_own(file, body)
    check_header(header, unreadable)
    sections = _of_the_tile(file.codec)
    payloads = stored.take_sections(body, file.codec, sections, {}, "a tile")
    box = file.grid.box(number)
    alone = replace(
        file, width=box.width, height=box.height, header=header, tiling=None,
        icc=None, exif=None, xmp=None, streams=stored.take_streams(body, header),
    )  # fmt: skip
    valid = stored.validated(payloads, alone)
    return stored.inflated(alone, [one for one in valid if inflate or isinstance(one[0], Opaque)])


@dataclass(frozen=True)
class Head:
    """What is read of a file of tiles before any tile."""

    file: NczFile  # without its sections
    sections: stored.Found
    sizes: dict[str, int]


def read(data: memoryview, best_effort: bool = False) -> Head:
    """The head, validated, and the tiles' bytes, not looked at.

    best_effort: take a file whose end is missing, or to which something was appended.
    """
    cursor = Cursor(data, START)
    rest = cursor.varint("the length of the file")
    end = cursor.position + rest
    announced = f"the file has {len(data)} bytes, its header announces {end}"
    if end > len(data) and not best_effort:
        raise Truncated(f"{announced}: it is incomplete, copy or download it again")
    if end < len(data) and not best_effort:
        raise TrailingData(f"{announced}: something was appended, copy or download it again")
    length = cursor.varint("the length of the head")
    if not CHECKSUM_BYTES <= length <= end - cursor.position:
        raise unreadable(f"a head of {length} bytes does not fit a file of {end}")
    head = cursor.take(length, "the head")
    start = cursor.position
    covered, found = data[: start - CHECKSUM_BYTES], head[-CHECKSUM_BYTES:]
    if crc32(covered) != int.from_bytes(found, "little"):
        raise ChecksumMismatch(
            "the head of the file is damaged, its checksum is another: copy or download it again"
        )
    wrapping = start - length
    file, payloads, lengths, sizes = _parse(Cursor(head[:-CHECKSUM_BYTES]), wrapping)
    if sum(lengths) != end - start:
        raise unreadable(
            f"the tiles have {sum(lengths)} bytes together, the file leaves {end - start} for them"
        )
    assert file.tiling is not None
    parts = []
    for size in lengths:
        parts.append(data[start : start + size])
        start += size
    file = replace(file, tiling=replace(file.tiling, parts=tuple(parts)))
    sizes |= {"checksum": CHECKSUM_BYTES, "tiles": sum(map(len, parts))}
    if end < len(data):
        sizes["appended"] = len(data) - end
    return Head(file, stored.validated(payloads, file), sizes)


def _parse(
    body: Cursor, wrapping: int
) -> tuple[NczFile, dict[int, Cursor], list[int], dict[str, int]]:
    file, start = stored.take_fields(body)
    file = replace(file, tiling=Tiling(**get_all(TILE, body), parts=()))
    sizes = {"image": wrapping + start, "header": body.position - start}
    if _without_tile(file) != file.header:
        raise unreadable("the head of a file of tiles has a grid_offset or levels of its own")
    _check_grid(file, unreadable)
    where = "the head of a file of tiles"
    payloads = stored.take_sections(body, file.codec, _of_the_file(file.codec), sizes, where)
    start = body.position
    lengths = [body.varint("length of a tile") for _ in range(len(file.grid))]
    sizes["tile_lengths"] = 1 + body.position - start
    body.finish("the last length of a tile")
    return file, payloads, lengths, sizes


def _check_grid(file: NczFile, blame: Blame) -> None:
    if not 2 <= len(file.grid) <= MAX_TILES:
        raise blame(f"a picture of {len(file.grid)} tiles, the format allows 2 to {MAX_TILES}")


def _put_own(file: NczFile) -> bytes:
    """What a tile has of its own in the fields of the header."""
    own = [GRID_OFFSET.put(file.header.grid_offset)]
    for group in _groups_by_tile(file):
        own.append(LEVELS_BY_TILE[file.codec].put(group.levels))
    return b"".join(own)


def _get_own(file: NczFile, body: Cursor) -> Header:
    """The header of a tile: that of the file, with what `_put_own` stored."""
    own: dict[str, Any] = {"grid_offset": GRID_OFFSET.get(body)}
    groups = tuple(
        replace(group, levels=LEVELS_BY_TILE[file.codec].get(body))
        for group in _groups_by_tile(file)
    )
    if groups:
        own["groups"] = groups
    return replace(file.header, **own)


def _without_tile(file: NczFile) -> Header:
    """The header with nothing in it that a tile has of its own."""
    own: dict[str, Any] = {
        section.name: None
        for section in _of_the_tile(file.codec)
        if section.path.startswith("header.")
    }
    groups = tuple(replace(group, levels=FEWEST_LEVELS) for group in _groups_by_tile(file))
    if groups:
        own["groups"] = groups
    return replace(file.header, **own, grid_offset=0)


def _groups_by_tile(file: NczFile) -> tuple[Group, ...]:
    """Groups whose levels differ from tile to tile; none where the codec has no such groups."""
    if file.codec not in LEVELS_BY_TILE or isinstance(file.header, ComRecHeader):
        return ()
    return file.header.groups


def _of_the_file(codec: int) -> list[Section]:
    return [section for section in sections_of(codec) if section.id >= FIRST_SKIPPABLE_SECTION]


def _of_the_tile(codec: int) -> list[Section]:
    return [section for section in sections_of(codec) if section.id < FIRST_SKIPPABLE_SECTION]


def _of_tile(number: int, body: bytes | memoryview) -> int:
    """Checksum of a tile; its number is part of it, so that no tile passes for another."""
    return crc32(body, crc32(number.to_bytes(4, "little")))


def _checksum(value: int) -> bytes:
    return value.to_bytes(CHECKSUM_BYTES, "little")
