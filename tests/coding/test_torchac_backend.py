"""Loading, building and doing without the compiled coder. No test here runs a compiler."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from neurocodec.coding import decode_symbols, encode_symbols, torchac_backend, torchac_build
from neurocodec.errors import MissingDependency, NczError

CDF = np.array([[0, 9, 0]] * 3, dtype=np.int16)
SYMBOLS = np.array([1, 0, 1], dtype=np.int16)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As in a new process of a user whose cache is empty; the cache folder."""
    monkeypatch.setattr(torchac_backend, "_module", None)
    monkeypatch.setattr(torchac_backend, "_failure", None)
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "neurocodec"


@pytest.fixture(scope="session")  # hence found before `fresh` hides it
def built(torchac):
    """The library that works on this machine."""
    return Path(torchac.load().__file__)


def expect_fallback(message):
    """auto codes in Python, torchac says what is missing in one line, twice alike."""
    data = encode_symbols(CDF, SYMBOLS)
    assert data == encode_symbols(CDF, SYMBOLS, "python")
    assert np.array_equal(decode_symbols(CDF, data), SYMBOLS)
    for _ in range(2):
        with pytest.raises(MissingDependency, match=message) as caught:
            encode_symbols(CDF, SYMBOLS, "torchac")
        assert isinstance(caught.value, NczError)
        assert "\n" not in str(caught.value)
        assert "backend='python'" in str(caught.value)


def test_no_compiler(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(torchac_build, "_search_path", lambda: str(tmp_path))
    expect_fallback(r"needs a C\+\+ compiler .* install one")


def test_named_compiler_is_missing(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -v")
    expect_fallback("no-such-compiler")


def test_no_ninja(fresh, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == "ninja" else name)
    expect_fallback("pip install ninja")


def test_no_python_headers(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name, path: name)
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path))
    expect_fallback("python3-dev")


@pytest.mark.parametrize("name", ["torch", "torchac"])
def test_package_is_missing(fresh, monkeypatch, name):
    find_spec = torchac_build.importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n, *a: None if n == name else find_spec(n, *a)
    )
    expect_fallback("pip install torchac")


def test_source_is_missing(fresh, monkeypatch):
    json = torchac_build.importlib.util.find_spec("json")
    monkeypatch.setattr("importlib.util.find_spec", lambda n, *a: json)
    expect_fallback("lacks its C")


def test_cache_is_not_writable(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "file"))
    expect_fallback(r"cannot be built in .* \(Not a directory\).*TORCH_EXTENSIONS_DIR")


def test_no_home(fresh, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    expect_fallback("without a home folder")


def fake_child(monkeypatch, result):
    """Let the build's child process do `result(folder)`; return the calls' arguments."""
    calls = []

    def run(command, **options):
        calls.append((command, options))
        output = result(Path(options["cwd"]))
        return subprocess.CompletedProcess(command, 1 if output else 0, stdout=output)

    monkeypatch.setattr(torchac_build.shutil, "which", lambda name, path: name)
    monkeypatch.setattr(torchac_build.subprocess, "run", run)
    return calls


def library_in(folder):
    return folder / (torchac_build.MODULE + torchac_build.SUFFIX)


def test_compiler_fails(fresh, monkeypatch):
    output = b"[1/2] c++ ...\ncoder.cpp:7: error: no wheels\nninja: build stopped\nTraceback"
    calls = fake_child(monkeypatch, lambda folder: output)
    expect_fallback(r"\(coder.cpp:7: error: no wheels\)")
    assert len(calls) == 1  # one attempt a process
    assert not [path for path in fresh.iterdir() if path.suffix != ".lock"]


def test_compiler_leaves_nothing(fresh, monkeypatch):
    fake_child(monkeypatch, lambda folder: b"")
    expect_fallback("no output")


@pytest.mark.parametrize("error", [OSError("no"), subprocess.TimeoutExpired("x", 1)])
def test_build_does_not_finish(fresh, monkeypatch, error):
    def fail(folder):
        raise error

    fake_child(monkeypatch, fail)
    expect_fallback(f"{type(error).__name__}")


def test_builds_once_silently_and_loads_what_it_built(fresh, monkeypatch, built, capfd):
    calls = fake_child(monkeypatch, lambda folder: shutil.copy(built, library_in(folder)) and b"")
    with ThreadPoolExecutor(8) as pool:
        modules = set(pool.map(lambda _: torchac_backend.load(), range(16)))
    assert len(modules) == len(calls) == 1
    _, options = calls[0]
    assert options["stdin"] == subprocess.DEVNULL  # `ncz encode - out` reads its image there
    assert (options["stdout"], options["stderr"]) == (subprocess.PIPE, subprocess.STDOUT)
    assert os.path.dirname(sys.executable) in options["env"]["PATH"].split(os.pathsep)
    (library,) = fresh.glob("*" + torchac_build.SUFFIX)
    assert modules.pop().__spec__.origin == str(library)
    assert capfd.readouterr() == ("", "")

    monkeypatch.setattr(torchac_backend, "_module", None)  # the next process builds nothing
    assert encode_symbols(CDF, SYMBOLS, "torchac") == encode_symbols(CDF, SYMBOLS, "python")
    assert len(calls) == 1


def test_broken_library_is_rebuilt(fresh, monkeypatch, built):
    source = torchac_build.find_source()
    fresh.mkdir()
    library = fresh / f"torchac-{torchac_build.key(source)}{torchac_build.SUFFIX}"
    library.write_bytes(b"not a library")
    calls = fake_child(monkeypatch, lambda folder: shutil.copy(built, library_in(folder)) and b"")
    assert torchac_backend.load().__spec__.origin == str(library)
    assert len(calls) == 1


def test_library_that_never_works(fresh, monkeypatch):
    fake_child(monkeypatch, lambda folder: library_in(folder).write_bytes(b"junk") and b"")
    expect_fallback("does not work")


def test_library_that_codes_wrongly_is_refused(built, monkeypatch):
    assert torchac_backend._load_library(built) is not None
    monkeypatch.setattr(torchac_backend.python_backend, "encode", lambda *_: b"other")
    assert torchac_backend._load_library(built) is None


def test_key_names_all_that_matters(monkeypatch, tmp_path):
    import torch

    source = torchac_build.find_source()
    keys = {torchac_build.key(source)}
    (tmp_path / "other.cpp").write_text("other")
    keys.add(torchac_build.key(tmp_path / "other.cpp"))
    for target, name, value in [
        (torch, "__version__", "0.1"),
        (torch.version, "git_version", "abc"),
        (torchac_build.platform, "machine", lambda: "vax"),
        (torchac_build.sysconfig, "get_config_var", lambda _: ".cpython-999.so"),
        (torchac_build, "_FLAGS", ["-O0"]),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            keys.add(torchac_build.key(source))
    assert len(keys) == 7


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert torchac_backend._cache_folder() == Path("/a/neurocodec")
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    assert torchac_backend._cache_folder() == Path("/b/neurocodec")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert torchac_backend._cache_folder() == Path.home() / ".cache" / "neurocodec"


@pytest.mark.skipif(os.name == "nt", reason="no file locks")
def test_lock_admits_one_at_a_time(tmp_path):
    inside, most = 0, 0
    count = threading.Lock()

    def enter(_):
        nonlocal inside, most
        with torchac_backend._one_process_at_a_time(tmp_path / "lock"):
            with count:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with count:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter, range(4)))
    assert most == 1


def test_a_new_process_is_silent_and_imports_no_build_tools(built):
    script = (
        "import sys, numpy as np\n"
        "from neurocodec.coding import encode_symbols\n"
        "assert 'torch' not in sys.modules\n"
        "encode_symbols(np.array([[0, 9, 0]], np.int16), np.array([1], np.int16), 'torchac')\n"
        "assert not {'torchac', 'setuptools', 'torch.utils.cpp_extension'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PATH": "/nowhere", "TORCH_EXTENSIONS_DIR": str(built.parents[1])}
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
