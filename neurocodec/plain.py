"""Typed records to plain dicts and lists, and back, checking names and types.

Recipes are such records in YAML, a model's configuration is one in JSON.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Literal

from neurocodec.errors import InvalidArgument


def to_dict(record: Any) -> Any:
    """A record as plain dicts and lists, for YAML and JSON."""
    if dataclasses.is_dataclass(record):
        return {f.name: to_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    return list(record) if isinstance(record, tuple) else record


def from_dict(kind: Any, raw: Any, where: str = "record") -> Any:
    """Build a record of type ``kind`` from plain data, checking names and types."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise InvalidArgument(f"{where}: expected a mapping, found {raw!r}")
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(raw) - set(hints), key=str)
        if unknown:
            raise InvalidArgument(
                f"{where}: unknown field {unknown[0]!r}; known: {', '.join(hints)}"
            )
        values = {k: from_dict(hints[k], v, f"{where}.{k}") for k, v in raw.items()}
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"{where}: {error}") from error
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if raw not in arguments:
            raise InvalidArgument(
                f"{where}: {raw!r} is not one of {', '.join(map(str, arguments))}"
            )
        return raw
    if origin is tuple:
        if not isinstance(raw, (list, tuple)):
            raise InvalidArgument(f"{where}: expected a list, found {raw!r}")
        if arguments[-1] is not Ellipsis and len(raw) != len(arguments):
            raise InvalidArgument(f"{where}: expected {len(arguments)} values, found {len(raw)}")
        return tuple(from_dict(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(raw))
    if origin is types.UnionType or kind is Any:
        return raw
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise InvalidArgument(f"{where}: expected {kind.__name__}, found {raw!r}")
    return raw
