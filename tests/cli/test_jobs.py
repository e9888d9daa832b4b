"""``--jobs``: worker processes, in which the fake codec is installed as Python starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import is_one_line
from tests.cli.test_batch import tree

ROOT = Path(__file__).parents[2]

STARTUP = """
import os, signal, sys, time, types
from types import SimpleNamespace
torch = types.ModuleType("torch")  # the real one takes seconds to import
torch.Tensor = type("Tensor", (), {})
torch.threads = 6
torch.get_num_threads = lambda: torch.threads
torch.set_num_threads = lambda n: setattr(torch, "threads", n)
sys.modules["torch"] = torch
from tests import fake_codec
codec = fake_codec.install(SimpleNamespace(setattr=setattr))
"""


@pytest.fixture
def at_start(tmp_path_factory, monkeypatch):
    """Have every Python that starts from here run the fake codec; call to add code to that."""
    folder = tmp_path_factory.mktemp("site")
    path = folder / "sitecustomize.py"
    path.write_text(STARTUP)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))

    def add(code):
        path.write_text(STARTUP + code)

    return add


def contents(folder):
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def test_results_do_not_depend_on_the_number_of_processes(at_start, ncz, codec, photo, folder):
    for seed, name in enumerate(("in/a.png", "in/deep/b.png", "in/c.webp", "in/d.png", "in/e.png")):
        photo(name, seed)
    (folder / "in" / "bad.png").write_text("no image")
    one = ncz("encode", "in", "-o", "one", "-q", "30")
    assert one.code == 1
    codec.calls.clear()
    three = ncz("encode", "in", "-o", "three", "-q", "30", "--jobs", "3")
    assert codec.calls == []  # the processes did it
    assert (three.code, three.out, three.err) == (one.code, one.out, one.err)
    assert is_one_line(three.err)
    assert "in/bad.png" in three.err
    assert contents(folder / "three") == contents(folder / "one")
    assert len(contents(folder / "one")) == 5

    assert ncz("decode", "three", "-o", "back", "--jobs", "2").code == 0
    assert ncz("decode", "one", "-o", "again").code == 0
    assert tree(folder / "back") == ["a.png", "c.png", "d.png", "deep/b.png", "e.png"]
    assert contents(folder / "back") == contents(folder / "again")


def test_one_file_needs_no_process(ncz, codec, photo, folder):
    photo("a.png")
    assert ncz("encode", "a.png", "a.ncz", "--jobs", "4").code == 0
    assert [call["quality"] for call in codec.calls if "quality" in call] == [50]


@pytest.mark.parametrize(
    ("arguments", "threads"), [(["--jobs", "2"], {3}), (["--jobs", "2", "--threads", "5"], {5})]
)
def test_processes_share_the_threads(at_start, ncz, photo, folder, arguments, threads):
    at_start("codec.during = lambda: open(f'threads-{torch.threads}', 'w').close()\n")
    for name in ("a.png", "b.png", "c.png"):
        photo(name)
    assert ncz("encode", "a.png", "b.png", "c.png", "-o", "out", *arguments).code == 0
    assert {int(path.name.split("-")[1]) for path in folder.glob("threads-*")} == threads


def test_more_processes_than_files_and_threads(at_start, ncz, photo, folder):
    at_start(
        "torch.threads = 1\ncodec.during = lambda: open(f'threads-{torch.threads}', 'w').close()\n"
    )
    for name in ("a.png", "b.png"):
        photo(name)
    assert ncz("encode", "a.png", "b.png", "-o", "out", "--jobs", "9").code == 0
    assert [path.name for path in folder.glob("threads-*")] == ["threads-1"]
    assert tree(folder / "out") == ["a.ncz", "b.ncz"]


def test_what_is_wrong_with_all_of_them_is_one_error(at_start, ncz, photo, folder):
    for name in ("a.png", "b.png", "c.png"):
        photo(name)
    result = ncz("encode", "a.png", "b.png", "c.png", "-o", "out", "--model", "none", "--jobs", "2")
    assert (result.code, result.err) == (
        1,
        "ncz: error: no model is called 'none': use one of fake\n",
    )


def test_a_process_that_dies_takes_one_file_with_it(at_start, ncz, photo, folder):
    at_start(
        "plain = codec.encode\n"
        "def encode(photo, *rest, **options):\n"
        "    if photo.mode == 'L':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return plain(photo, *rest, **options)\n"
        "codec.encode = encode\n"
    )
    for name in ("a.png", "c.png", "d.png"):
        photo(name)
    for name in ("b.pgm", "e.pgm"):
        (folder / name).write_bytes(b"P5 1 1 255 x")
    result = ncz(
        "encode", "a.png", "b.pgm", "c.png", "d.png", "e.pgm", "-o", "out", "--jobs", "2"
    )  # fmt: skip
    assert result.code == 1
    assert sorted(result.err.splitlines()) == [
        f"ncz: error: {name}: the worker process was killed by signal 9: if memory is short, use "
        "fewer --jobs or smaller images"
        for name in ("b.pgm", "e.pgm")
    ]
    assert tree(folder / "out") == ["a.ncz", "c.ncz", "d.ncz"]


def test_processes_that_do_not_start(at_start, ncz, photo, folder):
    at_start("torch.set_num_threads = lambda n: os._exit(7)\n")
    for name in ("a.png", "b.png", "c.png"):
        photo(name)
    result = ncz("encode", "a.png", "b.png", "c.png", "-o", "out", "--jobs", "2")
    assert result.code == 1
    assert is_one_line(result.err)
    assert "the worker process ended with exit code 7" in result.err
    assert not (folder / "out").exists()


def test_a_late_process_that_dies_is_not_missed(at_start, ncz, photo, folder):
    """One of two prepares until all files are done, and then dies: nothing is left undone."""
    at_start(
        "def prepare(n):\n"
        "    try:\n"
        "        os.close(os.open('first', os.O_CREAT | os.O_EXCL))\n"
        "    except FileExistsError:\n"
        "        return\n"
        "    while not (os.path.exists('out/a.ncz') and os.path.exists('out/b.ncz')):\n"
        "        time.sleep(0.01)\n"
        "    open('late', 'w').close()\n"
        "    os._exit(7)\n"
        "torch.set_num_threads = prepare\n"
    )
    for name in ("a.png", "b.png"):
        photo(name)
    result = ncz("encode", "a.png", "b.png", "-o", "out", "--jobs", "2")
    assert (result.code, result.err) == (0, "")
    assert tree(folder / "out") == ["a.ncz", "b.ncz"]
    assert (folder / "late").exists()


def test_a_traceback_from_another_process(at_start, ncz, photo, folder):
    at_start("def fail(): raise ValueError('deep down')\ncodec.during = fail\n")
    for name in ("a.png", "b.png"):
        photo(name)
    result = ncz("--debug", "encode", "a.png", "b.png", "-o", "out", "--jobs", "2")
    assert result.code == 1
    assert result.err.count("in fail") == 2
    assert "ncz: error: a.png: ValueError: deep down; this is a defect" in result.err


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_wrong_numbers_of_processes(ncz, photo, value):
    photo("a.png")
    result = ncz("encode", "a.png", "a.ncz", "--jobs", value)
    assert (result.code, is_one_line(result.err)) == (2, True)


def start(*arguments):
    """``ncz`` as from a terminal: in a process group of its own, with SIGINT not ignored."""
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from neurocodec.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_is_gone(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_all_processes(at_start, photo, folder):
    at_start("codec.during = lambda: (open(f'{os.getpid()}.pid', 'w').close(), time.sleep(60))\n")
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        photo(name)
    with start("encode", "in", "-o", "out", "--jobs", "2") as process:
        wait_until(lambda: len(list(folder.glob("*.pid"))) == 2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        begin = time.monotonic()
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - begin < 20
    assert (process.returncode, out) == (130, b"")
    assert err.strip() == b""
    assert not (folder / "out").exists()
    wait_until(lambda: group_is_gone(process.pid))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_processes_end_with_the_one_that_started_them(at_start, photo, folder):
    at_start("codec.during = lambda: (open(f'{os.getpid()}.pid', 'w').close(), time.sleep(1))\n")
    for seed in range(6):
        photo(f"in/{seed}.png", seed)
    with start("encode", "in", "-o", "out", "--jobs", "2") as process:
        wait_until(lambda: len(list(folder.glob("*.pid"))) == 2)
        process.kill()
        process.communicate(timeout=60)
    wait_until(lambda: group_is_gone(process.pid))
    assert len(tree(folder / "out")) <= 4  # what was at hand, and not the rest
