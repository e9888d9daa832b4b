"""Kinds of header field. Each knows how its value is stored, restored and checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from operator import index
from typing import Any

from neurocodec.container.records import QUALITY_STEPS
from neurocodec.container.wire import Cursor, unreadable, unwritable, varint
from neurocodec.errors import NczError

Blame = Callable[[str], NczError]


@dataclass(frozen=True)
class Field(ABC):
    """A header field: ``name`` is the attribute of the record that holds its value.

    ``of`` goes before the name in messages, where the name alone would not tell.
    """

    name: str
    of: str = field(default="", kw_only=True)

    @property
    def label(self) -> str:
        return f"{self.of} {self.name}".lstrip()

    @abstractmethod
    def put(self, value: Any) -> bytes:
        """The stored form. Raises InvalidArgument."""

    @abstractmethod
    def get(self, cursor: Cursor) -> Any:
        """The value, checked. Raises MalformedHeader, Truncated."""

    def describe(self, value: Any) -> Any:
        """The value as JSON can hold it."""
        return value


@dataclass(frozen=True)
class Int(Field):
    """An integer from ``low`` to ``high`` in ``size`` bytes, or in a varint if ``size`` is 0."""

    size: int
    low: int
    high: int

    def _check(self, value: int, blame: Blame) -> int:
        if not self.low <= value <= self.high:
            found, low, high = map(self._shown, (value, self.low, self.high))
            raise blame(f"{self.label} is {found}, the format allows {low} to {high}")
        return value

    def _shown(self, stored: int) -> str:
        return str(stored)

    def put(self, value: Any) -> bytes:
        checked = self._check(index(value), unwritable)
        return checked.to_bytes(self.size, "little") if self.size else varint(checked)

    def get(self, cursor: Cursor) -> Any:
        stored = cursor.unsigned(self.size, self.label) if self.size else cursor.varint(self.label)
        return self._check(stored, unreadable)


@dataclass(frozen=True)
class Choice(Int):
    """A member of an enumeration, stored as its number."""

    type: type[IntEnum]

    def get(self, cursor: Cursor) -> IntEnum:
        return self.type(super().get(cursor))

    def describe(self, value: IntEnum) -> str:
        return value.name


@dataclass(frozen=True)
class Fixed(Int):
    """A multiple of 1/256 in fixed point; ``low`` and ``high`` bound the stored integer."""

    def put(self, value: Any) -> bytes:
        stored = float(value) * QUALITY_STEPS
        if not stored.is_integer():  # NaN and infinity are no integers either
            raise unwritable(f"{self.label} is {value}, no multiple of 1/{QUALITY_STEPS}")
        return super().put(int(stored))

    def _shown(self, stored: int) -> str:
        return f"{stored / QUALITY_STEPS:g}"

    def get(self, cursor: Cursor) -> float:
        return float(super().get(cursor) / QUALITY_STEPS)


@dataclass(frozen=True)
class Multiple(Int):
    """A multiple of ``unit``, of which the number is stored; ``low`` and ``high`` bound that."""

    unit: int

    def put(self, value: Any) -> bytes:
        count, rest = divmod(index(value), self.unit)
        if rest:
            raise unwritable(f"{self.label} is {value}, no multiple of {self.unit}")
        return super().put(count)

    def _shown(self, stored: int) -> str:
        return str(stored * self.unit)

    def get(self, cursor: Cursor) -> int:
        return int(super().get(cursor) * self.unit)


@dataclass(frozen=True)
class Odd(Int):
    """An odd number 2n + 1, of which n is stored; ``low`` and ``high`` bound that."""

    def put(self, value: Any) -> bytes:
        half, rest = divmod(index(value), 2)
        if not rest:
            raise unwritable(f"{self.label} is {value}, an odd number is needed")
        return super().put(half)

    def _shown(self, stored: int) -> str:
        return str(2 * stored + 1)

    def get(self, cursor: Cursor) -> int:
        return 2 * int(super().get(cursor)) + 1


@dataclass(frozen=True)
class Raw(Field):
    """Exactly ``size`` bytes."""

    size: int

    def put(self, value: bytes) -> bytes:
        if len(value) != self.size:
            raise unwritable(f"{self.label} has {len(value)} bytes, the format has {self.size}")
        return bytes(value)

    def get(self, cursor: Cursor) -> bytes:
        return bytes(cursor.take(self.size, self.label))

    def describe(self, value: bytes) -> str:
        return value.hex()


@dataclass(frozen=True)
class Records(Field):
    """From ``low`` to ``high`` records of one type, after one byte with their number."""

    low: int
    high: int
    type: type
    fields: tuple[Field, ...]

    @property
    def _count(self) -> Int:
        return Int(f"number of {self.name}", 1, self.low, self.high)

    def put(self, value: tuple[Any, ...]) -> bytes:
        return self._count.put(len(value)) + b"".join(put_all(self.fields, one) for one in value)

    def get(self, cursor: Cursor) -> tuple[Any, ...]:
        count = self._count.get(cursor)
        return tuple(self.type(**get_all(self.fields, cursor)) for _ in range(count))

    def describe(self, value: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [describe_all(self.fields, one) for one in value]


def put_all(fields: tuple[Field, ...], record: Any) -> bytes:
    """Stores the attributes of a record that the table names, in its order."""
    return b"".join(entry.put(getattr(record, entry.name)) for entry in fields)


def get_all(fields: tuple[Field, ...], cursor: Cursor) -> dict[str, Any]:
    """Reads what :func:`put_all` stored: values by name."""
    return {entry.name: entry.get(cursor) for entry in fields}


def describe_all(fields: tuple[Field, ...], record: Any) -> dict[str, Any]:
    """The attributes of a record that the table names, as JSON can hold them."""
    return {entry.name: entry.describe(getattr(record, entry.name)) for entry in fields}
