"""Literal bytes. A change here is a change of the format: it needs a new version."""

import gzip
from dataclasses import replace

from neurocodec.container import describe, read, sizes, write

from .samples import COMPACT, FOREIGN, FULL, MIXED, PLAIN

PLAIN_BYTES = bytes.fromhex(
    "894e435a 05"  # signature, version
    "2a"  # 42 bytes follow
    "01 01 c0dec0de 8006 8004 01"  # cvqn, model 1, digest, 768 x 512, RGB
    "8032 07"  # quality 50.5 = 0x3280 / 256, grid offset
    "03 0803 1005 c8018101"  # three groups
    "00"  # no sections
    "03 ffeb07"  # three streams: of five bytes (-5 bits, 01), of none (-3), the rest
    "6669727374 7468697264"  # the streams
    "b9ec7868"  # checksum
)

FULL_BYTES = bytes.fromhex(
    "894e435a 05 59"
    "01 ac02 00ff00ff 21 11 00"  # cvqn, model 300, digest, 33 x 17, L
    "0001 00 01 0302"  # quality 1, no offset, one group
    "01 01 04"  # (2, 0, 1) is number 4 of the 6 permutations
    "02 1d 02 03 04 1f8b08000000000002ff 636064626660040057ceea5306000000"  # map
    "03 04 89504e47"  # alpha
    "80 0e d201 2b28ca4fcbcc492d183e1400"  # ICC profile, 210 bytes deflated
    "81 05 00 49492a00"  # Exif, shorter as it is
    "82 01 00"  # XMP, empty
    "00 01 78"  # end of sections, one stream of one byte
    "68710a42"
)

COMPACT_BYTES = bytes.fromhex(
    "894e435a 05 21"
    "02 02 c0dec0de 8006 8004 01"  # comrec, model 2, digest, 768 x 512, RGB
    "801e 00 00 400b 09"  # quality 30.5, both, DCT, inner quality 11.25, grid offset
    "00"  # no sections
    "02 ff2f"  # two streams: of three bytes (-6 bits, 1), the rest
    "6c6f77 68696768"  # the streams
    "9611a7e0"  # checksum
)

MIXED_BYTES = bytes.fromhex(
    "894e435a 05 28"
    "03 06 c0dec0de 8006 8004 01"  # image
    "8032 00 02 0340 c80101"  # header: two groups
    "00"
    "03 ffeb07"  # three streams of 5, 0 and 6 bytes
    "6879706572 6c6174656e74"
    "52fa471c"
)

FOREIGN_BYTES = bytes.fromhex(
    "894e435a 05 30"
    "02 ac02 00ff00ff 21 11 00"  # comrec, model 300, digest, 33 x 17, L
    "0064 01 04 0001 00"  # quality 100, RecCNN alone, AVIF, inner quality 1, no offset
    "03 04 89504e47"  # alpha
    "81 05 00 49492a00"  # Exif
    "00 01 0000001c6674797061766966"  # end of sections, one stream of 12 bytes
    "ce3f6556"
)

STORED = replace(FULL, header=replace(FULL.header, importance=None), icc=None)
"""FULL without what zlib may deflate otherwise in another release."""


def test_write_gives_these_bytes() -> None:
    assert write(PLAIN) == PLAIN_BYTES
    assert write(STORED).hex() == (
        "894e435a052a01ac0200ff00ff211100000100010302010104030489504e47810500"
        "49492a008201000001784611cda1"
    )


def test_comrec_gives_these_bytes_and_understands_them() -> None:
    for file, data in ((COMPACT, COMPACT_BYTES), (FOREIGN, FOREIGN_BYTES), (MIXED, MIXED_BYTES)):
        assert write(file) == data
        assert read(data) == file


def test_read_understands_these_bytes() -> None:
    assert read(PLAIN_BYTES) == PLAIN
    assert read(FULL_BYTES) == FULL


def test_a_map_is_written_as_an_ordinary_gzip_member() -> None:
    data = write(FULL)
    member = data[data.index(b"\x1f\x8b") : data.index(b"\x03\x04\x89PNG")]
    assert member[:10] == bytes.fromhex("1f8b08000000000002ff")
    assert gzip.decompress(member) == bytes([0, 1, 2, 3, 0, 1])


def test_any_buffer_can_be_read() -> None:
    assert read(bytearray(PLAIN_BYTES)) == PLAIN
    assert read(memoryview(PLAIN_BYTES)) == PLAIN


def test_sizes_account_for_every_byte() -> None:
    assert list(sizes(FULL_BYTES).items()) == [
        ("image", 16),
        ("header", 6),
        ("channel_order", 3),
        ("importance", 31),
        ("alpha", 6),
        ("icc", 16),
        ("exif", 7),
        ("xmp", 3),
        ("skipped", 0),
        ("stream_lengths", 2),
        ("streams", 1),
        ("checksum", 4),
    ]


def test_describe_is_made_of_what_json_can_hold() -> None:
    assert describe(FULL) == {
        "codec": "cvqn",
        "model": 300,
        "model_digest": "00ff00ff",
        "width": 33,
        "height": 17,
        "mode": "L",
        "quality": 1.0,
        "grid_offset": 0,
        "groups": [{"size": 3, "levels": 2}],
        "channel_order": [2, 0, 1],
        "importance": {"rows": 2, "cols": 3, "levels": 4},
        "alpha": 4,
        "icc": 210,
        "exif": 4,
        "xmp": 0,
        "streams": [1],
    }
    assert describe(PLAIN)["importance"] is None


def test_sizes_of_comrec_have_no_sections_of_other_codecs() -> None:
    assert list(sizes(FOREIGN_BYTES).items()) == [
        ("image", 16),
        ("header", 7),
        ("alpha", 6),
        ("icc", 0),
        ("exif", 7),
        ("xmp", 0),
        ("skipped", 0),
        ("stream_lengths", 2),
        ("streams", 12),
        ("checksum", 4),
    ]


def test_describe_of_comrec() -> None:
    assert describe(FOREIGN) == {
        "codec": "comrec",
        "model": 300,
        "model_digest": "00ff00ff",
        "width": 33,
        "height": 17,
        "mode": "L",
        "quality": 100.0,
        "arrangement": "REC",
        "inner": "AVIF",
        "inner_quality": 1.0,
        "grid_offset": 0,
        "alpha": 4,
        "icc": None,
        "exif": 4,
        "xmp": None,
        "streams": [12],
    }
