"""Bytes and integers: the cursor that reads them, the varint, and the errors of both directions."""

from __future__ import annotations

from neurocodec.errors import InvalidArgument, MalformedHeader, TrailingData, Truncated

VARINT_BYTES = 9
"""Longest varint: nine groups of seven bits hold any value below 2**63."""


def unreadable(cause: str) -> MalformedHeader:
    """The error for a value, found in a file, that the format forbids."""
    return MalformedHeader(
        f"{cause}: the file was made by a faulty encoder, encode the image again"
    )


def unwritable(cause: str) -> InvalidArgument:
    """The error for a value, handed to the writer, that the format cannot hold."""
    return InvalidArgument(f"{cause}: give a value that the .ncz format can hold")


def varint(value: int) -> bytes:
    """Little-endian base 128, seven bits a byte, the high bit set on all bytes but the last.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Cursor:
    """Reads a stretch of bytes from front to back and never past its end.

    ``what`` names the thing being read and ends up in the message of an error.
    """

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self._data = memoryview(data)
        self.position = position

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self.position

    def take(self, count: int, what: str) -> memoryview:
        """The next ``count`` bytes, not copied. Raises Truncated."""
        if count > self.left:
            raise Truncated(
                f"{what} needs {count} bytes, {self.left} are left: "
                "the file is incomplete or was made by a faulty encoder, copy or encode it again"
            )
        self.position += count
        return self._data[self.position - count : self.position]

    def unsigned(self, size: int, what: str) -> int:
        """A little-endian unsigned integer of ``size`` bytes. Raises Truncated."""
        return int.from_bytes(self.take(size, what), "little")

    def varint(self, what: str) -> int:
        """A varint in its shortest form. Raises Truncated, MalformedHeader."""
        value = 0
        for index in range(VARINT_BYTES):
            byte = self.unsigned(1, what)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if byte == 0 and index > 0:
                    raise unreadable(f"{what} is padded with a needless zero byte")
                return value
        raise unreadable(f"{what} is longer than {VARINT_BYTES} bytes")

    def rest(self) -> memoryview:
        """All bytes not read yet, not copied."""
        return self.take(self.left, "the rest")

    def finish(self, what: str) -> None:
        """Raises TrailingData unless every byte has been read."""
        if self.left:
            raise TrailingData(
                f"{self.left} bytes too many after {what}: "
                "the file was made by a faulty encoder, encode the image again"
            )
