"""What is written: pixels, metadata, formats, and never a part of a file."""

import io
import os
import re
import stat
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from neurocodec.errors import CorruptStream, InvalidArgument, MissingDependency
from neurocodec.image import (
    Photo,
    format_for,
    open_photo,
    output,
    pack_alpha,
    readable_suffixes,
    save,
    suffixes,
    to_pil,
    unpack_alpha,
    write_atomically,
)
from neurocodec.image.metadata import is_bomb
from tests.image.samples import (
    encoded,
    exif_block,
    exif_bomb,
    grey_profile,
    linear_grey_profile,
    rgb,
    srgb_profile,
)

ALPHA = rgb(seed=1)[..., 0]
ALPHA[0] = 0  # a row that is hidden, and must be there all the same
EXIF = exif_block((0x0110, 7))
XMP = b"<x/>"


def photo(mode="RGB", alpha=None):
    icc = srgb_profile() if mode == "RGB" else grey_profile()
    pixels = rgb() if mode == "RGB" else np.dstack([rgb()[..., 0]] * 3)
    return Photo(pixels, mode, alpha, icc, EXIF, XMP)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_to_pil_and_back(mode, alpha):
    image = to_pil(photo(mode, alpha))
    assert image.mode == mode + ("" if alpha is None else "A")
    assert image.info == {
        "icc_profile": photo(mode).icc,
        "exif": b"Exif\0\0" + EXIF,
        "xmp": XMP,
    }
    again = open_photo(image)
    np.testing.assert_array_equal(again.pixels, photo(mode).pixels)
    assert (again.mode, again.icc, again.exif, again.xmp) == (mode, photo(mode).icc, EXIF, XMP)
    assert (again.alpha is None) if alpha is None else np.array_equal(again.alpha, alpha)


def test_to_pil_without_metadata():
    assert to_pil(Photo(rgb(), "RGB")).info == {}


def test_grey_of_unequal_channels_is_their_luma():
    image = to_pil(Photo(np.full((1, 1, 3), (255, 0, 0), np.uint8), "L"))
    assert image.getpixel((0, 0)) == 76  # 0.299 * 255


LOSSLESS = (".png", ".webp", ".tif", ".tiff", ".jp2", ".qoi")
NEAR = (".jpg", ".jpeg", ".avif")
ALL_METADATA = (".png", ".jpg", ".webp", ".avif", ".tiff")


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_lossless_formats(tmp_path, suffix, alpha):
    path = tmp_path / f"a{suffix}"
    save(to_pil(photo(alpha=alpha)), path)
    again = open_photo(path)
    np.testing.assert_array_equal(again.pixels, rgb())
    assert (again.alpha is None) if alpha is None else np.array_equal(again.alpha, alpha)


@pytest.mark.parametrize("suffix", [*NEAR, ".JPG"])
def test_lossy_formats_are_close(tmp_path, suffix):
    smooth = np.linspace(0, 250, 64 * 48 * 3).reshape(48, 64, 3).astype(np.uint8)
    save(Image.fromarray(smooth), tmp_path / f"a{suffix}")
    np.testing.assert_allclose(open_photo(tmp_path / f"a{suffix}").pixels, smooth, atol=6)


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".jpg"])
def test_formats_without_alpha_show_the_image_on_white(tmp_path, suffix):
    rgba = np.full((16, 16, 4), (200, 0, 0, 51), np.uint8)  # a fifth of the red
    save(Image.fromarray(rgba), tmp_path / f"a{suffix}")
    again = open_photo(tmp_path / f"a{suffix}")
    assert again.alpha is None
    np.testing.assert_allclose(again.pixels[8, 8], (244, 204, 204), atol=2)


def test_grey_with_alpha_on_white(tmp_path):
    image = Image.merge("LA", [Image.new("L", (2, 2), 100), Image.new("L", (2, 2), 0)])
    save(image, tmp_path / "a.bmp")
    again = open_photo(tmp_path / "a.bmp")
    assert again.mode == "L"
    assert (again.pixels == 255).all()


def test_grey_in_a_format_of_colour_and_back(tmp_path):
    save(to_pil(photo("L", ALPHA)), tmp_path / "a.webp")
    again = open_photo(tmp_path / "a.webp")
    np.testing.assert_array_equal(again.pixels, photo("L").pixels)
    np.testing.assert_array_equal(again.alpha, ALPHA)
    assert again.icc is None  # it was a grey one, and none that works


@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_grey_of_a_profile_in_a_format_of_colour_keeps_its_tones(tmp_path, alpha):
    linear = replace(photo("L", alpha), icc=linear_grey_profile())
    save(to_pil(linear), tmp_path / "a.webp")
    again = open_photo(tmp_path / "a.webp")
    light = linear.pixels / 255
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(again.pixels, 255 * curved, atol=1.01)
    assert again.icc is None
    if alpha is not None:
        np.testing.assert_array_equal(again.alpha, alpha)


def test_grey_of_a_profile_in_a_format_of_grey_is_as_it_was(tmp_path):
    linear = replace(photo("L"), icc=linear_grey_profile())
    save(to_pil(linear), tmp_path / "a.png")
    again = open_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(again.pixels, linear.pixels)
    assert again.icc == linear.icc


def test_colour_in_a_format_of_grey(tmp_path):
    save(Image.new("RGB", (2, 2), (255, 0, 0)), tmp_path / "a.pgm")
    assert (tmp_path / "a.pgm").read_bytes() == b"P5\n2 2\n255\n" + bytes([76] * 4)


def test_ppm_bytes(tmp_path):
    save(Image.new("L", (1, 1), 9), tmp_path / "a.ppm")
    assert (tmp_path / "a.ppm").read_bytes() == b"P6\n1 1\n255\n" + bytes([9] * 3)


def test_an_image_of_another_mode(tmp_path):
    image = Image.new("P", (1, 1))
    image.putpalette([9, 8, 7])
    image.info["transparency"] = b"\x20"
    save(image, tmp_path / "a.png")
    again = open_photo(tmp_path / "a.png")
    assert (again.pixels.tolist(), again.alpha.tolist()) == ([[[9, 8, 7]]], [[32]])


@pytest.mark.parametrize("suffix", ALL_METADATA)
def test_metadata_is_carried(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 200}
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    save(to_pil(Photo(rgb(), "RGB", None, srgb_profile(), block, XMP)), tmp_path / f"a{suffix}")
    again = open_photo(tmp_path / f"a{suffix}")
    assert (again.icc, again.exif, again.xmp) == (srgb_profile(), block, XMP)


def test_metadata_that_is_no_metadata_harms_no_format(tmp_path):
    image = to_pil(Photo(rgb(), "RGB", None, b"icc", b"exif", b"\xff"))
    for suffix in ALL_METADATA:
        save(image, tmp_path / f"a{suffix}")
        assert open_photo(tmp_path / f"a{suffix}").pixels.shape == (3, 4, 3)


def test_segments_too_long_for_jpeg_are_left_out(tmp_path):
    image = to_pil(Photo(rgb(), "RGB", None, None, EXIF + bytes(70000), b"<" * 70000))
    save(image, tmp_path / "a.jpg")
    again = open_photo(tmp_path / "a.jpg")
    assert (again.exif, again.xmp) == (None, None)


@pytest.mark.parametrize("size", [65504 - 6, 65504 - 5, 65533])
def test_the_longest_segments_of_jpeg(tmp_path, size):
    save(
        to_pil(Photo(rgb(), "RGB", None, None, EXIF.ljust(size, b"\0"), b"<" * size)),
        tmp_path / "a.jpg",
    )
    again = open_photo(tmp_path / "a.jpg")
    longest = 65533 - 29  # of a segment, less its length and the name that XMP's begins with
    assert again.exif == (EXIF.ljust(size, b"\0") if size + 6 <= longest else None)
    assert again.xmp == (b"<" * size if size <= longest else None)


def test_the_image_saved_stays_as_it_is(tmp_path):
    image = to_pil(photo())
    save(image, tmp_path / "a.bmp")
    assert set(image.info) == {"icc_profile", "exif", "xmp"}


def test_file_object_and_named_format():
    stream = io.BytesIO()
    save(to_pil(photo()), stream)
    assert stream.getvalue().startswith(b"\x89PNG")
    stream = io.BytesIO()
    save(to_pil(photo()), stream, "jpeg")
    assert stream.getvalue().startswith(b"\xff\xd8")


def test_named_format_goes_before_the_extension(tmp_path):
    save(to_pil(photo()), tmp_path / "a.tmp", "PNG")
    assert (tmp_path / "a.tmp").read_bytes().startswith(b"\x89PNG")


def test_unknown_formats():
    with pytest.raises(InvalidArgument, match=r"a\.xyz ends in \.xyz.*use one of \.png, \.jpg"):
        format_for("a.xyz")
    with pytest.raises(InvalidArgument, match="has no extension"):
        format_for("a")
    with pytest.raises(InvalidArgument, match="'gif' is no image format: use one of PNG, JPEG"):
        save(to_pil(photo()), io.BytesIO(), "gif")


def test_a_format_whose_package_is_missing(monkeypatch):
    monkeypatch.setattr("neurocodec.image.formats.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"HEIF needs .* pip install pillow-heif"):
        format_for("a.heic")


@pytest.mark.parametrize(("suffix", "module"), [(".heic", "pillow_heif"), (".jxl", "pillow_jxl")])
def test_formats_of_plugins(tmp_path, suffix, module):
    pytest.importorskip(module)
    save(Image.new("RGB", (32, 32), (200, 90, 30)), tmp_path / f"a{suffix}")
    again = open_photo(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(again.pixels[5, 5], (200, 90, 30), atol=4)


def test_every_suffix_has_its_format():
    assert {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tiff"} <= set(suffixes())
    assert len(set(suffixes())) == len(suffixes())
    assert {*suffixes(), ".gif", ".tga"} <= set(readable_suffixes())
    assert len(set(readable_suffixes())) == len(readable_suffixes())


def test_an_image_that_the_format_cannot_hold(tmp_path):
    with pytest.raises(InvalidArgument, match=r"16384x1 cannot be written as WEBP.*another format"):
        save(Image.new("RGB", (16384, 1)), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_write_atomically_creates_and_replaces(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, b"one")
    write_atomically(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_before_is_no_output_and_its_content_is_on_the_disk(tmp_path, monkeypatch):
    names, synced = [], []
    replace, fsync = os.replace, os.fsync

    def note_and_sync(number):
        synced.append(os.fstat(number).st_size)
        fsync(number)

    def note_and_replace(source, target):
        names.append(source.name)
        assert source.parent == tmp_path
        assert synced == [4]
        replace(source, target)

    monkeypatch.setattr(output.os, "fsync", note_and_sync)
    monkeypatch.setattr(output.os, "replace", note_and_replace)
    write_atomically(tmp_path / "a.png", b"data")
    assert len(names) == 1
    assert re.fullmatch(r"\.ncz-[0-9a-f]{16}\.tmp", names[0])


def test_a_new_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.touch(0o600)
    write_atomically(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_failed_write(tmp_path, monkeypatch, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(output.os, "replace", fail)
    with pytest.raises(type(error)) as caught:
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert caught.value.filename == str(path)


def test_a_missing_folder_is_named_as_the_caller_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically("none/a", b"")
    assert caught.value.filename == "none/a"


def test_a_file_in_place_of_the_folder_is_named_as_the_caller_did(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        write_atomically(tmp_path / "file" / "a", b"")
    assert caught.value.filename == str(tmp_path / "file" / "a")


def test_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "real")
    write_atomically(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "real").read_bytes() == b"data"


def test_a_device_is_written_to_and_not_replaced():
    if not os.path.exists("/dev/null"):
        pytest.skip("no devices here")
    write_atomically("/dev/null", b"data")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert format_for("/dev/null").name == "PNG"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            write_atomically(tmp_path / name, b"data")
            assert os.read(reader, 9) == b"data"
        finally:
            os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (17, 1)])
def test_alpha_there_and_back(shape):
    alpha = rgb(*shape, seed=5)[..., 0]
    again = unpack_alpha(pack_alpha(alpha), shape[1], shape[0])
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, alpha)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_whose_values_are_all_the_same_bytes_is_left_out(order):
    """A bomb for every reader that copies values, Pillow's writers of TIFF and AVIF among them."""
    count, room = 400, 2000
    entries = [struct.pack(order + "HHII", 0x8000 + i, 7, room, 8) for i in range(count)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, count)
    bomb = (head + b"".join(entries)).ljust(6000, b"\0")
    image = Image.fromarray(rgb())
    for format in ("PNG", "TIFF", "WEBP"):
        image.info = {"exif": bomb}
        stream = io.BytesIO()
        save(image, stream, format)
        assert 0x8000 not in Image.open(stream).getexif()
        image.info = {"exif": exif_block((0x0110, 7), order=order)}
        save(image, stream := io.BytesIO(), format)
        assert Image.open(stream).getexif()[0x0110] in (7, "7")


@pytest.mark.parametrize(
    ("block", "bomb"),
    [
        (EXIF, False),
        (b"Exif\0\0" + EXIF, False),
        (b"", False),
        (b"II*\0\x08", False),
        (b"II*\0\xff\xff\xff\xff", False),
        (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", False),  # the next directory is the same again
        (b"II*\0\x08\0\0\0" + b"\0\0\x0e\0\0\0" + b"\0\0\x08\0\0\0", False),
        (exif_block((0x8769, 8)), False),  # its Exif directory is the first one
        (b"II*\0" + b"".join(struct.pack("<IH", 8 + 6 * i, 0) for i in range(20)), True),
        (exif_bomb(7, 1000), True),
        (exif_bomb(16, 125), True),  # 64-bit integers
        (exif_bomb(99, 125), True),  # who knows how large those are
        (exif_bomb(7, 1000, behind=True), True),
    ],
)
def test_directories_of_exif_are_counted(block, bomb):
    assert is_bomb(block) == bomb


def test_alpha_of_one_value_is_small():
    assert len(pack_alpha(np.zeros((512, 768), np.uint8))) < 1000


def damaged(png):
    """Another byte where the compressed pixels begin."""
    place = png.index(b"IDAT") + 4
    return png[:place] + b"\xff" + png[place + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin as 8-bit grey of 4x3 pixels"),
        (b"garbage of some length here", "does not begin"),
        (pack_alpha(ALPHA[:2]), "does not begin as 8-bit grey of 4x3 pixels"),
        (pack_alpha(rgb(9, 9)[..., 0]), "does not begin"),
        (encoded(Image.fromarray(rgb())), "does not begin as 8-bit grey"),
        (encoded(Image.fromarray(ALPHA), "BMP"), "does not begin"),
        (pack_alpha(ALPHA)[:50], "ends early"),
        (pack_alpha(ALPHA) + b"!", "does not end where its last chunk ends"),
        (encoded(Image.fromarray(ALPHA), icc_profile=grey_profile()), "has a chunk 69434350"),
        (encoded(Image.fromarray(ALPHA), exif=EXIF), "has a chunk 65584966"),
        (damaged(pack_alpha(ALPHA)), "cannot be read as an image"),
    ],
)
def test_hostile_alpha(data, message):
    with pytest.raises(CorruptStream, match=message):
        unpack_alpha(data, 4, 3)
