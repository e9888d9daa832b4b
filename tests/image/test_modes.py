"""Every mode of Pillow, by the values of its pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from neurocodec.errors import UnreadableImage
from neurocodec.image import open_photo
from tests.image.samples import cmyk_profile, encoded, grey_tiff, rgb, srgb_profile

GREY = rgb()[..., 0]


def assert_grey(photo, expected):
    assert photo.mode == "L"
    assert photo.pixels.dtype == np.uint8
    for channel in range(3):
        np.testing.assert_array_equal(photo.pixels[..., channel], expected)


def test_rgb_as_it_is():
    photo = open_photo(encoded(Image.fromarray(rgb())))
    assert photo.mode == "RGB"
    assert photo.alpha is None
    assert photo.pixels.flags.c_contiguous
    np.testing.assert_array_equal(photo.pixels, rgb())


def test_grey():
    photo = open_photo(encoded(Image.fromarray(GREY)))
    assert_grey(photo, GREY)
    assert photo.alpha is None


def test_one_bit():
    bits = GREY > 127
    assert_grey(open_photo(encoded(Image.fromarray(bits))), np.where(bits, 255, 0))


def test_one_bit_with_a_transparent_value():
    bits = GREY > 127
    photo = open_photo(encoded(Image.fromarray(bits), transparency=1))
    assert_grey(photo, np.where(bits, 255, 0))
    np.testing.assert_array_equal(photo.alpha, np.where(bits, 0, 255))


def test_grey_with_alpha():
    alpha = rgb(seed=1)[..., 0]
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    photo = open_photo(encoded(image))
    assert_grey(photo, GREY)
    np.testing.assert_array_equal(photo.alpha, alpha)


def test_grey_with_a_transparent_value():
    photo = open_photo(encoded(Image.fromarray(GREY), transparency=int(GREY[1, 2])))
    assert_grey(photo, GREY)
    np.testing.assert_array_equal(photo.alpha, np.where(GREY[1, 2] == GREY, 0, 255))


def test_rgba_keeps_what_lies_beneath_transparency():
    rgba = np.dstack([rgb(), np.zeros((3, 4), np.uint8)])
    photo = open_photo(encoded(Image.fromarray(rgba)))
    np.testing.assert_array_equal(photo.pixels, rgb())
    np.testing.assert_array_equal(photo.alpha, np.zeros((3, 4)))


def test_opaque_alpha_is_dropped():
    rgba = np.dstack([rgb(), np.full((3, 4), 255, np.uint8)])
    assert open_photo(encoded(Image.fromarray(rgba))).alpha is None


def test_rgb_with_a_transparent_colour():
    colour = tuple(map(int, rgb()[2, 1]))
    photo = open_photo(encoded(Image.fromarray(rgb()), transparency=colour))
    np.testing.assert_array_equal(photo.pixels, rgb())
    expected = np.full((3, 4), 255)
    expected[2, 1] = 0
    np.testing.assert_array_equal(photo.alpha, expected)


def palette_image():
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 250, 0, 7, 8, 9])
    return image


def test_palette():
    photo = open_photo(encoded(palette_image()))
    assert photo.mode == "RGB"
    assert photo.alpha is None
    assert photo.pixels.tolist() == [[[255, 0, 0], [0, 250, 0], [7, 8, 9]]]


@pytest.mark.parametrize(
    ("transparency", "alpha"), [(1, [255, 0, 255]), (b"\x10\xff\x80", [16, 255, 128])]
)
def test_palette_with_transparency(transparency, alpha):
    photo = open_photo(encoded(palette_image(), transparency=transparency))
    assert photo.pixels.tolist() == [[[255, 0, 0], [0, 250, 0], [7, 8, 9]]]
    assert photo.alpha.tolist() == [alpha]


def test_palette_with_alpha_in_memory():
    image = Image.new("PA", (1, 1))
    image.putpalette([9, 8, 7])
    image.putalpha(100)
    photo = open_photo(image)
    assert (photo.pixels.tolist(), photo.alpha.tolist()) == ([[[9, 8, 7]]], [[100]])


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (2, 1), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert open_photo(data).pixels.tolist() == [[[255, 0, 0]] * 2]


SIXTEEN = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
EIGHT = [[0, 0, 1, 1, 128, 254, 255, 255]]  # v / 257, rounded


def test_16_bit_png():
    assert_grey(open_photo(encoded(Image.fromarray(SIXTEEN))), EIGHT)


def test_16_bit_png_with_a_transparent_value():
    # Pillow does not write this chunk for 16 bits; in memory it is the same to us.
    image = Image.fromarray(SIXTEEN)
    image.info["transparency"] = 257
    photo = open_photo(image)
    assert_grey(photo, EIGHT)
    assert photo.alpha.tolist() == [[255, 255, 255, 0, 255, 255, 255, 255]]


def png_line(width, depth, kind, samples, key=b""):
    """A PNG one pixel high, of a depth that Pillow does not write. key: its tRNS chunk."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (chunk(b"tRNS", key) if key else b"")
    return data + chunk(b"IDAT", zlib.compress(b"\0" + samples)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "samples", "grey"),
    [(2, b"\x1b\x40", [0, 85, 170, 255, 85, 0]), (4, b"\x0f\x81\x7f", [0, 255, 136, 17, 119, 255])],
)
def test_grey_of_few_bits_with_a_transparent_value(depth, samples, grey):
    for key in (1, 2**depth - 1):
        photo = open_photo(png_line(6, depth, 0, samples, struct.pack(">H", key)))
        assert photo.mode == "L"
        assert photo.pixels[0, :, 0].tolist() == grey
        transparent = key * 255 // (2**depth - 1)
        assert photo.alpha.tolist() == [[0 if value == transparent else 255 for value in grey]]


def test_16_bit_png_of_colour_with_a_transparent_colour():
    """The key's low bytes are white's, which stays opaque."""
    samples = struct.pack(">9H", 0x12FF, 0x34FF, 0x56FF, 0xFFFF, 0xFFFF, 0xFFFF, 0, 0, 0)
    photo = open_photo(png_line(3, 16, 2, samples, samples[:6]))
    assert photo.pixels.tolist() == [[[0x12, 0x34, 0x56], [255] * 3, [0] * 3]]
    assert photo.alpha.tolist() == [[0, 255, 255]]


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_png_of_colour_or_with_alpha_keeps_the_upper_bits(kind, channels):
    samples = np.repeat(SIXTEEN[0, :, None], channels, axis=1).astype(">u2")
    photo = open_photo(png_line(8, 16, kind, samples.tobytes()))
    assert photo.mode == "RGB"  # of grey with alpha too
    for channel in range(3):
        np.testing.assert_array_equal(photo.pixels[..., channel], SIXTEEN >> 8)


def test_16_bit_tiff_of_the_other_byte_order():
    image = Image.frombytes("I;16B", (8, 1), SIXTEEN.astype(">u2").tobytes())
    assert_grey(open_photo(image), EIGHT)


def test_12_bit_tiff():
    photo = open_photo(grey_tiff([0, 8, 9, 2048, 4086, 4087, 4095], 12))
    assert_grey(photo, [[0, 0, 1, 128, 254, 255, 255]])


def test_16_bit_tiff_where_0_is_white():
    photo = open_photo(grey_tiff([0, 129, 32768, 65407, 65535], 16, white_is_zero=True))
    assert_grey(photo, [[255, 254, 127, 0, 0]])


def test_32_bit_samples_of_16_bits():
    assert_grey(open_photo(Image.fromarray(SIXTEEN.astype(np.int32))), EIGHT)


@pytest.mark.parametrize("value", [-1, 65536])
def test_samples_beyond_16_bits_are_refused(value):
    image = Image.fromarray(np.array([[0, value]], np.int32))
    with pytest.raises(UnreadableImage, match=r"samples reach from .* 0 to 65535"):
        open_photo(image)


def test_floating_point_is_refused():
    data = encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")
    with pytest.raises(UnreadableImage, match="floating-point samples"):
        open_photo(data)


def test_premultiplied_alpha_is_divided_out():
    image = Image.frombytes("RGBa", (1, 1), bytes([50, 20, 10, 128]))
    photo = open_photo(image)
    assert photo.pixels.tolist() == [[[99, 39, 19]]]  # 255 / 128 times as much
    assert photo.alpha.tolist() == [[128]]


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colour_spaces(mode):
    source = Image.fromarray(np.full((2, 2, 3), (200, 120, 40), np.uint8))
    if mode == "LAB":  # Pillow only converts from it
        image = Image.merge("LAB", [Image.new("L", (2, 2), value) for value in (149, 156, 183)])
    else:
        image = source.convert(mode)
    photo = open_photo(image)
    assert photo.mode == "RGB"
    np.testing.assert_allclose(photo.pixels, np.asarray(source), atol=6)


def cmyk(*inks):
    return Image.frombytes("CMYK", (len(inks), 1), b"".join(map(bytes, inks)))


INKS = ((255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0))


def test_cmyk_without_a_profile():
    photo = open_photo(cmyk(*INKS))
    assert photo.mode == "RGB"
    assert photo.pixels.tolist() == [
        [[0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0], [255, 255, 255]]
    ]


def test_cmyk_jpeg():
    data = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95)
    np.testing.assert_allclose(open_photo(data).pixels[8, 8], (0, 255, 255), atol=3)


def test_cmyk_jpeg_through_its_profile():
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    photo = open_photo(encoded(image, "JPEG", quality=95, icc_profile=cmyk_profile()))
    np.testing.assert_allclose(photo.pixels[8, 8], (255, 0, 0), atol=8)
    assert photo.icc is None


@pytest.mark.parametrize("profile", [b"no profile", srgb_profile()])
def test_cmyk_with_a_profile_that_does_not_work(profile):
    image = cmyk(*INKS)
    image.info["icc_profile"] = profile
    photo = open_photo(image)
    assert photo.pixels[0, 0].tolist() == [0, 255, 255]


def test_the_image_of_the_caller_stays_as_it_is():
    image = palette_image()
    image.info["transparency"] = 0
    open_photo(image)
    assert image.mode == "P"
    assert image.info["transparency"] == 0
