"""The benchmark of worker processes: real ones with Pillow's codecs, and their parts alone."""

import csv
import io
import threading

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import AvifImagePlugin, Image, features

from benchmarks import throughput
from neurocodec import zoo
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.images import find_images

from .conftest import FakeCodec, photo


def call(*arguments):
    return CliRunner().invoke(throughput.main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_processes_share_the_photographs(folder, tmp_path):
    out = tmp_path / "t.tsv"
    done = call("--data", folder, "--models", "none", "--quality", 60, "--repeats", 1, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("photographs 2 of data, quality 60, repeats 1, cpu ")
    lines = out.read_text().splitlines()
    assert "# threads: 1" in lines
    rows = list(csv.DictReader([li for li in lines if not li.startswith("#")], delimiter="\t"))
    assert [(row["codec"], row["processes"]) for row in rows] == [
        (peer.title, count) for peer in throughput.PEERS.values() for count in "12"
    ]
    size = pixels = 0
    for path in folder.glob("*.[pP][nN][gG]"):
        with Image.open(path) as image:
            size += len(throughput.PEERS["webp"].encode(image, 60))
            pixels += image.width * image.height
    assert rows[0]["bpp"] == rows[1]["bpp"] == f"{8 * size / pixels:.3f}"
    for row in rows:
        assert float(row["encode MP/s"]) > 0
        assert float(row["decode MP/s"]) > 0
        assert 25 < float(row["PSNR"]) < 60


@pytest.mark.parametrize(
    ("name", "options"),
    [("webp", {"method": 4}), ("avif", {"speed": 6, "subsampling": "4:2:0"})],
)
def test_settings_are_pillows_own(name, options):
    image = Image.fromarray(photo(3))
    for settings in ({}, options):
        file = io.BytesIO()
        image.save(file, name, quality=50, **settings)
        assert throughput.PEERS[name].encode(image, 50) == file.getvalue()


@pytest.fixture
def paths(monkeypatch, folder):
    """Photographs for this process as the only worker, with a fake codec."""
    monkeypatch.setattr(zoo, "load", lambda name: FakeCodec())
    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    throughput._join(threading.Barrier(1))
    return find_images(folder)


def test_a_worker_codes_what_it_holds(paths):
    throughput._prepare(paths, ["fake", "webp"], 70)
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1
    data = throughput._encode("fake", 1)
    assert data == FakeCodec().encode(Image.open(paths[1]), 70)
    score = throughput._score("fake", 1, data)
    original, decoded = (
        np.asarray(i, float) for i in (Image.open(paths[1]), Image.open(io.BytesIO(data)))
    )
    assert score.pixels == 181 * 163
    assert score.psnr == pytest.approx(10 * np.log10(255**2 / np.square(original - decoded).mean()))
    with pytest.raises(InvalidArgument):
        throughput._score("fake", 0, data)


def test_a_worker_that_fails_lets_the_others_go(paths, monkeypatch):
    together = threading.Barrier(2)
    throughput._join(together)
    with pytest.raises(FileNotFoundError):
        throughput._prepare([paths[0].with_name("gone.png")], ["webp"], 50)
    assert together.broken


def test_the_cause_is_shown_and_not_the_broken_barrier(folder):
    (folder / "a.png").write_bytes(b"no picture")
    done = call("--data", folder, "--models", "none", "--processes", 2)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    assert "a.png" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "x"], "no model is called 'x'"),
        (["--processes", "0"], "write 1,2"),
        (["--processes", "1.5"], "write 1,2"),
        (["--processes", "none"], "write 1,2"),
        (["--processes", "two"], "write 10,20,30"),
    ],
)
def test_options_that_make_no_sense(folder, arguments, message):
    done = call("--data", folder, *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.output


def test_a_pillow_without_avif(folder, monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    done = call("--data", folder, "--models", "none")
    assert done.exit_code == 1
    assert "AVIF 4:2:0 (speed 6) cannot run: this Pillow was built without avif" in done.output
