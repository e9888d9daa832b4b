"""No damaged file is read: any flipped byte, any cut, any byte more."""

from dataclasses import replace

import pytest

from neurocodec.container import NczFile, read, sizes, write
from neurocodec.errors import (
    BadMagic,
    ChecksumMismatch,
    NczError,
    TrailingData,
    Truncated,
    UnsupportedVersion,
)

from .samples import COMPACT, FOREIGN, FULL, MIXED, PLAIN, body, seal

SAMPLES = [PLAIN, FULL, replace(FULL, streams=(bytes(range(256)),) * 2), COMPACT, FOREIGN, MIXED]


@pytest.mark.parametrize("file", SAMPLES)
def test_every_flip_of_a_byte_is_refused(file: NczFile) -> None:
    data = write(file)
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flip
            with pytest.raises(NczError):
                read(damaged)
            with pytest.raises(NczError):
                sizes(damaged)


@pytest.mark.parametrize("file", SAMPLES)
def test_every_cut_is_refused_as_a_cut(file: NczFile) -> None:
    data = write(file)
    for length in range(len(data)):
        with pytest.raises(Truncated):
            read(data[:length])


@pytest.mark.parametrize("file", SAMPLES)
def test_every_trailing_byte_is_refused_as_such(file: NczFile) -> None:
    data = write(file)
    for byte in range(256):
        with pytest.raises(TrailingData, match="something was appended"):
            read(data + bytes([byte]))
    with pytest.raises(TrailingData):
        read(data + data)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", Truncated, "only 0 bytes"),
        (b"\x89N", Truncated, "only 2 bytes"),
        (b"\x89PNG\r\n", BadMagic, "starts with 89504e47"),
        (b"P", BadMagic, "starts with 50,"),
        (b"\x89NCZ", Truncated, "format version"),
        (b"\x89NCZ\x00", UnsupportedVersion, "format version 0"),
        (b"\x89NCZ\x04and more", UnsupportedVersion, "version 4, .* before the first release"),
        (b"\x89NCZ\x07and more", UnsupportedVersion, "version 7, .*: install a newer"),
        (b"\x89NCZ\x05", Truncated, "length of the file"),
        (b"\x89NCZ\x05\x80", Truncated, "length of the file"),
        (b"\x89NCZ\x05\x05abcd", Truncated, "has 10 bytes, its header announces 11"),
        (b"\x89NCZ\x05\x03abcd", TrailingData, "has 10 bytes, its header announces 9"),
        (b"\x89NCZ\x05\x04abcd", ChecksumMismatch, "damaged"),
    ],
)
def test_damage_is_named(data: bytes, error: type[NczError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert ": " in str(caught.value)


def test_the_version_is_judged_before_the_checksum() -> None:
    assert read(seal(body())).width == 64
    with pytest.raises(UnsupportedVersion):
        read(seal(body(), head=b"\x89NCZ\x07"))
