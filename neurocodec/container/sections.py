"""The optional parts of a file. Each kind knows how its value is stored, restored and checked.

``get`` parses and validates and returns a function: calling that one inflates. Thus a file is
validated as a whole before any of its compressed parts is touched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from math import factorial
from operator import attrgetter
from typing import Any

from neurocodec.container import packing
from neurocodec.container.fields import Blame, Int, describe_all, get_all, put_all
from neurocodec.container.layout import (
    CVQN,
    MAP,
    MAX_MAP_POSITIONS,
    MAX_METADATA_BYTES,
    VARINT,
)
from neurocodec.container.permutation import rank, rank_bytes, unrank
from neurocodec.container.records import CVQNHeader, ImportanceMap, NczFile
from neurocodec.container.wire import Cursor, unreadable, unwritable


@dataclass(frozen=True)
class Section(ABC):
    """An optional part: its number in the file, and where its value lives in an NczFile.

    ``codec`` is the wire id of the only codec that has it, None where every codec may.
    """

    id: int
    path: str
    codec: int | None = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def value(self, file: NczFile) -> Any:
        """The value in this file, None where the section is absent."""
        return attrgetter(self.path)(file)

    @abstractmethod
    def put(self, value: Any, file: NczFile) -> bytes:
        """The payload. Raises InvalidArgument."""

    @abstractmethod
    def get(self, payload: Cursor, file: NczFile) -> Callable[[], Any]:
        """Validates the payload; the function returned yields the value.

        ``file`` has all that is not a section. Raises MalformedHeader, Truncated, TrailingData;
        so may the function.
        """

    def describe(self, value: Any) -> Any:
        """The value as JSON can hold it."""
        return len(value)


@dataclass(frozen=True)
class Opaque(Section):
    """Bytes that the container does not look into."""

    def put(self, value: bytes, file: NczFile) -> bytes:
        return bytes(value)

    def get(self, payload: Cursor, file: NczFile) -> Callable[[], bytes]:
        data = bytes(payload.rest())
        return lambda: data


@dataclass(frozen=True)
class Deflated(Section):
    """Bytes, deflated where that is shorter: their number and a DEFLATE stream, or 0 and they."""

    @property
    def _size(self) -> Int:
        return Int("size", VARINT, 0, MAX_METADATA_BYTES, of=self.name)

    def put(self, value: bytes, file: NczFile) -> bytes:
        size = self._size.put(len(value))
        stored, deflated = b"\0" + value, size + packing.deflate(value)
        return min(stored, deflated, key=len)

    def get(self, payload: Cursor, file: NczFile) -> Callable[[], bytes]:
        size = self._size.get(payload)
        data = payload.rest()
        if size == 0:
            if len(data) > MAX_METADATA_BYTES:
                cause = f"{self.name} has {len(data)} bytes, the format allows {MAX_METADATA_BYTES}"
                raise unreadable(cause)
            return lambda: bytes(data)
        return lambda: packing.inflate(data, size, packing.RAW_DEFLATE, self.name)


@dataclass(frozen=True)
class Order(Section):
    """A permutation of the C channels: its rank, in as many bytes as C! - 1 needs."""

    def put(self, value: tuple[int, ...], file: NczFile) -> bytes:
        channels = _channels(file)
        if sorted(value) != list(range(channels)):
            raise unwritable(f"{self.name} is no permutation of the {channels} channels")
        return rank(value).to_bytes(rank_bytes(channels), "little")

    def get(self, payload: Cursor, file: NczFile) -> Callable[[], tuple[int, ...]]:
        channels = _channels(file)
        position = payload.unsigned(rank_bytes(channels), self.name)
        payload.finish(self.name)
        if position >= factorial(channels):
            raise unreadable(f"{self.name} is no permutation of the {channels} channels")
        return lambda: unrank(position, channels)

    def describe(self, value: tuple[int, ...]) -> list[int]:
        return list(value)


@dataclass(frozen=True)
class Map(Section):
    """An importance map: rows, columns, levels, then its values in a gzip member."""

    def put(self, value: ImportanceMap, file: NczFile) -> bytes:
        head = put_all(MAP, value)
        _check_map_size(value.rows, value.cols, file, unwritable)
        if len(value.values) != value.rows * value.cols:
            cause = f"{self.name} has {len(value.values)} values, not {value.rows} * {value.cols}"
            raise unwritable(cause)
        _check_map_values(value, unwritable)
        return head + packing.gzip(value.values)

    def get(self, payload: Cursor, file: NczFile) -> Callable[[], ImportanceMap]:
        head = get_all(MAP, payload)
        size = _check_map_size(head["rows"], head["cols"], file, unreadable)
        member = payload.rest()
        if member[:8] != packing.FIXED_GZIP_BYTES:
            raise unreadable(f"{self.name} is no gzip member with an empty header and time 0")

        def inflate() -> ImportanceMap:
            values = packing.inflate(member, size, packing.GZIP, self.name)
            found = ImportanceMap(values=values, **head)
            _check_map_values(found, unreadable)
            return found

        return inflate

    def describe(self, value: ImportanceMap) -> dict[str, Any]:
        return describe_all(MAP, value)


def _channels(file: NczFile) -> int:
    assert isinstance(file.header, CVQNHeader)  # no other codec has an order of channels
    return sum(group.size for group in file.header.groups)


def _check_map_size(rows: int, cols: int, file: NczFile, blame: Blame) -> int:
    # A position stands for 8x8 pixels or more, of an image padded to a multiple of 64 or less.
    most = {"rows": (file.height + 63) // 8, "cols": (file.width + 63) // 8}
    if rows > most["rows"] or cols > most["cols"] or rows * cols > MAX_MAP_POSITIONS:
        raise blame(
            f"importance map of {rows} x {cols} positions, an image of {file.height} x {file.width}"
            f" pixels allows {most['rows']} x {most['cols']} and {MAX_MAP_POSITIONS} in all"
        )
    return rows * cols


def _check_map_values(value: ImportanceMap, blame: Blame) -> None:
    highest = max(value.values)
    if highest >= value.levels:
        raise blame(f"importance map holds the value {highest}, it has {value.levels} levels")


SECTIONS: tuple[Section, ...] = (
    Order(1, "header.channel_order", codec=CVQN),
    Map(2, "header.importance", codec=CVQN),
    Opaque(3, "alpha"),
    Deflated(128, "icc"),
    Deflated(129, "exif"),
    Deflated(130, "xmp"),
)
"""In the order of the file: ids ascend."""


def sections_of(codec: int) -> tuple[Section, ...]:
    """Those that a file of this codec may have, in the order of the file."""
    return tuple(section for section in SECTIONS if section.codec in (None, codec))
