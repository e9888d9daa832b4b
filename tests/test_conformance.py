"""The files of bitstream/conformance decode for ever, by either coder, to the same symbols."""

import functools
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neurocodec
from neurocodec import coding, container

FOLDER = Path(__file__).parents[1] / "bitstream" / "conformance"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
spec = importlib.util.spec_from_file_location("make_conformance", FOLDER / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


@pytest.fixture(params=["auto", "python"])
def backend(request, monkeypatch):
    decode = functools.partial(coding.decode_symbols, backend=request.param)
    monkeypatch.setattr(coding, "decode_symbols", decode)


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_file_decodes_to_its_symbols_and_picture(name, backend):
    data = (FOLDER / f"{name}.ncz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == MANIFEST[name]["file"]
    file = container.read(data)
    assert make.symbols_digest(make.model_of(file), file) == MANIFEST[name]["symbols"]
    decoded = neurocodec.decode(data)
    with Image.open(FOLDER / f"{name}.png") as expected:
        assert decoded.mode == expected.mode
        difference = np.asarray(decoded, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1


def test_every_case_and_file_is_covered():
    assert set(make.cases()) == set(MANIFEST)
    assert {path.stem for path in FOLDER.glob("*.ncz")} == set(MANIFEST)
