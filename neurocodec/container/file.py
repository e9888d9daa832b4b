"""An .ncz file as a whole: write it, read it, account for its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from neurocodec.container.fields import describe_all, get_all, put_all
from neurocodec.container.layout import (
    CHECKSUM_BYTES,
    CODEC,
    CODECS,
    END_OF_SECTIONS,
    FIRST_SKIPPABLE_SECTION,
    HEADERS,
    IMAGE,
    MAGIC,
    STREAM_COUNT,
    VERSION,
)
from neurocodec.container.records import NczFile
from neurocodec.container.rules import check_header, check_stream_count
from neurocodec.container.sections import SECTIONS, Section, sections_of
from neurocodec.container.wire import Cursor, unreadable, unwritable, varint
from neurocodec.errors import (
    BadMagic,
    ChecksumMismatch,
    ImageTooLarge,
    TrailingData,
    Truncated,
    UnknownCodec,
    UnsupportedVersion,
)

Bytes = bytes | bytearray | memoryview


def write(file: NczFile) -> bytes:
    """The bytes of an .ncz file. The same record gives the same bytes.

    Raises InvalidArgument where a value has no place in the format, UnknownCodec.
    """
    _check_codec(file.codec)
    record, fields = HEADERS[file.codec]
    if not isinstance(file.header, record):
        found, name = type(file.header).__name__, CODECS[file.codec]
        raise unwritable(f"header is a {found}, codec {name} has a {record.__name__}")
    check_header(file.header, unwritable)
    check_stream_count(file.header, len(file.streams), unwritable)
    parts = [CODEC.put(file.codec), put_all(IMAGE, file), put_all(fields, file.header)]
    for section in sections_of(file.codec):
        value = section.value(file)
        if value is not None:
            payload = section.put(value, file)
            parts += [bytes([section.id]), varint(len(payload)), payload]
    parts += [bytes([END_OF_SECTIONS]), STREAM_COUNT.put(len(file.streams))]
    parts += [varint(len(stream)) for stream in file.streams]
    parts += file.streams
    body = b"".join(parts)
    unsigned = MAGIC + bytes([VERSION]) + varint(len(body) + CHECKSUM_BYTES) + body
    return unsigned + crc32(unsigned).to_bytes(CHECKSUM_BYTES, "little")


def read(data: Bytes, *, max_pixels: int = 2**28) -> NczFile:
    """The content of an .ncz file, every field of it validated.

    max_pixels: the largest width * height to accept; a limit of the reader, not of the format.

    Raises BadMagic, UnsupportedVersion, Truncated, TrailingData, ChecksumMismatch, UnknownCodec,
    MalformedHeader, ImageTooLarge.
    """
    parsed = _parse(data)
    file = parsed.file
    pixels = file.width * file.height
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"the image has {file.width} x {file.height} = {pixels} pixels, {max_pixels} are "
            "allowed: raise max_pixels (--max-pixels) if you trust the file"
        )
    for section, inflate in parsed.sections:
        file = _with(file, section.path, inflate())
    return file


def sizes(data: Bytes) -> dict[str, int]:
    """Bytes of each part of an .ncz file, in the order of the file. They sum to ``len(data)``.

    ``image`` counts signature, version and length too, ``stream_lengths`` the end of the
    sections, ``skipped`` the sections that this release does not know. Absent parts count 0;
    sections that the codec does not have are left out.
    Raises as :func:`read` does, but inflates nothing and has no limit of pixels.
    """
    return _parse(data).sizes


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
    sections: list[tuple[Section, Callable[[], Any]]]
    sizes: dict[str, int]


def _parse(data: Bytes) -> _Parsed:
    body = _unwrap(data)
    wrapping = len(data) - CHECKSUM_BYTES - body.left
    codec = CODEC.get(body)
    _check_codec(codec)
    image = get_all(IMAGE, body)
    sizes = {"image": wrapping + body.position}

    start = body.position
    record, fields = HEADERS[codec]
    header = record(**get_all(fields, body))
    check_header(header, unreadable)
    sizes["header"] = body.position - start

    payloads = _take_sections(body, codec, sizes)

    start = body.position
    count = STREAM_COUNT.get(body)
    check_stream_count(header, count, unreadable)
    lengths = [body.varint("length of a stream") for _ in range(count)]
    sizes["stream_lengths"] = 1 + body.position - start
    streams = tuple(bytes(body.take(length, "a coded stream")) for length in lengths)
    body.finish("the last coded stream")
    sizes["streams"] = sum(lengths)
    sizes["checksum"] = CHECKSUM_BYTES

    file = NczFile(codec=codec, header=header, streams=streams, **image)
    known = [(section, payloads[section.id]) for section in SECTIONS if section.id in payloads]
    return _Parsed(file, [(section, section.get(part, file)) for section, part in known], sizes)


def _unwrap(data: Bytes) -> Cursor:
    """What lies between length and checksum, after both were found right."""
    whole = memoryview(data).cast("B")
    signature = bytes(whole[: len(MAGIC)])
    if signature != MAGIC:
        if MAGIC.startswith(signature):
            raise Truncated(f"the file has only {len(signature)} bytes: copy or download it again")
        raise BadMagic(
            f"the file starts with {signature.hex()}, an .ncz file with {MAGIC.hex()}: "
            "give the name of an .ncz file"
        )
    cursor = Cursor(whole, len(MAGIC))
    version = cursor.unsigned(1, "the format version")
    if version != VERSION:
        raise UnsupportedVersion(
            f"format version {version}, this release reads {VERSION}: install a newer neurocodec"
        )
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


def _take_sections(body: Cursor, codec: int, sizes: dict[str, int]) -> dict[int, Cursor]:
    """The payloads of the known sections by id. Adds the bytes of each to ``sizes``."""
    names = {section.id: section.name for section in sections_of(codec)}
    sizes.update(dict.fromkeys([*names.values(), "skipped"], 0))
    payloads: dict[int, Cursor] = {}
    last = END_OF_SECTIONS
    while True:
        start = body.position
        id_ = body.unsigned(1, "a section")
        if id_ == END_OF_SECTIONS:
            return payloads
        if id_ <= last:
            raise unreadable(f"section {id_} follows section {last}, their numbers have to ascend")
        if id_ not in names and id_ < FIRST_SKIPPABLE_SECTION:
            where = f"version {VERSION}"
            if any(section.id == id_ for section in SECTIONS):
                where = f"codec {CODECS[codec]}"
            raise unreadable(f"section {id_} does not exist in {where}")
        last = id_
        name = names.get(id_, "skipped")
        payload = Cursor(body.take(body.varint(f"length of {name}"), name))
        if id_ in names:
            payloads[id_] = payload
        sizes[name] += body.position - start


def _with(file: NczFile, path: str, value: Any) -> NczFile:
    owner, _, name = path.rpartition(".")
    if owner:
        return replace(file, header=replace(file.header, **{name: value}))
    return replace(file, **{name: value})


def _check_codec(codec: int) -> None:
    if codec not in CODECS:
        known = ", ".join(f"{number} ({name})" for number, name in CODECS.items())
        raise UnknownCodec(f"codec {codec}, this release knows {known}: install a newer neurocodec")
