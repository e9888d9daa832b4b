"""An .ncz file as a whole: write it, read it, account for its bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from neurocodec.container import body as stored
from neurocodec.container import tiled
from neurocodec.container.fields import describe_all
from neurocodec.container.layout import (
    CHECKSUM_BYTES,
    CODECS,
    HEADERS,
    IMAGE,
    MAGIC,
    TILED_VERSION,
    VERSION,
)
from neurocodec.container.records import NczFile
from neurocodec.container.rules import check_codec, check_header
from neurocodec.container.sections import sections_of
from neurocodec.container.wire import Cursor, unreadable, unwritable, varint
from neurocodec.errors import (
    BadMagic,
    ChecksumMismatch,
    ImageTooLarge,
    TrailingData,
    Truncated,
    UnsupportedVersion,
)
from neurocodec.limits import MAX_PIXELS

Bytes = bytes | bytearray | memoryview


def write(file: NczFile) -> bytes:
    """The bytes of an .ncz file. The same record gives the same bytes.

    Raises InvalidArgument where a value has no place in the format, UnknownCodec.
    """
    check_codec(file.codec)
    record = HEADERS[file.codec][0]
    if not isinstance(file.header, record):
        found, name = type(file.header).__name__, CODECS[file.codec]
        raise unwritable(f"header is a {found}, codec {name} has a {record.__name__}")
    check_header(file.header, unwritable)
    if file.tiling is not None:
        return tiled.write(file)
    streams = stored.put_streams(file.header, file.streams)
    body = stored.put_fields(file) + stored.put_sections(file, sections_of(file.codec)) + streams
    unsigned = MAGIC + bytes([VERSION]) + varint(len(body) + CHECKSUM_BYTES) + body
    return unsigned + crc32(unsigned).to_bytes(CHECKSUM_BYTES, "little")


def read(data: Bytes, *, max_pixels: int = MAX_PIXELS, best_effort: bool = False) -> NczFile:
    """The content of an .ncz file, every field of it validated; of tiles, only where they are.

    max_pixels: the largest width * height to accept; a limit of the reader, not of the format.
    best_effort: whether a file of tiles may have lost its end.

    Raises BadMagic, UnsupportedVersion, Truncated, TrailingData, ChecksumMismatch, UnknownCodec,
    MalformedHeader, ImageTooLarge.
    """
    parsed = _parse(data, best_effort)
    file = parsed.file
    pixels = file.width * file.height
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"the image has {file.width} x {file.height} = {pixels} pixels, {max_pixels} are "
            "allowed: raise max_pixels (--max-pixels) if you trust the file"
        )
    return stored.inflated(file, parsed.sections)


def sizes(data: Bytes, *, best_effort: bool = False) -> dict[str, int]:
    """Bytes of each part of an .ncz file, in the order of the file. They sum to ``len(data)``.

    ``image`` counts signature, version and length too, ``stream_lengths`` the end of the
    sections, ``skipped`` the sections that this release does not know. Absent parts count 0;
    sections that the codec does not have are left out. A file of tiles has ``tile_lengths`` and
    ``tiles`` instead of streams; ``checksum`` is then that of its head. With ``best_effort`` only
    those bytes of tiles count that are there, and what was appended is ``appended``.
    Raises as :func:`read` does, but inflates nothing and has no limit of pixels.
    """
    return _parse(data, best_effort).sizes


def describe(file: NczFile) -> dict[str, Any]:
    """The header fields by name, as JSON can hold them; of streams and metadata, the lengths."""
    described = {"codec": CODECS[file.codec], **describe_all(IMAGE, file)}
    described |= describe_all(HEADERS[file.codec][1], file.header)
    for section in sections_of(file.codec):
        value = section.value(file)
        described[section.name] = None if value is None else section.describe(value)
    described["streams"] = [len(stream) for stream in file.streams]
    return described


@dataclass(frozen=True)
class _Parsed:
    file: NczFile  # without its sections
    sections: stored.Found
    sizes: dict[str, int]


def _parse(data: Bytes, best_effort: bool = False) -> _Parsed:
    whole = memoryview(data).cast("B")
    if _version(whole) == TILED_VERSION:
        head = tiled.read(whole, best_effort)
        return _Parsed(head.file, head.sections, head.sizes)
    body = _unwrap(whole)
    wrapping = len(data) - CHECKSUM_BYTES - body.left
    file, start = stored.take_fields(body)
    sizes = {"image": wrapping + start, "header": body.position - start}

    where = f"version {VERSION}"
    payloads = stored.take_sections(body, file.codec, sections_of(file.codec), sizes, where)

    left = body.left
    streams = stored.take_streams(body, file.header)
    coded = sum(map(len, streams))
    sizes |= {"stream_lengths": 1 + left - coded, "streams": coded}
    sizes["checksum"] = CHECKSUM_BYTES

    file = replace(file, streams=streams)
    return _Parsed(file, stored.validated(payloads, file), sizes)


def _version(whole: memoryview) -> int:
    """The format version, one that this release reads."""
    signature = bytes(whole[: len(MAGIC)])
    if signature != MAGIC:
        if MAGIC.startswith(signature):
            raise Truncated(f"the file has only {len(signature)} bytes: copy or download it again")
        raise BadMagic(
            f"the file starts with {signature.hex()}, an .ncz file with {MAGIC.hex()}: "
            "give the name of an .ncz file"
        )
    version = Cursor(whole, len(MAGIC)).unsigned(1, "the format version")
    if version not in (VERSION, TILED_VERSION):
        older = "encode the picture again, it was made before the first release"
        raise UnsupportedVersion(
            f"format version {version}, this release reads {VERSION} and {TILED_VERSION}: "
            f"{older if version < VERSION else 'install a newer neurocodec'}"
        )
    return version


def _unwrap(whole: memoryview) -> Cursor:
    """What lies between length and checksum, after both were found right."""
    cursor = Cursor(whole, len(MAGIC) + 1)
    length = cursor.varint("the length of the file")
    announced = f"the file has {len(whole)} bytes, its header announces {cursor.position + length}"
    if length > cursor.left:
        raise Truncated(f"{announced}: it is incomplete, copy or download it again")
    if length < cursor.left:
        raise TrailingData(f"{announced}: something was appended, copy or download it again")
    if length < CHECKSUM_BYTES:
        raise unreadable(f"{announced}, too few for a checksum")
    body = cursor.take(length - CHECKSUM_BYTES, "the contents")
    stored, found = cursor.unsigned(CHECKSUM_BYTES, "the checksum"), crc32(whole[:-CHECKSUM_BYTES])
    if stored != found:
        raise ChecksumMismatch(
            f"checksum {found:08x}, the file says {stored:08x}: it is damaged, "
            "copy or download it again"
        )
    return Cursor(body)
