"""``ncz encode`` of one image: options, rates, errors."""

import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import neurocodec
from neurocodec.cli import files
from tests.cli.conftest import is_one_line


def test_silent_and_whole(ncz, photo, folder):
    pixels = photo("a.png")
    result = ncz("encode", "a.png", "a.ncz")
    assert (result.code, result.out, result.err) == (0, b"", "")
    np.testing.assert_array_equal(np.asarray(neurocodec.decode(folder / "a.ncz")), pixels)
    assert sorted(os.listdir(folder)) == ["a.ncz", "a.png"]


def test_defaults(ncz, photo, codec):
    photo("a.png")
    ncz("encode", "a.png", "a.ncz")
    loaded, call = codec.calls
    assert loaded == {"load": "fake", "device": "cpu"}
    assert call.pop("quality") == 50
    assert set(call.values()) == {None}


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (("-q", "80.5"), "quality", 80.5),
        (("--quality", "1"), "quality", 1),
        (("--target-bpp", "0.25"), "target_bpp", 0.25),
        (("--target-size", "9000"), "target_size", 9000),
        (("--target-psnr", "33.3"), "target_psnr", 33.3),
        (("--target-msssim", "0.97"), "target_msssim", 0.97),
    ],
)
def test_rates(ncz, photo, codec, arguments, name, value):
    photo("a.png")
    assert ncz("encode", *arguments, "a.png", "a.ncz").code == 0
    assert codec.calls[-1][name] == value


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("-q", "5"), ("--target-bpp", "1")),
        (("--target-bpp", "1"), ("--target-size", "1")),
        (("--target-size", "1"), ("--target-psnr", "1")),
        (("--target-psnr", "1"), ("--target-msssim", "0.5")),
        (("-q", "50"), ("--target-msssim", "0.5")),
    ],
)
def test_rates_exclude_each_other(ncz, photo, codec, first, second):
    photo("a.png")
    result = ncz("encode", *second, *first, "a.png", "a.ncz")
    assert result.code == 2
    assert is_one_line(result.err)
    assert "exclude each other" in result.err
    assert first[0] in result.err
    assert second[0] in result.err
    assert codec.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("-q", "0"),
        ("-q", "101"),
        ("-q", "much"),
        ("--target-bpp", "0"),
        ("--target-size", "0"),
        ("--target-size", "1.5"),
        ("--target-psnr", "-1"),
        ("--target-msssim", "1"),
        ("--target-msssim", "0"),
        ("--threads", "0"),
        ("--unknown",),
    ],
)
def test_values_out_of_range(ncz, photo, arguments):
    photo("a.png")
    result = ncz("encode", *arguments, "a.png", "a.ncz")
    assert result.code == 2
    assert is_one_line(result.err)
    assert result.err.endswith("; see ncz encode --help\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], None), (["--importance-map"], True), (["--no-importance-map"], False)],
)
def test_importance_map_is_a_choice(ncz, codec, photo, options, expected):
    photo("a.png")
    assert ncz("encode", *options, "a.png", "a.ncz").code == 0
    assert codec.calls[-1]["importance"] is expected


def test_roi(ncz, photo, folder):
    photo("a.png")
    for brightness, positions in ((255, (0, 1, 1)), (0, (1, 0, 1))):
        Image.new("RGB", (3, 900), (brightness,) * 3).save("mask.png")
        assert ncz("encode", "--roi", "mask.png", "a.png", "a.ncz").code == 0
        assert neurocodec.info(folder / "a.ncz").importance.positions == positions
    result = ncz("encode", "--roi", "none.png", "a.png", "b.ncz")
    assert (result.code, result.err) == (
        1,
        "ncz: error: none.png: No such file or directory; check the path\n",
    )
    assert not (folder / "b.ncz").exists()


@pytest.mark.parametrize("inner", ["dct", "webp", "jpeg", "avif"])
@pytest.mark.parametrize("arrangement", ["both", "rec", "com"])
def test_inner_and_arrangement(ncz, family, photo, folder, inner, arrangement):
    pixels = photo("a.png")
    arguments = ("--model", "around", "--inner", inner, "--arrangement", arrangement)
    result = ncz("encode", *arguments, "a.png", "a.ncz")
    assert (result.code, result.out, result.err) == (0, b"", "")
    info = neurocodec.info(folder / "a.ncz")
    assert (info.codec, info.inner, info.arrangement) == ("comrec", inner, arrangement)
    assert info.model == ("around" if inner in ("dct", "webp") else "around-others")
    np.testing.assert_array_equal(np.asarray(neurocodec.decode(folder / "a.ncz")), pixels)


def test_inner_and_arrangement_are_the_codecs_own_choice_by_default(ncz, family, photo):
    photo("a.png")
    assert ncz("encode", "--model", "around", "a.png", "a.ncz").code == 0
    assert not {"inner", "arrangement"} & set(family["around"].calls[-1])
    arguments = ("--model", "around", "--arrangement", "auto")
    assert ncz("encode", *arguments, "a.png", "a.ncz").code == 0
    assert family["around"].calls[-1]["arrangement"] == "auto"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--inner", "gif"), 2, "'gif' is not one of 'dct', 'jpeg', 'jpeg2000', 'webp', 'avif'"),
        (("--arrangement", "none"), 2, "'none' is not one of 'auto', 'both', 'rec', 'com'"),
        (("--inner", "webp"), 1, "a.png: inner is for codecs around an inner codec, cvqn has none"),
        (("--arrangement", "rec"), 1, "leave it out, or use model around or around-others"),
        (("--model", "around", "--inner", "heic"), 1, "use one of dct, webp, jpeg, avif"),
    ],
)
def test_inner_codecs_that_make_no_sense(ncz, family, photo, folder, arguments, code, message):
    photo("a.png")
    result = ncz("encode", *arguments, "a.png", "a.ncz")
    assert result.code == code
    assert is_one_line(result.err)
    assert message in result.err
    assert sorted(os.listdir(folder)) == ["a.png"]


def test_model_device_threads(ncz, photo, codec):
    import torch

    photo("a.png")
    before, seen = torch.get_num_threads(), []
    codec.during = lambda: seen.append(torch.get_num_threads())
    arguments = ("--model", "fake", "--device", "cpu", "--threads", before + 1)
    assert ncz("encode", *arguments, "a.png", "a.ncz").code == 0
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
    result = ncz("encode", "--model", "none", "a.png", "b.ncz")
    assert result.code == 1
    assert result.err == "ncz: error: a.png: no model is called 'none': use one of fake\n"
    result = ncz("encode", "--device", "abacus", "a.png", "b.ncz")
    assert result.code == 1
    assert is_one_line(result.err)
    assert "device 'abacus' cannot be used" in result.err


def test_standard_input_and_output(ncz, photo, codec, monkeypatch, folder):
    pixels = photo("a.png")
    stream = SimpleNamespace(buffer=io.BytesIO((folder / "a.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    result = ncz("encode", "-", "-")
    assert (result.code, result.err) == (0, "")
    np.testing.assert_array_equal(np.asarray(neurocodec.decode(result.out)), pixels)


def test_nothing_but_the_file_reaches_standard_output(ncz, photo, codec):
    def chatter():
        print("from Python")
        os.write(1, b"from C\n")

    photo("a.png")
    codec.during = chatter
    result = ncz("encode", "a.png", "-")
    assert result.code == 0
    assert result.out.startswith(b"\x89NCZ")
    assert neurocodec.info(result.out).bytes == len(result.out)
    assert sorted(result.err.split("\n")) == ["", "from C", "from Python"]
    codec.during = lambda: None
    assert ncz("info", "none.ncz").out == b""  # and standard output is itself again
    assert ncz("models").out


def test_a_terminal_gets_no_binary(ncz, photo, codec, monkeypatch):
    photo("a.png")
    monkeypatch.setattr(files.sys.stdout, "isatty", lambda: True, raising=False)
    result = ncz("encode", "a.png", "-")
    assert result.code == 2
    assert "redirect standard output" in result.err
    assert codec.calls == []


def test_clobber(ncz, photo, folder):
    photo("a.png")
    (folder / "a.ncz").write_bytes(b"old")
    result = ncz("encode", "--no-clobber", "a.png", "a.ncz")
    assert result.code == 1
    assert is_one_line(result.err)
    assert "a.ncz exists: remove it or use --force" in result.err
    assert (folder / "a.ncz").read_bytes() == b"old"
    for arguments in (("--no-clobber", "--force"), ()):  # the last one counts
        (folder / "a.ncz").write_bytes(b"old")
        assert ncz("encode", *arguments, "a.png", "a.ncz").code == 0
        assert (folder / "a.ncz").read_bytes() != b"old"
    assert ncz("encode", "--no-clobber", "a.png", "new.ncz").code == 0
    assert ncz("encode", "--no-clobber", "a.png", "-").code == 0


@pytest.mark.parametrize("name", ["b.jpg", "b.TGA", "b.gif"])
def test_an_image_is_not_overwritten_by_mistake(ncz, photo, codec, folder, name):
    photo("a.png")
    photo(name)
    before = (folder / name).read_bytes()
    result = ncz("encode", "a.png", name)
    assert result.code == 1
    assert result.err == f"ncz: error: {name} is to be an .ncz file: name it so\n"
    assert (folder / name).read_bytes() == before
    assert codec.calls == []


@pytest.mark.parametrize("target", ["a.tga", "./a.tga", "link.ncz", "hard.ncz"])
def test_an_input_is_not_overwritten(ncz, photo, codec, folder, target):
    photo("a.tga")
    os.symlink("a.tga", "link.ncz")
    os.link("a.tga", "hard.ncz")
    before = (folder / "a.tga").read_bytes()
    result = ncz("encode", "a.tga", target)
    assert result.code == 1
    assert result.err == (
        f"ncz: error: {target} is the input a.tga itself: give the output another name\n"
    )
    assert (folder / "a.tga").read_bytes() == before
    assert codec.calls == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "in.png: No such file or directory"),
        (b"", "in.png is empty: check where it comes from"),
        (b"plain text, and no image at all", "in.png is no image of a known format"),
        (b"P6 9 9 255 too few", "in.png cannot be read as an image: image file is truncated"),
    ],
)
def test_inputs_that_are_no_images(ncz, folder, codec, content, message):
    if content is not None:
        (folder / "in.png").write_bytes(content)
    result = ncz("encode", "in.png", "out.ncz")
    assert result.code == 1
    assert is_one_line(result.err)
    assert result.err.startswith(f"ncz: error: {message}")
    assert not (folder / "out.ncz").exists()
    assert codec.calls == []


def test_empty_standard_input_is_named(ncz, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    result = ncz("encode", "-", "out.ncz")
    assert (result.code, result.err) == (
        1,
        "ncz: error: standard input: the data is empty: check where it comes from\n",
    )


def test_an_output_folder_that_does_not_exist_is_told_before_any_work(ncz, photo, codec):
    photo("a.png")
    result = ncz("encode", "a.png", "none/a.ncz")
    assert not any("quality" in call for call in codec.calls)
    assert (result.code, result.err) == (
        1,
        "ncz: error: a.png: none/a.ncz: No such file or directory; check the path\n",
    )


def test_an_output_folder_that_cannot_be_is_told_before_any_work(ncz, photo, folder, codec):
    photo("a.png")
    (folder / "file").write_text("no folder")
    result = ncz("encode", "a.png", "-o", "file/out")
    assert not any("quality" in call for call in codec.calls)
    assert result.code == 1
    assert "a.png: file/out/a.ncz: Not a directory" in result.err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(28, "No space left on device", "out.ncz"),
            "out.ncz: No space left on device; make room or write elsewhere\n",
        ),
        (
            PermissionError(13, "Permission denied", "out.ncz"),
            "out.ncz: Permission denied; check its permissions\n",
        ),
        (OSError(5, "Input/output error", "out.ncz"), "out.ncz: Input/output error\n"),
        (OSError("something\nodd"), "OSError: something odd; this is a defect"),
        (MemoryError(), "out of memory: use a smaller image"),
        (RuntimeError("a\n  b"), "RuntimeError: a b; this is a defect of neurocodec"),
    ],
)
def test_other_errors_are_one_line(ncz, photo, codec, folder, error, line):
    def fail():
        raise error

    photo("a.png")
    codec.during = fail
    result = ncz("encode", "a.png", "out.ncz")
    assert result.code == 1
    assert is_one_line(result.err)
    assert result.err.startswith(f"ncz: error: a.png: {line}")
    assert sorted(os.listdir(folder)) == ["a.png"]


@pytest.mark.parametrize("arguments", [("encode", "--debug"), ("--debug", "encode")])
def test_debug_shows_where(ncz, codec, photo, arguments):
    photo("a.png")
    result = ncz(*arguments, "--target-size", "1", "a.png", "b.ncz")
    assert result.code == 1
    assert "Traceback (most recent call last)" in result.err
    assert result.err.endswith(
        "ncz: error: a.png: target size 1 is out of reach: the smallest file has 100 bytes\n"
    )


def test_interrupted(ncz, photo, codec, folder):
    def interrupt():
        raise KeyboardInterrupt

    photo("a.png")
    codec.during = interrupt
    result = ncz("encode", "a.png", "a.ncz")
    assert result.code == 130
    assert "Traceback" not in result.err
    assert sorted(os.listdir(folder)) == ["a.png"]
