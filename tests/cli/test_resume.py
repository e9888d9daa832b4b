"""``-o``, ``--resume``, and what is left of a run that was killed."""

import os
import random
import signal
import time

import numpy as np
import pytest
from PIL import Image

from neurocodec import container
from neurocodec.cli import main
from tests.cli.conftest import is_one_line
from tests.cli.test_batch import tree


def encoded(codec):
    """How many files were encoded since the last call."""
    count = sum("quality" in call for call in codec.calls)
    codec.calls.clear()
    return count


def age(path, seconds):
    """Make the file that much older than it is."""
    now = os.stat(path).st_mtime_ns
    os.utime(path, ns=(now, now - int(seconds * 1e9)))


@pytest.fixture
def batch(ncz, photo, folder, codec):
    """in/a.png, in/b.png and in/c.png, a minute old, encoded to out/."""
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        photo(name)
        age(folder / name, 60)
    assert ncz("encode", "in", "-o", "out").code == 0
    assert encoded(codec) == 3


def test_resume_skips_what_is_done(batch, ncz, codec, folder):
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    result = ncz("encode", "in", "-o", "out", "--resume")
    assert (result.code, result.out, result.err, encoded(codec)) == (0, b"", "", 0)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()} == before
    (folder / "out" / "b.ncz").unlink()
    assert ncz("encode", "in", "out", "--resume").code == 0
    assert encoded(codec) == 1
    assert tree(folder / "out") == ["a.ncz", "b.ncz", "c.ncz"]
    assert ncz("encode", "in", "-o", "out").code == 0
    assert encoded(codec) == 3


@pytest.mark.parametrize(("seconds", "again"), [(-1, 0), (0, 1), (1, 1)])
def test_an_input_as_new_as_the_output_is_done_again(batch, ncz, codec, folder, seconds, again):
    output = os.stat(folder / "out" / "a.ncz").st_mtime_ns
    os.utime(folder / "in" / "a.png", ns=(output, output + seconds * 10**9))
    assert ncz("encode", "in", "-o", "out", "--resume").code == 0
    assert encoded(codec) == again


def test_resume_does_what_failed_before(batch, ncz, codec, folder, photo):
    (folder / "in" / "d.png").write_text("no image")
    assert ncz("encode", "in", "-o", "out", "--resume").code == 1
    result = ncz("encode", "in", "-o", "out", "--resume")
    assert (result.code, is_one_line(result.err)) == (1, True)
    photo("in/d.png")
    assert ncz("encode", "in", "-o", "out", "--resume").code == 0
    assert encoded(codec) == 1
    assert "d.ncz" in tree(folder / "out")


def test_resume_without_clobber_refuses_only_what_is_old(batch, ncz, codec, folder):
    age(folder / "out" / "b.ncz", 3600)
    result = ncz("encode", "in", "-o", "out", "--resume", "--no-clobber")
    assert (result.code, is_one_line(result.err)) == (1, True)
    assert "out/b.ncz exists" in result.err
    assert encoded(codec) == 0


def test_resume_of_decoding(batch, ncz, codec, folder):
    for path in (folder / "out").iterdir():
        age(path, 30)
    assert ncz("decode", "out", "-o", "back").code == 0
    (folder / "back" / "c.png").unlink()
    codec.calls.clear()
    assert ncz("decode", "out", "-o", "back", "--resume").code == 0
    assert sum("max_pixels" in call for call in codec.calls) == 1
    assert tree(folder / "back") == ["a.png", "b.png", "c.png"]


def test_resume_with_one_file_and_with_pipes(ncz, photo, codec, folder):
    photo("a.png")
    age(folder / "a.png", 60)
    for expected in (1, 0):
        assert ncz("encode", "a.png", "a.ncz", "--resume").code == 0
        assert encoded(codec) == expected
    assert ncz("encode", "a.png", "-", "--resume").out == (folder / "a.ncz").read_bytes()
    result = ncz("encode", "missing.png", "a.ncz", "--resume")
    assert (result.code, result.err) == (
        1,
        "ncz: error: missing.png: No such file or directory; check the path\n",
    )


@pytest.mark.parametrize(
    "inputs", [["in"], ["in/a.png"], ["in/a.png", "in/b.png"], ["in", "c.png"]]
)
@pytest.mark.parametrize("output", ["out", "run.v2", "deep/out/", "odd.ncz/"])
def test_output_is_a_folder(ncz, photo, folder, inputs, output):
    for name in ("in/a.png", "in/b.png", "c.png"):
        photo(name)
    assert ncz("encode", "-o", output, *inputs).code == 0
    expected = {"in": ["a.ncz", "b.ncz"], "in/a.png": ["a.ncz"], "in/b.png": ["b.ncz"]}
    names = {name for path in inputs for name in expected.get(path, ["c.ncz"])}
    assert tree(folder / output) == sorted(names)


def test_output_may_be_a_folder_named_like_a_file(ncz, photo, folder):
    photo("a.png")
    (folder / "all.ncz").mkdir()
    assert ncz("encode", "a.png", "--output", "all.ncz").code == 0
    assert tree(folder / "all.ncz") == ["a.ncz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out"], "Give an input"),
        (["a.png", "-o", "b.ncz"], "-o takes a folder, not b.ncz"),
        (["a.png", "-o", "b.JPG"], "-o takes a folder, not b.JPG"),
        (["a.png", "-o", "-"], "-o takes a folder, not -"),
        (["a.png", "-o", "a.png"], "-o takes a folder, not a.png"),
        (["a.png", "-o", "notes"], "-o takes a folder, not notes"),
        (["-", "-o", "out"], "Standard input has no name"),
        (["", "-o", "out"], "An empty name is no file"),
        (["a.png", "-o", ""], "An empty name is no file"),
    ],
)
def test_wrong_usage_of_output(ncz, photo, folder, codec, arguments, message):
    photo("a.png")
    (folder / "notes").write_text("")
    for command in ("encode", "decode"):
        result = ncz(command, *arguments)
        assert (result.code, is_one_line(result.err)) == (2, True)
        assert message in result.err
    assert codec.calls == []
    assert tree(folder) == ["a.png", "notes"]


def test_what_a_killed_run_left_is_no_input(ncz, photo, folder):
    photo("in/a.png")
    (folder / "in" / ".ncz-0123456789abcdef.tmp").write_bytes(b"half")
    assert ncz("encode", "in", "-o", "out").code == 0
    assert tree(folder / "out") == ["a.ncz"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills(codec, folder):
    """At random moments, encoding and decoding: what is there is complete, the rest comes later."""
    chance = random.Random(0)
    pixels = np.random.default_rng(0)
    (folder / "in").mkdir()
    for number in range(8):
        picture = pixels.integers(0, 256, (96, 128 + number, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "in" / f"{number}.png", compress_level=0)
        age(folder / "in" / f"{number}.png", 60)
    encode, decode = ["encode", "in", "-o", "out"], ["decode", "whole", "-o", "back"]
    assert main(["encode", "in", "-o", "whole"]) == 0
    for path in (folder / "whole").iterdir():
        age(path, 30)
    assert main(["decode", "whole", "-o", "pictures"]) == 0
    seconds = [whole_run(encode, "out"), whole_run(decode, "back")]
    complete = {
        "out": {path.name: path.read_bytes() for path in (folder / "whole").iterdir()},
        "back": {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()},
    }
    killed = cut = 0
    while killed < 100:
        which = chance.randrange(2)
        arguments, output = ((encode, "out"), (decode, "back"))[which]
        child = fork([*arguments, "--resume"])
        time.sleep(chance.uniform(0, seconds[which]))
        os.kill(child, signal.SIGKILL)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        killed += was_killed
        found = {
            path.name: path.read_bytes()
            for path in (folder / output).glob("*")
            if not (path.name.startswith(".ncz-") and path.name.endswith(".tmp"))
        }
        assert found.items() <= complete[output].items()
        cut += 0 < len(found) < 8
        if not was_killed or len(found) == 8:
            for path in (folder / output).iterdir():
                path.unlink()
    assert cut > 20  # or the moments were not in the midst of the work
    for arguments, output in ((encode, "out"), (decode, "back")):
        assert main([*arguments, "--resume"]) == 0
        for name, data in complete[output].items():
            assert (folder / output / name).read_bytes() == data
    for path in (folder / "out").glob("*.ncz"):
        container.read(path.read_bytes())


def fork(arguments):
    """``ncz`` in a process that has everything imported; its number."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(main(arguments))
        finally:
            os._exit(99)
    return child


def whole_run(arguments, output):
    """Seconds that ``ncz`` takes; its output is removed again."""
    begin = time.monotonic()
    assert os.waitpid(fork(arguments), 0)[1] == 0
    seconds = time.monotonic() - begin
    for name in os.listdir(output):
        os.unlink(os.path.join(output, name))
    return seconds
