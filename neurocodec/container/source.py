"""Where the bytes of an .ncz file come from: memory, a path, or an open file."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import IO

from neurocodec.errors import InvalidArgument

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]


def read_bytes(source: Source) -> bytes:
    """All of it. Raises InvalidArgument for what gives no bytes, OSError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    try:
        data = source.read() if hasattr(source, "read") else None
    except UnicodeDecodeError:  # of a file in text mode
        data = None
    if not isinstance(data, bytes):
        raise InvalidArgument(
            f"a {type(source).__name__} gives no bytes: pass bytes, a path, or a file opened in "
            "binary mode"
        )
    return data


def map_bytes(source: Source) -> bytes | memoryview:
    """As `read_bytes`, but of a file by its path only what is looked at is read."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            try:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (OSError, ValueError):  # empty, or no real file: a pipe is not opened twice
                return file.read()
    return read_bytes(source)
