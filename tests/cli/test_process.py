"""What only a process of its own can show."""

import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image


def start(code, *arguments, **options):
    """Python on ``code``, in which ``main`` is that of ncz and ``codec`` the fake one installed."""
    prelude = (
        "import signal, sys, time, pytest\n"
        # A background job is born with SIGINT ignored, which children inherit.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from neurocodec.cli import main\n"
        "from tests import fake_codec\n"
        "codec = fake_codec.install(pytest.MonkeyPatch())\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
        **options,
    )


def test_info_and_models_need_neither_torch_nor_numpy(ncz, photo, folder):
    photo("a.png")
    assert ncz("encode", "a.png", "a.ncz").code == 0
    code = (
        "import sys\n"
        "from neurocodec.cli import main\n"
        "assert main(['info', sys.argv[1]]) == 0\n"
        "assert main(['models']) == 0\n"
        "sys.exit(sorted({'torch', 'numpy', 'PIL', 'tqdm'} & set(sys.modules)) or 0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, "a.ncz"],
        check=True,
        capture_output=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
        },
    )


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c(photo, folder):
    photo("a.png")
    code = (
        "codec.during = lambda: (open('started', 'w').close(), time.sleep(60))\n"
        "sys.exit(main(['encode', 'a.png', 'a.ncz']))\n"
    )
    with start(code, cwd=folder) as process:
        deadline = time.monotonic() + 90
        while not (folder / "started").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert sorted(os.listdir(folder)) == ["a.png", "started"]


def test_a_reader_that_goes_away(photo, folder):
    photo("a.png")
    code = "codec.during = lambda: sys.stdin.read()\nsys.exit(main(['encode', 'a.png', '-']))\n"
    with start(code, cwd=folder, stdin=subprocess.PIPE) as process:
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert b"Traceback" not in err
    assert err.count(b"\n") <= 1


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="needs /dev/stdout")
def test_standard_output_by_its_path_where_it_is_a_pipe(ncz, photo, folder):
    pixels = photo("a.png")
    with start("sys.exit(main(['encode', 'a.png', '/dev/stdout']))\n", cwd=folder) as process:
        data, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert data == ncz("encode", "a.png", "-").out
    (folder / "a.ncz").write_bytes(data)
    with start("sys.exit(main(['decode', 'a.ncz', '/dev/stdout']))\n", cwd=folder) as process:
        image, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), pixels)


@pytest.mark.skipif(os.name == "nt", reason="POSIX descriptors")
@pytest.mark.parametrize("closed", [(2,), (0, 2)])
def test_closed_streams_take_nothing_in(ncz, photo, folder, closed):
    """A file opened next would take their numbers, and get what libraries print."""
    photo("a.png")
    photo("b.png")
    code = (
        "import os\n"
        "codec.during = lambda: os.write(2, b'printed by a library')\n"
        "sys.exit(main(['encode', 'a.png', '-']) or main(['encode', 'a.png', 'b.png', 'out/']))\n"
    )
    with start(code, cwd=folder, preexec_fn=lambda: [os.close(fd) for fd in closed]) as process:
        data, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert data == ncz("encode", "a.png", "-").out
    assert (folder / "out" / "b.ncz").exists()


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "neurocodec", "--version"], capture_output=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, b"ncz 0.1.0\n")


def test_signs_that_standard_output_lacks_are_written_by_their_numbers():
    code = "from neurocodec.cli import main; main(['models']); print(chr(0x2212) + chr(0xDCE9))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == rb"\u2212\udce9"
