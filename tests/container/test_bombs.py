"""Compressed parts cannot be made to produce more than was announced and the rules allow."""

import gzip
import tracemalloc
import zlib
from unittest.mock import patch

import pytest

from neurocodec.container import packing, read, sizes
from neurocodec.container.wire import varint
from neurocodec.errors import ImageTooLarge, MalformedHeader, NczError, Truncated

from .samples import body, seal, section

MIB = 2**20


def importance(values: bytes, *, rows: int = 8, cols: int = 8, levels: int = 2) -> bytes:
    """A map section with the gzip member given."""
    return section(2, varint(rows) + varint(cols) + bytes([levels]) + values)


def metadata(size: int, stream: bytes) -> bytes:
    return section(128, varint(size) + stream)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def refused(sections: bytes, message: str, error: type[NczError] = MalformedHeader) -> None:
    """Refused, and in little memory."""
    data = seal(body(sections=sections))
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_valid_map_from_another_gzip() -> None:
    member = gzip.compress(bytes([0, 1] * 32), mtime=0)
    found = read(seal(body(sections=importance(member)))).header.importance
    assert found is not None
    assert found.values == bytes([0, 1] * 32)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (packing.gzip(bytes(63)), "inflates to 63 bytes, 64 were announced"),
        (packing.gzip(bytes(65)), "inflates to more than 64 bytes"),
        (packing.gzip(b""), "inflates to 0 bytes"),
        (packing.gzip(bytes(64)) + b"!", "does not end where its compressed stream ends"),
        (packing.gzip(bytes(32)) * 2, "inflates to 32 bytes"),
        (packing.gzip(bytes(64))[:-1], "does not end where its compressed stream ends"),
        (packing.gzip(bytes(64))[:-8] + bytes(8), "cannot be inflated"),
        (packing.GZIP_HEADER + b"\xff\xff", "cannot be inflated"),
        (gzip.compress(bytes(64), mtime=1), "no gzip member with an empty header"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\x02\xff" + b"name\0", "no gzip member"),
        (zlib.compress(bytes(64)), "no gzip member"),
        (b"", "no gzip member"),
        (packing.gzip(bytes([2] * 64)), "holds the value 2, it has 2 levels"),
    ],
)
def test_maps_that_do_not_hold_what_they_announce(member: bytes, message: str) -> None:
    refused(importance(member), message)


def test_a_bomb_in_the_map() -> None:
    refused(importance(packing.gzip(bytes(8 * MIB))), "inflates to more than 64 bytes")


@pytest.mark.parametrize(
    ("rows", "cols", "levels", "message"),
    [
        (0, 8, 2, "importance map rows is 0"),
        (8, 0, 2, "importance map cols is 0"),
        (8, 8, 1, "importance map levels is 1"),
        (8, 8, 17, "importance map levels is 17"),
        (16, 8, 2, "16 x 8 positions, an image of 64 x 64 pixels allows 15 x 15"),
        (8, 16, 2, "8 x 16 positions"),
        (2**31 - 1, 2**31 - 1, 2, "allows 15 x 15"),
    ],
)
def test_the_image_bounds_the_map(rows: int, cols: int, levels: int, message: str) -> None:
    with patch.object(packing, "inflate", side_effect=AssertionError("inflated too early")):
        refused(importance(b"", rows=rows, cols=cols, levels=levels), message)


def test_a_map_has_at_most_2_to_the_24_positions() -> None:
    image = "01 01 00000000 808008 808008 01"  # 131072 x 131072
    values = packing.gzip(bytes(8))
    for rows, message in ((4097, "16777216 in all"), (4096, "inflates to 8 bytes, 16777216")):
        forged = body(image=image, sections=importance(values, rows=rows, cols=4096))
        with pytest.raises(MalformedHeader, match=message):
            read(seal(forged), max_pixels=2**40)


def test_an_image_of_the_largest_size() -> None:
    data = seal(body(image="01 01 00000000 ffffffff07 ffffffff07 01"))
    assert len(data) < 60
    with pytest.raises(ImageTooLarge, match="4611686014132420609 pixels"):
        read(data)


def test_a_map_without_its_fields() -> None:
    refused(section(2, b"\x08"), "importance map cols needs 1 bytes, 0 are left", Truncated)


@pytest.mark.parametrize(
    ("size", "stream", "message"),
    [
        (2**26 + 1, b"", "icc size is 67108865, the format allows 0 to 67108864"),
        (999, raw_deflate(bytes(1000)), "icc inflates to more than 999 bytes"),
        (1001, raw_deflate(bytes(1000)), "icc inflates to 1000 bytes, 1001 were announced"),
        (1000, raw_deflate(bytes(1000)) + b"!", "does not end where"),
        (1000, raw_deflate(bytes(1000))[:-1], "icc .*"),
        (1000, b"\xff", "icc cannot be inflated"),
        (1000, raw_deflate(bytes(8 * MIB)), "icc inflates to more than 1000 bytes"),
    ],
)
def test_metadata_that_does_not_hold_what_it_announces(
    size: int, stream: bytes, message: str
) -> None:
    refused(metadata(size, stream), message)


def test_metadata_without_its_size() -> None:
    refused(section(128, b""), "icc size needs 1 bytes", Truncated)


def test_stored_metadata_has_the_same_limit() -> None:
    with patch("neurocodec.container.sections.MAX_METADATA_BYTES", 10):
        assert read(seal(body(sections=metadata(0, bytes(10))))).icc == bytes(10)
        refused(metadata(0, bytes(11)), "icc has 11 bytes, the format allows 10")


def test_nothing_is_inflated_before_all_is_validated() -> None:
    sound = importance(packing.gzip(bytes(64)))
    too_large = section(130, varint(2**26 + 1))
    with patch.object(packing, "inflate", side_effect=AssertionError("inflated too early")):
        refused(sound + too_large, "xmp size")
        with pytest.raises(ImageTooLarge):
            read(seal(body(sections=sound)), max_pixels=1)
        assert sizes(seal(body(sections=sound)))["importance"] > 20
