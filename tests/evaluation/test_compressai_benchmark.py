"""The benchmark beside CompressAI: its fresh processes replaced by calls, small networks."""

import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from benchmarks import compressai, fresh
from neurocodec import zoo
from neurocodec.errors import MissingDependency, UnknownModel

from .conftest import FakeCodec, photo


class FakeNetwork(torch.nn.Conv2d):
    """CompressAI's side of it: (1, 3, H, W) with sides of multiples of 64 to strings, and back."""

    def __init__(self):
        super().__init__(3, 1000, 1)
        self.seen = []

    def compress(self, x):
        self.seen.append(tuple(x.shape))
        self(x)
        return {"strings": [[x.numpy().tobytes()]], "shape": x.shape[-2:]}

    def decompress(self, strings, shape):
        x = np.frombuffer(strings[0][0], np.float32).reshape(1, 3, *shape).copy()
        return {"x_hat": torch.from_numpy(x)}


class ArrayCodec(FakeCodec):
    def encode(self, image, quality):
        return super().encode(Image.fromarray(image), quality)


@pytest.fixture
def network(monkeypatch):
    """In place of both that are left, one fake; and no process but this one."""
    made = FakeNetwork()
    monkeypatch.setattr(compressai, "NETWORKS", {"theirs": ("fake", 1), "again": ("fake", 2)})
    monkeypatch.setattr(compressai, "_network", lambda *_: made)
    monkeypatch.setattr(compressai, "_worker", compressai.run)
    monkeypatch.setattr(zoo, "load", lambda name: ArrayCodec())
    return made


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo(1, 100, 70)).save(path)
    return path


def call(*arguments):
    return CliRunner().invoke(compressai.main, [str(argument) for argument in arguments])


def test_a_row_a_codec(network, picture, tmp_path):
    out = tmp_path / "t.tsv"
    done = call("--image", picture, "--models", "fake", "--repeats", 3, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.output.endswith(f"\n\n{compressai.NOTE}\n")
    assert done.output.startswith("image photo.png, 100x70, quality 50, repeats 3, cpu ")
    lines = out.read_text().splitlines()
    assert "# threads: 2" in lines
    header, *rows = [line.split("\t") for line in lines if not line.startswith("#")]
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["codec"] for row in rows] == ["fake", "theirs", "again"]
    size = len(ArrayCodec().encode(photo(1, 100, 70), 50))
    assert [row["bpp"] for row in rows] == [f"{8 * size / 7000:.3f}", "–", "–"]
    # Three thousand a pixel of the padded picture, and a pixel is one of the picture.
    assert [row["encode kMAC/px"] for row in rows] == ["0.0", "7.0", "7.0"]
    assert {row["decode kMAC/px"] for row in rows} == {"0.0"}
    for row in rows:
        for verb in ("encode", "decode"):
            assert 0 <= float(row[f"best {verb} s"]) <= float(row[f"{verb} s"])
        assert float(row["peak MB"]) > 20
    assert set(network.seen) == {(1, 3, 128, 128)}


def test_multiplications_are_counted():
    network = torch.nn.Conv2d(4, 8, 3, padding=1, groups=2)
    _, count = compressai._counted(lambda: network(torch.zeros(1, 4, 10, 20)))
    assert count == 10 * 20 * 8 * 2 * 9


def test_codecs_take_turns(network, picture, monkeypatch):
    order = []
    monkeypatch.setattr(compressai.Ours, "encode", lambda *_: order.append("ours") or b"")
    monkeypatch.setattr(compressai.Ours, "decode", lambda *_: photo(1, 100, 70))
    encode = compressai.Theirs.encode
    monkeypatch.setattr(
        compressai.Theirs, "encode", lambda *a: order.append("theirs") or encode(*a)
    )
    job = {"task": "time", "image": str(picture), "threads": 1, "repeats": 2, "quality": 50}
    compressai.run(job | {"codecs": ["fake", "theirs"]})
    assert order == ["ours", "theirs", "ours", "theirs", "theirs", "ours"]


def test_a_codec_that_decodes_to_something_else_is_not_timed(network, picture, monkeypatch):
    monkeypatch.setattr(compressai.Theirs, "decode", lambda *_: photo(1, 100, 71))
    job = {"task": "time", "image": str(picture), "threads": 1, "repeats": 1, "quality": 50}
    with pytest.raises(RuntimeError, match="theirs: the picture has another size"):
        compressai.run(job | {"codecs": ["theirs"]})


def test_networks_are_those_of_compressai(picture, monkeypatch):
    pytest.importorskip("compressai")
    for architecture in ("bmshj2018-hyperprior", "mbt2018-mean"):
        system = compressai.Theirs(compressai._network(architecture, 8, 12))
        pixels = photo(1, 100, 70)
        decoded = system.decode(system.encode(pixels))
        assert (decoded.shape, decoded.dtype) == (pixels.shape, np.uint8)
        x = torch.nn.functional.pad(
            torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, (0, 28, 0, 58), mode="replicate"
        )
        with torch.no_grad():
            expected = system.network(x)["x_hat"][0, :, :70, :100].clamp(0, 1).permute(1, 2, 0)
        assert np.abs(decoded - 255 * expected.numpy()).max() <= 1


def test_without_compressai(monkeypatch):
    monkeypatch.setitem(sys.modules, "compressai", None)
    monkeypatch.setitem(sys.modules, "compressai.models", None)
    with pytest.raises(MissingDependency, match=r"cannot be imported .*: pip install compressai"):
        compressai._network("mbt2018-mean", 8, 12)


def test_what_goes_wrong_in_a_process_is_one_line(picture, monkeypatch):
    def fail(job):
        raise UnknownModel("no model is called 'x': use one of y")

    monkeypatch.setattr(compressai, "run", fail)
    worker = call("--worker", "{}")
    assert worker.exit_code == 1
    assert "no model is called 'x': use one of y" in str(worker.output)

    def ended(command, threads):
        assert command[1:4] == ["-m", "benchmarks.compressai", "--worker"]
        assert threads == 2
        raise RuntimeError("python benchmarks.compressai failed: why")

    monkeypatch.setattr(fresh, "output", ended)
    done = call("--image", picture)
    assert done.exit_code == 1
    assert done.output == "Error: python benchmarks.compressai failed: why\n"


def test_an_image_is_needed(tmp_path):
    assert "--image is needed" in call().output
    assert call().exit_code == 2
    assert call("--image", tmp_path / "nowhere.png").exit_code == 2
