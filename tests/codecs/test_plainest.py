"""What the libraries write is in the plainest form; each departure from it is named."""

import struct

import numpy as np
import pytest

from neurocodec.codecs import plainest
from neurocodec.codecs.inner import INNERS
from neurocodec.errors import ImageTooLarge
from tests.training.conftest import draw_photo

INSTALLED = [name for name, codec in INNERS.items() if codec.missing() is None]
SIZE = (40, 24)
PIXELS = np.asarray(draw_photo(2, *SIZE))


def made(name, quality=40.0, pixels=PIXELS):
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed")
    return INNERS[name].encode(pixels, quality)


def swap(data, old, new):
    assert data.count(old) == 1, (old, data.count(old))
    return data.replace(old, new)


def refused(name, data, message, size=SIZE):
    with pytest.raises(ValueError, match=message):
        getattr(plainest, name)(data, *size)


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("quality", [1.0, 55.5, 100.0])
@pytest.mark.parametrize("shape", [(1, 1), (9, 17), (64, 65), (300, 200)])
def test_what_the_libraries_write_is_of_the_plainest_form(name, quality, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    data = made(name, quality, pixels)
    getattr(plainest, name)(data, shape[1], shape[0])
    for length in range(0, len(data), max(1, len(data) // 40)):
        refused(name, data[:length], ".")
    refused(name, data + b"\0", ".")


@pytest.mark.parametrize("name", [name for name in INSTALLED if name in ("avif", "heic")])
def test_more_pixels_than_expected_are_too_large(name):
    data = made(name, pixels=np.zeros((200, 300, 3), np.uint8))
    with pytest.raises(ImageTooLarge, match="not"):
        getattr(plainest, name)(data, 100, 100)


# JPEG.


def jpeg_parts():
    data = made("jpeg")
    return data, data.index(b"\xff\xda")


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xC3, 0xC9, 0xCA, 0xD8, 0x00, 0xF0])
def test_segments_of_jpeg(marker):
    data, _ = jpeg_parts()
    refused("jpeg", data[:2] + segment(marker, b"x" * 9) + data[2:], f"a segment ff{marker:02x}")


def test_scans_and_frames_of_jpeg():
    data, scan = jpeg_parts()
    one = data[scan:-2]
    plainest.jpeg(data[:-2] + one * (plainest.MAX_SCANS - 1) + data[-2:], *SIZE)
    refused("jpeg", data[:-2] + one * plainest.MAX_SCANS + data[-2:], "1 frames and 65 scans")
    refused("jpeg", data[:scan] + data[-2:], "1 frames and 0 scans")
    frame = data[data.index(b"\xff\xc0") :][:19]
    refused("jpeg", data[:scan] + frame + data[scan:], "2 frames")
    refused("jpeg", swap(data, frame, b""), "0 frames")
    plainest.jpeg(data[:2] + segment(0xFE, b"a comment") + data[2:], *SIZE)


def test_restarts_and_stuffed_bytes_end_no_scan():
    data, _ = jpeg_parts()
    plainest.jpeg(data[:-2] + b"\xff\x00\xff\xd0\xff\xd7" + data[-2:], *SIZE)
    plainest.jpeg(data[:-2] + b"\xff\xff" + data[-2:], *SIZE)
    # Quadratic time would be hours.
    refused("jpeg", data[:-2] + b"\xff" * 1_000_000 + b"\0", "it has no end")
    refused("jpeg", data[:-2] + b"\xff\xd8" + data[-2:], "a segment ffd8")


# WebP.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"RIFX" + d[4:], "simple file format"),
        (lambda d: d[:12] + b"VP8X" + d[16:], "simple file format"),
        (lambda d: d[:12] + b"ALPH" + d[16:], "simple file format"),
        (lambda d: d[:4] + struct.pack("<I", len(d) - 7) + d[8:], "its length"),
        (lambda d: d[:16] + struct.pack("<I", 4) + d[20:], "its length"),
    ],
)
def test_departures_of_webp(change, message):
    refused("webp", change(made("webp")), message)


# JPEG 2000.


def put(data, mark, offset, new):
    place = data.index(mark) + offset
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: put(d, b"\xff\x51", 22, struct.pack(">I", 39)), "more than one tile"),
        (lambda d: put(d, b"\xff\x51", 26, struct.pack(">I", 23)), "more than one tile"),
        (lambda d: put(d, b"\xff\x51", 14, struct.pack(">I", 1)), "not begin at zero"),
        (lambda d: put(d, b"\xff\x51", 34, struct.pack(">I", 1)), "not begin at zero"),
        (lambda d: put(d, b"\xff\x51", 38, struct.pack(">H", 4)), "three components"),
        (lambda d: put(d, b"\xff\x51", 41, b"\2"), "three components"),
        (lambda d: put(d, b"\xff\x52", 4, b"\1"), "precincts or code-blocks"),
        (lambda d: put(d, b"\xff\x52", 10, b"\0"), "precincts or code-blocks"),
        (lambda d: put(d, b"\xff\x52", 11, b"\5"), "precincts or code-blocks"),
        (lambda d: swap(d, b"\xff\x5c", b"\xff\x53"), "main header has a segment ff53"),
        (lambda d: swap(d, b"\xff\x5c", b"\xff\x52"), "main header has a segment ff52"),
        (lambda d: swap(d, b"\xff\x52", b"\xff\x64"), "incomplete"),
        (lambda d: put(d, b"\xff\x90", 10, b"\1"), "first tile-part is not all"),
        (lambda d: put(d, b"\xff\x90", 6, bytes(4)), "first tile-part is not all"),
        (lambda d: d[:-1] + b"\0", "first tile-part is not all"),
        (lambda d: put(d, b"\xff\x93", 0, b"\xff\x52"), "tile has a segment ff52"),
    ],
)
def test_departures_of_jpeg2000(change, message):
    refused("jpeg2000", change(made("jpeg2000")), message)


# AVIF and HEIC.


BOXES = [
    (lambda d: d + struct.pack(">I4s", 8, b"free"), "a box 66726565"),
    (lambda d: d + struct.pack(">I4s", 8, b"mdat"), "a box 6d646174"),
    (lambda d: d[:-1], "a box 6d646174"),
    (lambda d: d[: d.index(b"mdat") - 4], "no box mdat"),
    (lambda d: put(d, b"iinf", 9, b"\2"), "not one item"),
    (lambda d: put(d, b"infe", 12, b"grid"), "not one item of type"),
    (lambda d: put(d, b"ispe", 0, b"irot"), "a box 69726f74"),
    (lambda d: put(d, b"iloc", 8, b"\x88"), "not in one place"),
    (lambda d: put(d, b"iloc", 11, b"\2"), "not in one place"),
]


@pytest.mark.parametrize("name", ["avif", "heic"])
@pytest.mark.parametrize(("change", "message"), BOXES)
def test_boxes(name, change, message):
    refused(name, change(made(name)), message)


@pytest.mark.parametrize("name", ["avif", "heic"])
def test_an_item_that_is_not_the_whole_of_its_media_data(name):
    data = made(name)
    end = data.index(b"iloc") - 4
    end += int.from_bytes(data[end : end + 4], "big")
    for place in (end - 1, end - 5):
        wrong = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        refused(name, wrong, "not the whole of its media data")


def coded(data, new):
    """The file with other bytes as its item."""
    start = data.index(b"mdat")
    end = data.index(b"iloc") - 4
    end += int.from_bytes(data[end : end + 4], "big")
    data = data[: end - 4] + struct.pack(">I", len(new)) + data[end:]
    return data[: start - 4] + struct.pack(">I", len(new) + 8) + b"mdat" + new


def test_units_of_avif():
    data = made("avif")
    units = data[data.index(b"mdat") + 4 :]
    assert coded(data, units) == data
    sequence = units[2 : 4 + units[3]]
    assert units[:3] == b"\x12\0\x0a"
    frame = units[2 + len(sequence) :]
    refused("avif", coded(data, units + frame), "it has 2 frames")
    refused("avif", coded(data, units[: -len(frame)]), "it has 0 frames")
    refused("avif", coded(data, units + b"\x10"), "have no size")
    refused("avif", coded(data, units + b"\x12" + b"\x80" * 8), "without end")
    refused("avif", coded(data, units + b"\x12\x01"), "ends early")
    refused("avif", coded(data, units + b"\x0a\x00"), "ends early")
    plainest.avif(coded(data, units + b"\x7a\x03abc"), *SIZE)  # padding


def bits(*fields):
    """(value, width) pairs as bytes, zeros at the end."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    return int(text.ljust(-len(text) % 8 + len(text) + 8, "0"), 2).to_bytes(
        len(text) // 8 + 2, "big"
    )


REDUCED = [(0, 3), (1, 1), (1, 1), (8, 5)]
WHOLE = [(0, 3), (0, 1), (0, 1), (0, 2), (1, 5), (0, 12), (8, 5), (1, 1), (0, 12), (3, 5)]


@pytest.mark.parametrize("start", [REDUCED, WHOLE])
def test_sizes_in_sequence_headers_of_avif(start):
    data = made("avif")
    units = data[data.index(b"mdat") + 4 :]
    length = units[3]

    def with_sequence(*fields):
        unit = bits(*start, *fields)
        return coded(data, b"\x12\0\x0a" + bytes([len(unit)]) + unit + units[4 + length :])

    size = [(39, 6), (23, 5)]
    plainest.avif(with_sequence((5, 4), (4, 4), *size), *SIZE)
    refused("avif", with_sequence((5, 4), (4, 4), (63, 6), (23, 5)), "40x24 and codes 64x24")
    refused("avif", with_sequence((15, 4), (4, 4), (39, 16), (23, 5)), "40x24 and codes 40x24")


def test_timings_in_a_sequence_header_of_avif():
    data = made("avif")
    units = data[data.index(b"mdat") + 4 :]
    timed = bits((0, 5), (1, 1), (0, 9))
    wrong = b"\x12\0\x0a" + bytes([len(timed)]) + timed + units[4 + units[3] :]
    refused("avif", coded(data, wrong), "holds timings")


def test_a_sequence_header_in_the_properties_of_avif():
    data = made("avif")
    place = data.index(b"av1C")
    grown = bytearray(data[: place + 8] + b"\x0a\0" + data[place + 8 :])
    for kind in (b"av1C", b"ipco", b"iprp", b"meta"):
        start = grown.index(kind) - 4
        size = int.from_bytes(grown[start : start + 4], "big") + 2
        grown[start : start + 4] = size.to_bytes(4, "big")
    end = grown.index(b"iloc") - 4
    end += int.from_bytes(grown[end : end + 4], "big")
    offset = int.from_bytes(grown[end - 8 : end - 4], "big") + 2
    grown[end - 8 : end - 4] = offset.to_bytes(4, "big")
    refused("avif", bytes(grown), "a sequence header outside of its picture")


def test_units_of_heic():
    data = made("heic")
    units = data[data.index(b"mdat") + 4 :]
    assert coded(data, units) == data
    refused("heic", coded(data, units * 2), "it has 2 frames")
    refused("heic", coded(data, b""), "it has 0 frames")
    for kind in (32, 33, 34):
        unit = struct.pack(">IBBB", 3, kind << 1, 1, 0x80)
        refused("heic", coded(data, unit + units), "parameter sets within")
    refused("heic", coded(data, units + struct.pack(">IBBB", 9, 39 << 1, 1, 0)), "ends early")
    plainest.heic(coded(data, struct.pack(">IBBB", 3, 39 << 1, 1, 0x80) + units), *SIZE)  # SEI
    place = data.index(b"hvcC") + 4 + 21
    short = data[:place] + bytes([data[place] & 0xFC]) + data[place + 1 :]
    refused("heic", short, "do not have four bytes")
