"""``ncz decode`` of one file."""

import io
import os

import numpy as np
import pytest
from PIL import Image

import neurocodec
from neurocodec.image import open_photo
from tests.cli.conftest import is_one_line


@pytest.fixture
def ncz_file(ncz, photo):
    """a.ncz; returns its pixels."""
    pixels = photo("a.png")
    assert ncz("encode", "a.png", "a.ncz").code == 0
    return pixels


@pytest.mark.parametrize("name", ["b.png", "b.PNG", "b.webp", "b.tiff", "b.ppm"])
def test_lossless_formats(ncz, ncz_file, folder, name):
    result = ncz("decode", "a.ncz", name)
    assert (result.code, result.out, result.err) == (0, b"", "")
    np.testing.assert_array_equal(open_photo(folder / name).pixels, ncz_file)


def test_jpeg(ncz, ncz_file, folder):
    assert ncz("decode", "a.ncz", "b.jpg").code == 0
    assert Image.open(folder / "b.jpg").format == "JPEG"


def test_standard_output_is_png(ncz, ncz_file, codec):
    codec.during = lambda: os.write(1, b"chatter")
    result = ncz("decode", "a.ncz", "-")
    assert (result.code, result.err) == (0, "chatter")
    assert result.out.startswith(b"\x89PNG")
    np.testing.assert_array_equal(open_photo(io.BytesIO(result.out)).pixels, ncz_file)


def test_options(ncz, ncz_file, codec):
    codec.calls.clear()
    assert ncz("decode", "a.ncz", "b.png").code == 0
    assert codec.calls == [{"load": "fake", "device": "cpu"}, {"max_pixels": 2**28}]
    codec.calls.clear()
    arguments = ("--max-pixels", "35", "--threads", "1", "--device", "cpu")
    assert ncz("decode", *arguments, "a.ncz", "b.png").code == 0
    assert codec.calls[-1] == {"max_pixels": 35}


def test_limit_of_pixels(ncz, ncz_file, folder):
    result = ncz("decode", "--max-pixels", "34", "a.ncz", "b.png")
    assert result.code == 1
    assert is_one_line(result.err)
    assert result.err.startswith("ncz: error: a.ncz: ")
    assert "--max-pixels" in result.err
    assert not (folder / "b.png").exists()


def test_an_input_is_not_overwritten(ncz, ncz_file, folder, codec):
    os.rename("a.ncz", "a.png")
    before = (folder / "a.png").read_bytes()
    for target in ("a.png", str(folder / "a.png")):
        result = ncz("decode", "a.png", target)
        assert (result.code, is_one_line(result.err)) == (1, True)
        assert f"{target} is the input a.png itself: give the output another name" in result.err
    assert (folder / "a.png").read_bytes() == before


@pytest.mark.parametrize("name", ["b.xyz", "b", "b.gif", "b.ncz"])
def test_unknown_formats_are_refused_before_the_work(ncz, ncz_file, codec, name):
    codec.calls.clear()
    result = ncz("decode", "a.ncz", name)
    assert result.code == 1
    assert is_one_line(result.err)
    assert f"{name} " in result.err
    assert ".png, .jpg" in result.err
    assert codec.calls == []


def flipped(data):
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-5], "incomplete"),
        (lambda data: b"", "0 bytes"),
        (flipped, "checksum"),
        (lambda data: b"\x89PNG" + data, "starts with 89504e47"),
        (lambda data: data[:4] + b"\x63" + data[5:], "format version 99"),
        (lambda data: data + b"x", "appended"),
    ],
)
def test_damage_is_one_line_that_names_the_file(ncz, ncz_file, folder, damage, message):
    data = damage((folder / "a.ncz").read_bytes())
    (folder / "bad.ncz").write_bytes(data)
    for arguments in (("decode", "bad.ncz", "b.png"), ("info", "bad.ncz")):
        result = ncz(*arguments)
        assert result.code == 1
        assert is_one_line(result.err)
        assert result.err.startswith("ncz: error: bad.ncz: ")
        assert message in result.err
    assert not (folder / "b.png").exists()


def test_an_image_that_the_format_cannot_hold(ncz, photo, folder):
    Image.new("L", (16384, 1)).save("wide.png")
    assert ncz("encode", "wide.png", "wide.ncz").code == 0
    result = ncz("decode", "wide.ncz", "wide.webp")
    assert result.code == 1
    assert is_one_line(result.err)
    assert "cannot be written as WEBP" in result.err
    assert sorted(os.listdir(folder)) == ["wide.ncz", "wide.png"]


def test_clobber(ncz, ncz_file, folder):
    (folder / "b.png").write_bytes(b"old")
    assert ncz("decode", "--no-clobber", "a.ncz", "b.png").code == 1
    assert (folder / "b.png").read_bytes() == b"old"
    assert ncz("decode", "a.ncz", "b.png").code == 0
    assert neurocodec.info(folder / "a.ncz").width == Image.open("b.png").width
