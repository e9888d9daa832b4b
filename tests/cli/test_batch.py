"""Several files, and folders, to a folder."""

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from neurocodec import progress
from neurocodec.cli import batch, files
from tests.cli.conftest import is_one_line


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("exists", [True, False])
def test_several_files_like_cp(ncz, photo, folder, exists):
    photo("x/a.png")
    photo("b.v2.webp")
    if exists:
        (folder / "out").mkdir()
    result = ncz("encode", "x/a.png", "b.v2.webp", "out" if exists else "out/")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert tree(folder / "out") == ["a.ncz", "b.v2.ncz"]


def test_one_file_into_a_folder(ncz, photo, folder):
    photo("a.png")
    (folder / "out").mkdir()
    assert ncz("encode", "a.png", "out").code == 0
    assert tree(folder / "out") == ["a.ncz"]
    assert ncz("decode", "out/a.ncz", "back/").code == 0
    assert tree(folder / "back") == ["a.png"]


def test_a_folder_with_folders_there_and_back(ncz, photo, folder):
    for name in ("in/a.png", "in/deep/b.JPG", "in/deep/c.webp", "in/d.tga"):
        photo(name)
    for name in ("in/notes.txt", "in/.hidden.png", "in/.cache/d.png"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no image")
    assert ncz("encode", "in", "out").code == 0
    assert tree(folder / "out") == ["a.ncz", "d.ncz", "deep/b.ncz", "deep/c.ncz"]
    assert ncz("decode", "out/", "back/").code == 0
    assert tree(folder / "back") == ["a.png", "d.png", "deep/b.png", "deep/c.png"]


def test_one_bad_file_does_not_stop_the_rest(ncz, photo, folder):
    for name in ("a.png", "c.png"):
        photo(name)
    (folder / "b.png").write_text("no image")
    result = ncz("encode", "a.png", "b.png", "none.png", "c.png", "out/")
    assert result.code == 1
    lines = result.err.splitlines()
    assert [line.split(" ")[:3] for line in lines] == [
        ["ncz:", "error:", "b.png"],
        ["ncz:", "error:", "none.png:"],
    ]
    assert tree(folder / "out") == ["a.ncz", "c.ncz"]


def test_a_wrong_model_is_one_error(ncz, photo):
    photo("a.png")
    photo("b.png")
    result = ncz("encode", "--model", "none", "a.png", "b.png", "out/")
    assert (result.code, result.err) == (
        1,
        "ncz: error: no model is called 'none': use one of fake\n",
    )


def test_a_wrong_inner_codec_is_one_error(ncz, family, photo):
    photo("a.png")
    photo("b.png")
    for arguments, message in (
        (("--inner", "heic"), "no model of comrec knows the inner codec 'heic': use one of dct"),
        (("--inner", "heic", "--arrangement", "rec"), "no model of comrec knows"),
    ):
        result = ncz("encode", "--model", "around", *arguments, "a.png", "b.png", "out/")
        assert result.code == 1
        assert is_one_line(result.err)
        assert result.err.startswith(f"ncz: error: {message}")
    result = ncz("encode", "--arrangement", "rec", "a.png", "b.png", "out/")
    assert (result.code, is_one_line(result.err)) == (1, True)


def test_a_batch_around_another_inner_codec_loads_its_model_only(ncz, family, photo, folder):
    photo("a.png")
    photo("b.png")
    arguments = ("--model", "around", "--inner", "jpeg")
    assert ncz("encode", *arguments, "a.png", "b.png", "out/").code == 0
    assert tree(folder / "out") == ["a.ncz", "b.ncz"]
    assert family["around"].calls == []
    assert [call["inner"] for call in family["around-others"].calls if "quality" in call] == [
        "jpeg",
        "jpeg",
    ]


def test_no_clobber_refuses_only_what_exists(ncz, photo, folder):
    photo("a.png")
    photo("b.png")
    (folder / "out").mkdir()
    (folder / "out" / "a.ncz").write_bytes(b"old")
    result = ncz("encode", "--no-clobber", "a.png", "b.png", "out")
    assert result.code == 1
    assert is_one_line(result.err)
    assert (folder / "out" / "a.ncz").read_bytes() == b"old"
    assert (folder / "out" / "b.ncz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give an input and an output"),
        (("a.png",), "Give an input and an output"),
        (("a.png", "b.png", "-"), "need a folder as output, not standard output"),
        (("folder", "-"), "need a folder as output, not standard output"),
        (("a.png", "b.png", "c.png"), "c.png is no folder"),
        (("a.png", "b.png", "new"), "new is no folder"),
        (("folder", "a.png"), "a.png is no folder"),
        (("a.png", "folder", "new"), "new is no folder"),
        (("-", "out/"), "Standard input has no name"),
        (("a.png", "-", "out/"), "Standard input has no name"),
        (("", "out.ncz"), "An empty name is no file"),
        (("a.png", ""), "An empty name is no file"),
        (("folder", "out.ncz"), "out.ncz looks like a file"),
    ],
)
def test_wrong_usage(ncz, photo, folder, codec, arguments, message):
    for name in ("a.png", "b.png", "c.png", "folder/d.png"):
        photo(name)
    before = tree(folder)
    result = ncz("encode", *arguments)
    assert result.code == 2
    assert is_one_line(result.err)
    assert message in result.err
    assert tree(folder) == before
    assert codec.calls == []


def test_names_that_differ_in_case_only(ncz, photo, folder, monkeypatch):
    photo("in/a.png")
    photo("in/A.png")
    assert ncz("encode", "in", "out").code == 0
    assert tree(folder / "out") == ["A.ncz", "a.ncz"]
    monkeypatch.setattr(files, "_tells_case_apart", lambda path: False)
    result = ncz("encode", "in", "elsewhere/")
    assert result.code == 1
    assert "2 of the inputs would become elsewhere/a.ncz: rename all but one" in result.err
    assert not (folder / "elsewhere").exists()


def test_whether_a_file_system_tells_case_apart(tmp_path, monkeypatch):
    assert files._tells_case_apart(tmp_path / "not" / "there" / "a.ncz")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "exists", lambda path: True)
    assert not files._tells_case_apart(tmp_path / "a.ncz")


def test_folders_that_cannot_be_read_fail_by_name(ncz, photo, folder, monkeypatch):
    photo("in/a.png")
    photo("in/closed/b.png")
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    result = ncz("encode", "in", "out")
    assert result.code == 1
    assert is_one_line(result.err)
    assert result.err.startswith("ncz: error: in/closed: ")
    assert tree(folder / "out") == ["a.ncz"]
    result = ncz("encode", "in/closed", "out")
    assert (result.code, result.err) == (
        1, "ncz: error: in/closed: Permission denied; check its permissions\n",
    )  # fmt: skip


def test_of_a_folder_links_to_nothing_fail_and_pipes_are_left_alone(ncz, photo, folder):
    photo("in/a.png")
    os.symlink("nowhere", "in/b.png")
    os.mkfifo("in/c.png")
    result = ncz("encode", "in", "out")
    assert result.code == 1
    assert result.err == "ncz: error: in/b.png: No such file or directory; check the path\n"
    assert tree(folder / "out") == ["a.ncz"]


def test_two_inputs_of_one_name(ncz, photo, folder, codec):
    photo("in/a.png")
    photo("in/a.jpg")
    result = ncz("encode", "in", "out")
    assert result.code == 1
    assert "2 of the inputs would become out/a.ncz: rename all but one" in result.err
    assert codec.calls == []


@pytest.mark.parametrize(
    "arguments", [("in/a.ncz", "in/b.png", "in"), ("in/b.png", "-o", "in"), ("in", "in/")]
)
def test_a_batch_leaves_its_inputs_alone(ncz, photo, folder, codec, arguments):
    """An image that is named as the output of one, another's under a second name."""
    photo("in/b.png")
    photo("c.png")
    if "in/a.ncz" in arguments:
        os.rename("c.png", "in/a.ncz")
        message = "in/a.ncz is the input in/a.ncz itself"
    else:
        os.symlink("b.png", "in/b.ncz")
        message = "in/b.ncz is the input in/b.png itself"
    before = (folder / "in/b.png").read_bytes()
    result = ncz("encode", *arguments)
    assert (result.code, is_one_line(result.err)) == (1, True)
    assert message in result.err
    assert (folder / "in/b.png").read_bytes() == before
    assert codec.calls == []


def test_a_folder_with_nothing_to_do(ncz, folder):
    (folder / "in").mkdir()
    result = ncz("decode", "in", "out")
    assert (result.code, result.err) == (1, "ncz: error: in holds no files ending in .ncz\n")


def test_output_inside_the_input(ncz, photo, folder):
    photo("in/a.png")
    assert ncz("encode", "in", "in").code == 0
    assert tree(folder / "in") == ["a.ncz", "a.png"]


def test_an_interrupt_ends_the_batch(ncz, photo, codec, folder):
    def interrupt():
        raise KeyboardInterrupt

    photo("a.png")
    photo("b.png")
    codec.during = interrupt
    assert ncz("encode", "a.png", "b.png", "out/").code == 130
    assert len([call for call in codec.calls if "quality" in call]) == 1
    assert not (folder / "out").exists() or not os.listdir(folder / "out")


@pytest.mark.parametrize(
    ("terminal", "count", "shown"), [(True, 2, True), (True, 1, False), (False, 2, False)]
)
def test_progress_on_a_terminal_only(ncz, photo, monkeypatch, terminal, count, shown):
    names = ["a.png", "b.png"][:count]
    for name in names:
        photo(name)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    result = ncz("encode", *names, "out/")
    assert result.code == 0
    assert ("file/s" in result.err or "100%" in result.err) == shown
    assert shown or result.err == ""


@pytest.mark.parametrize(
    ("terminal", "patience", "shown"), [(True, 0.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_tiles_of_one_picture_are_counted_if_it_takes_long(
    ncz, photo, codec, monkeypatch, terminal, patience, shown
):
    def work():
        for _ in range(2):  # two passes
            for done in range(4):
                time.sleep(0.11)  # tqdm draws ten times a second
                progress.tell(done, 3)

    photo("a.png")
    codec.during = work
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(batch, "PATIENCE", patience)
    result = ncz("encode", "a.png", "a.ncz")
    assert result.code == 0
    assert ("| 2/3 [" in result.err) == shown
    assert "4/3" not in result.err
    assert shown or result.err == ""


def test_metadata_and_alpha_of_a_batch(ncz, folder):
    Image.new("RGBA", (4, 4), (10, 20, 30, 40)).save("a.png")
    Image.new("L", (4, 4), 9).save("b.png")
    assert ncz("encode", "a.png", "b.png", "out/").code == 0
    assert ncz("decode", "out", "back").code == 0
    assert Image.open(Path("back", "a.png")).getpixel((0, 0)) == (10, 20, 30, 40)
    assert Image.open(Path("back", "b.png")).mode == "L"
