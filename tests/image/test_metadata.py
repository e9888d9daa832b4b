"""Orientation, EXIF, XMP and ICC."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from neurocodec.image import metadata, open_photo
from tests.image.samples import (
    encoded,
    exif_block,
    grey_profile,
    oriented,
    rgb,
    srgb_profile,
)

ORIENTATION = 0x0112
MODEL, MAKE = 0x0110, 0x010F
XMP = b'<x tiff:Orientation="3"/>'


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_once_and_removed(orientation, format):
    options = {"lossless": True} if format == "WEBP" else {}
    data = oriented(rgb(), orientation, format, **options)
    photo = open_photo(data)
    np.testing.assert_array_equal(photo.pixels, rgb())
    assert photo.exif is None  # nothing else was in it


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_alpha(orientation):
    rgba = np.dstack([rgb(), rgb(seed=1)[..., 0]])
    photo = open_photo(oriented(rgba, orientation))
    np.testing.assert_array_equal(photo.alpha, rgba[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["L", "1", "I;16"])
def test_orientation_of_grey(orientation, kind):
    grey = rgb()[..., 0]
    pixels = {"L": grey, "1": grey > 99, "I;16": grey.astype(np.uint16) * 257}[kind]
    expected = np.where(grey > 99, 255, 0) if kind == "1" else grey
    photo = open_photo(oriented(pixels, orientation))
    np.testing.assert_array_equal(photo.pixels[..., 1], expected)


def test_orientation_of_a_jpeg_agrees_with_pillow():
    pixels = np.zeros((24, 16, 3), np.uint8)
    pixels[:12, :8] = (200, 90, 30)
    data = oriented(pixels, 6, "JPEG", quality=100, subsampling=0)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(open_photo(data).pixels, expected)
    np.testing.assert_allclose(expected, pixels, atol=12)


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_orientation_leaves_the_exif_block(order):
    trailer = b"a maker note that counts its bytes from the front"
    exif = exif_block((MODEL, 7), (ORIENTATION, 6), (0x0128, 2), order=order, trailer=trailer)
    kept = metadata.exif_upright(exif)
    without = exif_block((MODEL, 7), (0x0128, 2), order=order, trailer=bytes(12) + trailer)
    assert kept == without
    assert len(kept) == len(exif)  # every offset into it still holds
    assert metadata.orientation(kept, None) == 1


def test_orientation_as_a_long():
    exif = bytearray(exif_block((ORIENTATION, 8)))
    exif[12] = 4
    assert metadata.orientation(bytes(exif), None) == 8


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_out_of_range_turns_nothing_and_is_removed(value):
    exif = exif_block((MODEL, 7), (ORIENTATION, value))
    assert metadata.orientation(exif, None) == 1
    assert metadata.exif_upright(exif)[:22] == exif_block((MODEL, 7))[:22]


def test_exif_with_a_second_directory_is_kept_though_the_first_is_empty():
    exif = bytearray(exif_block((ORIENTATION, 1)))
    exif[-4] = 99
    assert metadata.exif_upright(bytes(exif)) is not None


@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0"]))
def test_any_bytes_pass_as_exif(data, start):
    exif = start + data
    assert 1 <= metadata.orientation(exif, None) <= 8
    kept = metadata.exif_upright(exif)
    assert kept is None or len(kept) <= len(exif) + 12


def test_unreadable_exif_is_carried_untouched():
    data = encoded(Image.fromarray(rgb()), exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    photo = open_photo(data)
    assert photo.exif == b"II*\0\xff\xff\xff\x7f"
    np.testing.assert_array_equal(photo.pixels, rgb())


def test_exif_of_imagemagick():
    exif = exif_block((ORIENTATION, 3), (MODEL, 5))
    image = Image.fromarray(rgb())
    image.info["Raw profile type exif"] = (
        f"\nexif\n{len(exif) + 6:8}\n{(b'Exif' + bytes(2) + exif).hex()}\n"
    )
    photo = open_photo(image)
    np.testing.assert_array_equal(photo.pixels, rgb()[::-1, ::-1])
    assert photo.exif[:22] == exif_block((MODEL, 5))[:22]
    image.info["Raw profile type exif"] = "\nexif\n 3\nno hex\n"
    assert open_photo(image).exif is None


def test_exif_of_a_tiff_is_what_describes_the_photograph():
    exif = Image.Exif()
    exif[MAKE] = "Maker"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 200}
    kept = Image.Exif()
    kept.load(open_photo(encoded(Image.fromarray(rgb()), "TIFF", exif=exif.tobytes())).exif)
    assert kept[MAKE] == "Maker"
    assert kept.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.ISOSpeedRatings: 200}
    assert ExifTags.Base.StripOffsets not in kept
    assert ExifTags.Base.ImageWidth not in kept


def test_a_tag_of_a_tiff_that_cannot_be_written_takes_no_other_with_it():
    image = Image.open(io.BytesIO(encoded(Image.fromarray(rgb()), "TIFF")))
    exif = image.getexif()
    exif[MAKE] = "Maker"
    exif[ExifTags.Base.Software] = object()
    exif[ExifTags.Base.XPKeywords] = "sea".encode("utf-16le")
    directory = exif.get_ifd(ExifTags.IFD.Exif)
    directory.update({ExifTags.Base.ISOSpeedRatings: 200, ExifTags.Base.LensModel: object()})
    kept = Image.Exif()
    kept.load(open_photo(image).exif)
    assert kept[MAKE] == "Maker"
    assert bytes(kept[ExifTags.Base.XPKeywords]) == "sea".encode("utf-16le")
    assert ExifTags.Base.Software not in kept
    assert kept.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.ISOSpeedRatings: 200}


@pytest.mark.parametrize(
    ("tag", "xmp"), [(1, XMP), (3, b"<x tiff:Orientation=' 3 '/>"), (3, XMP), (None, XMP)]
)
def test_a_tiff_is_turned_once(tag, xmp):
    """Pillow does, by the tag; a stale orientation in XMP counts only where there is no tag."""
    tags = {700: xmp} | ({ORIENTATION: tag} if tag else {})
    photo = open_photo(encoded(Image.fromarray(rgb()), "TIFF", tiffinfo=tags))
    expected = rgb() if tag == 1 else rgb()[::-1, ::-1]
    np.testing.assert_array_equal(photo.pixels, expected)


def test_a_tiff_of_nothing_but_pixels_has_no_exif():
    assert open_photo(encoded(Image.fromarray(rgb()), "TIFF")).exif is None


@pytest.mark.parametrize(
    "xmp", [XMP, b"<tiff:Orientation>3</tiff:Orientation>", b"<x tiff:Orientation = '3'/>"]
)
def test_orientation_in_xmp_counts_where_exif_is_silent(xmp):
    image = Image.fromarray(rgb())
    image.info["xmp"] = xmp
    photo = open_photo(image)
    np.testing.assert_array_equal(photo.pixels, rgb()[::-1, ::-1])
    assert photo.xmp == xmp.replace(b"3", b"1")


def test_orientation_in_exif_goes_first():
    image = Image.fromarray(rgb())
    image.info["xmp"] = XMP
    image.info["exif"] = b"Exif\0\0" + exif_block((ORIENTATION, 2))
    photo = open_photo(image)
    np.testing.assert_array_equal(photo.pixels, rgb()[:, ::-1])
    assert photo.xmp == XMP.replace(b"3", b"1")


def test_orientation_in_the_xmp_of_a_tiff_is_applied_once():
    data = encoded(Image.fromarray(rgb()), "TIFF", tiffinfo={700: XMP})
    photo = open_photo(data)
    np.testing.assert_array_equal(photo.pixels, rgb()[::-1, ::-1])
    assert b"3" not in photo.xmp


def test_xmp_as_text():
    image = Image.fromarray(rgb())
    image.info["XML:com.adobe.xmp"] = "<é/>"
    assert open_photo(image).xmp == "<é/>".encode()


def test_jpeg_xl_has_been_turned_by_its_reader():
    image = Image.fromarray(rgb())
    image.format = "JXL"
    image.info["exif"] = exif_block((ORIENTATION, 6), (MODEL, 1))
    photo = open_photo(image)
    np.testing.assert_array_equal(photo.pixels, rgb())
    assert metadata.orientation(photo.exif, None) == 1


@pytest.mark.parametrize(
    ("pixels", "profile", "kept"),
    [
        (rgb(), srgb_profile(), True),
        (rgb(), grey_profile(), False),
        (rgb()[..., 0], grey_profile(), True),
        (rgb()[..., 0], srgb_profile(), False),
        (rgb(), b"short", False),
    ],
)
def test_profiles_are_kept_where_they_fit_the_mode(pixels, profile, kept):
    image = Image.fromarray(pixels)
    image.info["icc_profile"] = profile
    assert open_photo(image).icc == (profile if kept else None)


def test_a_profile_is_carried_not_applied():
    profile = srgb_profile()
    photo = open_photo(encoded(Image.fromarray(rgb()), icc_profile=profile))
    assert photo.icc == profile
    np.testing.assert_array_equal(photo.pixels, rgb())
