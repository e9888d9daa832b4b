"""Deflate and gzip, undone within a size that is known beforehand, so that no bomb can go off."""

from __future__ import annotations

import zlib

from neurocodec.container.wire import unreadable

RAW_DEFLATE = -15
GZIP = 31
"""The two framings, as zlib's ``wbits`` names them."""

# No name, no comment, time 0, slowest compression, unknown system: equal maps give equal bytes on
# every platform. gzip.compress would write the system's number, which differs.
GZIP_HEADER = bytes.fromhex("1f8b08000000000002ff")
FIXED_GZIP_BYTES = GZIP_HEADER[:8]


def deflate(data: bytes) -> bytes:
    """A raw DEFLATE stream (RFC 1951)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, RAW_DEFLATE)
    return packer.compress(data) + packer.flush()


def gzip(data: bytes) -> bytes:
    """A gzip member (RFC 1952) whose header is constant."""
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return GZIP_HEADER + deflate(data) + trailer


def inflate(data: bytes | memoryview, size: int, wbits: int, what: str) -> bytes:
    """Exactly ``size`` bytes out of exactly one stream; more are never produced than one above.

    Raises MalformedHeader.
    """
    unpacker = zlib.decompressobj(wbits)
    try:
        # One byte more than allowed tells a longer stream from one that ends where it should.
        out = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise unreadable(f"{what} cannot be inflated ({error})") from None
    if len(out) != size:
        found = f"more than {size}" if len(out) > size else str(len(out))
        raise unreadable(f"{what} inflates to {found} bytes, {size} were announced")
    if not unpacker.eof or unpacker.unused_data:
        raise unreadable(f"{what} does not end where its compressed stream ends")
    return out
