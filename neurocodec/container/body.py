"""What is stored alike in a file, in the head of a file of tiles, and in a tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from neurocodec.container import lengths
from neurocodec.container.fields import get_all, put_all
from neurocodec.container.layout import (
    CODEC,
    CODECS,
    END_OF_SECTIONS,
    FIRST_SKIPPABLE_SECTION,
    HEADERS,
    IMAGE,
    STREAM_COUNT,
)
from neurocodec.container.records import Header, NczFile
from neurocodec.container.rules import check_codec, check_header, check_stream_count
from neurocodec.container.sections import SECTIONS, Section
from neurocodec.container.wire import Cursor, unreadable, unwritable, varint

Found = list[tuple[Section, Callable[[], Any]]]
"""Sections that were read and validated, each with what inflates it."""


def put_fields(file: NczFile) -> bytes:
    """Codec, image and header."""
    fields = HEADERS[file.codec][1]
    return CODEC.put(file.codec) + put_all(IMAGE, file) + put_all(fields, file.header)


def take_fields(body: Cursor) -> tuple[NczFile, int]:
    """A file of no sections and streams yet, and where its header began."""
    codec = CODEC.get(body)
    check_codec(codec)
    image = get_all(IMAGE, body)
    start = body.position
    record, fields = HEADERS[codec]
    header = record(**get_all(fields, body))
    check_header(header, unreadable)
    return NczFile(codec=codec, header=header, streams=(), **image), start


def put_sections(file: NczFile, sections: Sequence[Section]) -> bytes:
    """Those of ``sections`` that have a value in the file, and their end."""
    parts = []
    for section in sections:
        value = section.value(file)
        if value is not None:
            payload = section.put(value, file)
            parts += [bytes([section.id]), varint(len(payload)), payload]
    return b"".join([*parts, bytes([END_OF_SECTIONS])])


def take_sections(
    body: Cursor, codec: int, sections: Sequence[Section], sizes: dict[str, int], where: str
) -> dict[int, Cursor]:
    """The payloads of the known sections by id. Adds the bytes of each to ``sizes``.

    ``where`` they may be, for the message that refuses others.
    """
    names = {section.id: section.name for section in sections}
    elsewhere = {section.id for section in SECTIONS} - names.keys()
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
        if id_ in elsewhere or (id_ not in names and id_ < FIRST_SKIPPABLE_SECTION):
            if id_ in {section.id for section in SECTIONS if section.codec not in (None, codec)}:
                where = f"codec {CODECS[codec]}"
            raise unreadable(f"section {id_} does not exist in {where}")
        last = id_
        name = names.get(id_, "skipped")
        payload = Cursor(body.take(body.varint(f"length of {name}"), name))
        if id_ in names:
            payloads[id_] = payload
        sizes[name] += body.position - start


def validated(payloads: dict[int, Cursor], file: NczFile) -> Found:
    """Sections in the order of the file, each with a function that yields its value."""
    known = [(section, payloads[section.id]) for section in SECTIONS if section.id in payloads]
    return [(section, section.get(part, file)) for section, part in known]


def inflated(file: NczFile, found: Found) -> NczFile:
    """The file with the values of its sections."""
    for section, inflate in found:
        file = _with(file, section.path, inflate())
    return file


def put_streams(header: Header, streams: tuple[bytes, ...]) -> bytes:
    """Their number, their lengths, and they."""
    check_stream_count(header, len(streams), unwritable)
    sizes = lengths.put(list(map(len, streams)))
    return b"".join([STREAM_COUNT.put(len(streams)), sizes, *streams])


def take_streams(body: Cursor, header: Header) -> tuple[bytes, ...]:
    """What `put_streams` stored, up to the end of ``body``."""
    count = STREAM_COUNT.get(body)
    check_stream_count(header, count, unreadable)
    sizes = lengths.take(body, count)
    return tuple(bytes(body.take(n, "a coded stream")) for n in sizes)


def _with(file: NczFile, path: str, value: Any) -> NczFile:
    owner, _, name = path.rpartition(".")
    if owner:
        return replace(file, header=replace(file.header, **{name: value}))
    return replace(file, **{name: value})
