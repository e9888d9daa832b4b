"""Files taken apart and put together again, every length and checksum right, whatever they hold.

A mutant whose checksum is wrong tests the checksum and nothing behind it.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass, field, replace

from neurocodec import container
from neurocodec.container import Grid, lengths
from neurocodec.container.fields import Field, get_all
from neurocodec.container.layout import (
    CODEC,
    GRID_OFFSET,
    HEADERS,
    IMAGE,
    LEVELS_BY_TILE,
    TILE,
)
from neurocodec.container.wire import Cursor, varint
from neurocodec.errors import NczError

HEAD = container.MAGIC + bytes([container.VERSION])
TILED_HEAD = container.MAGIC + bytes([container.TILED_VERSION])
MAP, ALPHA, METADATA = 2, 3, (128, 129, 130)
"""Sections that hold something compressed."""

PNG = b"\x89PNG\r\n\x1a\n"


def seal(body: bytes, *, head: bytes = HEAD) -> bytes:
    """A file around ``body`` (what lies between length and checksum), whatever that holds."""
    unsigned = head + varint(len(body) + 4) + body
    return unsigned + zlib.crc32(unsigned).to_bytes(4, "little")


def seal_tiles(head: bytes, tiles: list[bytes], *, length: int | None = None) -> bytes:
    """A file of tiles around ``head``, whose length is ``length``, None for the true one."""
    size = varint(len(head) + 4 if length is None else length)
    rest = len(size) + len(head) + 4 + sum(map(len, tiles))
    unsigned = TILED_HEAD + varint(rest) + size + head
    return unsigned + zlib.crc32(unsigned).to_bytes(4, "little") + b"".join(tiles)


def seal_tile(number: int, body: bytes) -> bytes:
    """A tile around ``body``, whatever that holds; ``number`` is its place."""
    checksum = zlib.crc32(body, zlib.crc32(number.to_bytes(4, "little")))
    return body + checksum.to_bytes(4, "little")


def unseal(data: bytes) -> bytes:
    """The body of a file whose length is one; of a file of tiles, its head. Raises ValueError."""
    try:
        cursor = Cursor(data, len(HEAD))
        cursor.varint("a length")
        if data[: len(HEAD)] == TILED_HEAD:
            return bytes(cursor.take(cursor.varint("a length"), "the head")[:-4])
        return bytes(cursor.rest()[:-4])
    except NczError as error:
        raise ValueError(str(error)) from error


@dataclass
class Parts:
    """The parts of a file, or of a tile, as bytes.

    image: begins with the codec; a tile has none. header: of a tile, what it has of its own; of a
    file of tiles, their size too. tiles: a tile that is bytes is stored as it is, its checksum
    included. index: the lengths of the streams or of the tiles, None for those that are true.
    """

    image: bytes
    header: bytes
    sections: list[tuple[int, bytes]] = field(default_factory=list)
    streams: list[bytes] = field(default_factory=list)
    tiles: list[Parts | bytes] | None = None
    index: bytes | None = None

    def body(self) -> bytes:
        """What lies between length and checksum."""
        out = self.image + self.header
        for number, payload in self.sections:
            out += bytes([number]) + varint(len(payload)) + payload
        out += b"\0"
        if self.tiles is None:
            out += bytes([len(self.streams) & 0xFF])
            index = lengths.put(list(map(len, self.streams)))
        else:
            index = b"".join(varint(len(tile)) for tile in self.stored())
        return out + (index if self.index is None else self.index) + b"".join(self.streams)

    def stored(self) -> list[bytes]:
        """The tiles with their checksums."""
        return [
            one if isinstance(one, bytes) else seal_tile(number, one.body())
            for number, one in enumerate(self.tiles or ())
        ]

    def seal(self) -> bytes:
        if self.tiles is None:
            return seal(self.body())
        return seal_tiles(self.body(), self.stored())


def take_apart(data: bytes) -> Parts:
    """The parts of a file, valid as far as its structure goes. Raises ValueError."""
    try:
        cursor = Cursor(body := unseal(data))
        codec = CODEC.get(cursor)
        image = get_all(IMAGE, cursor)
        image_end = cursor.position
        header = get_all(HEADERS[codec][1], cursor)
        tiled = data[: len(HEAD)] == TILED_HEAD
        size = get_all(TILE, cursor) if tiled else {}
        parts = Parts(body[:image_end], body[image_end : cursor.position])
        parts.sections = _sections(cursor)
        if not tiled:
            parts.streams = _streams(cursor)
            return parts
        grid = Grid(image["width"], image["height"], size["width"], size["height"])
        sizes = [cursor.varint("a length") for _ in range(len(grid))]
        own = (GRID_OFFSET,)
        if codec in LEVELS_BY_TILE:
            own += (LEVELS_BY_TILE[codec],) * len(header["groups"])
        rest = Cursor(data[-4 - sum(sizes) :], 4)  # the head's checksum
        parts.tiles = [_tile(bytes(rest.take(n, "a tile")), own) for n in sizes]
    except (NczError, KeyError, ValueError) as error:
        raise ValueError(str(error)) from error
    return parts


def _tile(data: bytes, own: tuple[Field, ...]) -> Parts | bytes:
    """A tile taken apart, or as it is where that cannot be done. own: the fields it begins with."""
    try:
        cursor = Cursor(data[:-4])
        for entry in own:
            entry.get(cursor)
        parts = Parts(b"", data[: cursor.position])
        parts.sections, parts.streams = _sections(cursor), _streams(cursor)
    except (NczError, ValueError):
        return data
    return parts


def _sections(cursor: Cursor) -> list[tuple[int, bytes]]:
    found = []
    while number := cursor.unsigned(1, "a section"):
        payload = cursor.take(cursor.varint("a length"), "a section")
        found.append((number, bytes(payload)))
    return found


def _streams(cursor: Cursor) -> list[bytes]:
    sizes = lengths.take(cursor, cursor.unsigned(1, "a number"))
    return [bytes(cursor.take(n, "a stream")) for n in sizes]


def forged(data: bytes, **changes: object) -> bytes:
    """The file with other fields: those of NczFile, or of its header, by name."""
    file = container.read(data, max_pixels=2**62)
    own = {name: value for name, value in changes.items() if hasattr(file, name)}
    inner = {name: value for name, value in changes.items() if name not in own}
    return container.write(replace(file, header=replace(file.header, **inner), **own))


# Compressed parts: what they hold, and the part around something else.


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def gzip_member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def metadata(data: bytes) -> bytes:
    """The payload of a section of metadata, deflated."""
    return varint(len(data)) + raw_deflate(data)


def split_map(payload: bytes) -> tuple[bytes, bytes]:
    """The fields of an importance map as bytes, and its values. Raises ValueError."""
    start = payload.find(b"\x1f\x8b")
    if start < 0:
        raise ValueError("no gzip member")
    try:
        return payload[:start], zlib.decompressobj(31).decompress(payload[start:], 1 << 16)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and content of every chunk; nothing of what is no chunk."""
    found, position = [], len(PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        content = position + 8
        found.append((data[position + 4 : content], data[content : content + length]))
        position = content + length + 4
    return found


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG stream of these chunks, their checksums right."""
    out = PNG
    for kind, content in chunks:
        out += struct.pack(">I", len(content)) + kind + content
        out += struct.pack(">I", zlib.crc32(kind + content))
    return out
