"""Files taken apart and put together again, every length and checksum right, whatever they hold.

A mutant whose checksum is wrong tests the checksum and nothing behind it.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass, field, replace

from neurocodec import container
from neurocodec.container.fields import get_all
from neurocodec.container.layout import CODEC, HEADERS, IMAGE
from neurocodec.container.wire import Cursor, varint
from neurocodec.errors import NczError

HEAD = container.MAGIC + bytes([container.VERSION])
MAP, ALPHA, METADATA = 2, 3, (128, 129, 130)
"""Sections that hold something compressed."""

PNG = b"\x89PNG\r\n\x1a\n"


def seal(body: bytes, *, head: bytes = HEAD) -> bytes:
    """A file around ``body`` (what lies between length and checksum), whatever that holds."""
    unsigned = head + varint(len(body) + 4) + body
    return unsigned + zlib.crc32(unsigned).to_bytes(4, "little")


def unseal(data: bytes) -> bytes:
    """The body of a file whose length is one. Raises ValueError."""
    start = len(HEAD)
    while start < len(data) and data[start] >= 0x80:
        start += 1
    if len(data) < start + 5:
        raise ValueError("too short for a file")
    return data[start + 1 : -4]


@dataclass
class Parts:
    """The parts of a file, as bytes: ``image`` begins with the codec."""

    image: bytes
    header: bytes
    sections: list[tuple[int, bytes]] = field(default_factory=list)
    streams: list[bytes] = field(default_factory=list)

    def body(self) -> bytes:
        """What lies between length and checksum."""
        out = self.image + self.header
        for number, payload in self.sections:
            out += bytes([number]) + varint(len(payload)) + payload
        out += b"\0" + bytes([len(self.streams) & 0xFF])
        return (
            out + b"".join(varint(len(stream)) for stream in self.streams) + b"".join(self.streams)
        )

    def seal(self) -> bytes:
        return seal(self.body())


def take_apart(data: bytes) -> Parts:
    """The parts of a file, valid as far as its structure goes. Raises ValueError."""
    try:
        cursor = Cursor(body := unseal(data))
        codec = CODEC.get(cursor)
        get_all(IMAGE, cursor)
        image_end = cursor.position
        get_all(HEADERS[codec][1], cursor)
        parts = Parts(body[:image_end], body[image_end : cursor.position])
        while number := cursor.unsigned(1, "a section"):
            payload = cursor.take(cursor.varint("a length"), "a section")
            parts.sections.append((number, bytes(payload)))
        lengths = [cursor.varint("a length") for _ in range(cursor.unsigned(1, "a number"))]
        parts.streams = [bytes(cursor.take(length, "a stream")) for length in lengths]
    except (NczError, KeyError) as error:
        raise ValueError(str(error)) from error
    return parts


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
