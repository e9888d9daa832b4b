"""``ncz`` in this process, with a codec that has learned nothing, in an empty folder."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from neurocodec.cli import main
from tests import fake_codec


@pytest.fixture
def codec(monkeypatch):
    return fake_codec.install(monkeypatch)


@pytest.fixture
def family(codec, monkeypatch):
    """Models around inner codecs beside the one; the codecs by name. Ask for it before ``ncz``."""
    return fake_codec.install_family(monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ncz(codec, folder, capfdbinary):
    """Call as ``ncz("encode", "a.png", "a.ncz")``; returns code, out (bytes) and err (str)."""

    def call(*arguments):
        capfdbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.decode())

    return call


@pytest.fixture
def photo(folder):
    """Write a small image under a name; returns its pixels."""

    def write(name, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


def is_one_line(text):
    """Whether it is one error as ncz reports it."""
    return text.startswith("ncz: error: ") and text.count("\n") == 1 and text.endswith("\n")
