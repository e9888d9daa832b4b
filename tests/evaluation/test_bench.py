import csv
import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from neurocodec import zoo
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation import bench, run
from neurocodec.evaluation.rows import parse_rows

from .conftest import FakeCodec, photo

ANCHORS = {
    "published": {
        "bpg": {"bpp": [0.1, 0.5, 1.5], "psnr": [20, 30, 45], "ms_ssim": [0.5, 0.9, 0.999]},
        "other": {"bpp": [0.2, 0.8], "psnr": [20, 44], "ms_ssim": None},
    }
}
QUALITIES = (5, 10, 20, 30)


def test_one_call_writes_everything(codec, folder, tmp_path):
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps(ANCHORS))
    out = tmp_path / "deep" / "out"
    result = run(folder, out, models=[codec], qualities=QUALITIES, peers=["webp"], anchors=anchors)
    assert sorted(path.name for path in out.iterdir()) == [
        "bd.csv", "ms_ssim.png", "points.csv", "psnr.png", "rows.csv", "summary.md",
    ]  # fmt: skip
    webp = len(bench.select(["webp"])[0].qualities)
    assert len(result.rows) == 2 * (len(QUALITIES) + webp)
    assert set(parse_rows((out / "rows.csv").read_text())) == set(result.rows)
    assert [p.quality for p in result.points if p.codec == "fake"] == list(QUALITIES)
    with (out / "bd.csv").open() as file:
        pairs = {(line["codec"], line["reference"]) for line in csv.DictReader(file)}
    assert pairs == {
        ("fake", "webp"), ("webp", "fake"),
        *((codec, anchor) for codec in ("fake", "webp") for anchor in ("bpg", "other")),
    }  # fmt: skip
    assert "| `bpg` |" in (out / "summary.md").read_text()
    with Image.open(out / "psnr.png") as plot:
        assert plot.format == "PNG"


def test_a_second_run_measures_nothing(codec, folder, tmp_path):
    first = run(folder, tmp_path, models=[codec], qualities=QUALITIES, peers=())
    calls = len(codec.encoded)
    assert run(folder, tmp_path, models=[codec], qualities=QUALITIES, peers=()) == first
    assert len(codec.encoded) == calls


def test_qualities_come_from_the_caller_then_the_codec(codec, folder, tmp_path):
    result = run(folder, tmp_path / "own", models=[codec], peers=())
    assert {row.quality for row in result.rows} == {20, 50, 80}

    class Silent(FakeCodec):
        qualities = property()  # has none

    result = run(folder, tmp_path / "default", models=[Silent()], peers=())
    assert {row.quality for row in result.rows} == set(bench.QUALITIES)


def test_models_by_name_carry_their_digest(codec, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "models", lambda: (SimpleNamespace(name="fake", digest="abc123"),))
    monkeypatch.setattr(zoo, "load", lambda name, device: {("fake", "cpu"): codec}[name, device])
    result = run(folder, tmp_path, models=["fake"], qualities=[50], peers=())
    assert {row.version for row in result.rows} == {"abc123"}


def test_absent_peers_are_named_only_where_all_were_wanted(codec, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "absent", lambda: {"jxl": "it is not there"})
    monkeypatch.setattr(bench, "select", lambda names: ())
    result = run(folder, tmp_path, models=[codec], qualities=[50])
    assert result.absent == {"jxl": "it is not there"}
    assert "Not measured: jxl (it is not there)." in (tmp_path / "summary.md").read_text()
    assert run(folder, tmp_path, models=[codec], qualities=[50], peers=()).absent == {}


def test_threads_are_set_for_the_call_and_put_back(tmp_path):
    Image.fromarray(photo(1, 20, 20)).save(tmp_path / "small.png")
    before = torch.get_num_threads()
    seen = set()

    class Counts(FakeCodec):
        def decode(self, data):
            seen.add(torch.get_num_threads())
            return super().decode(data)

    codec = Counts()
    result = run(tmp_path, tmp_path / "out", models=[codec], peers=(), threads=before + 1)
    assert seen == {before + 1}
    assert torch.get_num_threads() == before
    assert result.environment["threads"] == str(before + 1)
    assert result.environment["cpu"]


def test_arguments_are_checked_before_anything_is_written(codec, folder, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InvalidArgument, match="nothing to measure"):
        run(folder, out, models=(), peers=())
    with pytest.raises(InvalidArgument, match="no peer is called 'gif'"):
        run(folder, out, models=[codec], peers=["gif"])
    with pytest.raises(InvalidArgument, match="cannot read the anchors"):
        run(folder, out, models=[codec], peers=(), anchors=tmp_path / "none.json")
    assert not out.exists()
    with pytest.raises(InvalidArgument, match="threads is 0"):
        run(folder, out, models=[codec], peers=(), threads=0)
