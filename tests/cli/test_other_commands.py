"""``ncz`` itself, ``info``, ``models``, ``train``, ``eval`` and ``compare``."""

import dataclasses
import io
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import neurocodec
from neurocodec.cli import files
from neurocodec.errors import InvalidArgument
from neurocodec.training import parallel
from tests import fake_codec
from tests.cli.conftest import is_one_line


def test_version_and_help(ncz):
    assert ncz("--version").out == b"ncz 0.1.0\n"
    for arguments in (("--help",), ("-h",), ("encode", "-h")):
        result = ncz(*arguments)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(b"Usage: ncz")
    listed = ncz("--help").out.decode()
    for name in ("encode", "decode", "info", "models", "train", "eval", "compare"):
        assert f"  {name} " in listed


@pytest.mark.parametrize("arguments", [(), ("squeeze",), ("info",), ("train", "recipe.yaml")])
def test_wrong_usage_is_one_line(ncz, arguments):
    result = ncz(*arguments)
    assert (result.code, result.out) == (2, b"")
    assert is_one_line(result.err)
    assert "--help" in result.err


def test_warnings_of_libraries_stay_silent(ncz, photo, codec):
    photo("a.png")
    codec.during = lambda: warnings.warn("chatter", stacklevel=1)
    assert ncz("encode", "a.png", "a.ncz").err == ""


def test_info(ncz, photo):
    photo("a.png")
    photo("mask.png")
    assert ncz("encode", "-q", "33.5", "--roi", "mask.png", "a.png", "a.ncz").code == 0
    result = ncz("info", "a.ncz")
    assert (result.code, result.err) == (0, "")
    text = result.out.decode().splitlines()
    fields = {line[:16].rstrip(): line[16:] for line in text if not line.startswith(" ")}
    parts = {name: int(size) for name, size in map(str.split, text[len(fields) :])}
    info = neurocodec.info("a.ncz")
    assert fields["format version"] == "5"
    assert fields["codec"] == "cvqn (1)"
    assert fields["model"] == "fake (7)"
    assert fields["weights"] == fake_codec.DIGEST[:8]
    assert (fields["width"], fields["height"]) == ("7", "5")
    assert fields["mode"] == "RGB, without alpha"
    assert fields["quality"] == "33.5"
    assert fields["grid offset"] == "3"
    assert fields["groups"] == "2 of 3 levels, 1 of 5 levels"
    assert fields["channel order"] == "2 0 1"
    assert fields["importance"] == (
        "1x2, positions at level 0: {}, 1: {}, 2: {}".format(*info.importance.positions)
    )
    assert fields["streams"] == f"2, of {info.streams[0]}, 3 bytes"
    assert fields["file"].startswith(f"{info.bytes} bytes, ")
    assert parts == info.sections


def test_info_where_nothing_is_special(ncz, photo):
    photo("a.png")
    ncz("encode", "a.png", "a.ncz")
    out = ncz("info", "a.ncz").out.decode()
    assert "channel order   the model's\n" in out
    assert "importance      uniform\n" in out


def test_info_around_an_inner_codec(ncz, family, photo):
    photo("a.png")
    for inner, grid_offset, streams in (
        ("dct", "3", "2, of {}, 3 bytes"),
        ("jpeg", "0", "1, of {} bytes"),
    ):
        arguments = ("--model", "around", "--inner", inner, "--arrangement", "rec", "-q", "33.5")
        assert ncz("encode", *arguments, "a.png", "a.ncz").code == 0
        result = ncz("info", "a.ncz")
        assert (result.code, result.err) == (0, "")
        text = result.out.decode().splitlines()
        fields = {line[:16].rstrip(): line[16:] for line in text if not line.startswith(" ")}
        parts = {name: int(size) for name, size in map(str.split, text[len(fields) :])}
        info = neurocodec.info("a.ncz")
        assert list(fields) == [
            "format version", "codec", "model", "weights", "width", "height", "mode", "quality",
            "grid offset", "arrangement", "inner codec", "inner quality", "streams", "file",
        ]  # fmt: skip
        assert fields["codec"] == "comrec (2)"
        assert (fields["quality"], fields["grid offset"]) == ("33.5", grid_offset)
        assert fields["arrangement"] == "rec"
        assert (fields["inner codec"], fields["inner quality"]) == (inner, "16.75")
        assert fields["streams"] == streams.format(info.streams[0])
        assert parts == info.sections


FOREIGN = {
    "fake": {"arrangement", "inner", "inner_quality"},
    "around": {"groups", "channel_order", "importance"},
}


@pytest.mark.parametrize("model", FOREIGN)
def test_json_has_the_fields_of_the_codec(ncz, family, photo, model):
    photo("a.png")
    ncz("encode", "--model", model, "a.png", "a.ncz")
    found = json.loads(ncz("info", "--json", "a.ncz").out)
    every = json.loads(json.dumps(asdict(neurocodec.info("a.ncz"))))
    assert set(every) - set(found) == FOREIGN[model]
    assert found == {name: every[name] for name in found}
    assert sum(found["sections"].values()) == found["bytes"]


def test_info_as_json(ncz, photo):
    photo("a.png")
    ncz("encode", "a.png", "a.ncz")
    found = json.loads(ncz("info", "--json", "a.ncz").out)
    assert found["groups"] == [{"size": 2, "levels": 3}, {"size": 1, "levels": 5}]
    assert sum(found["sections"].values()) == found["bytes"]


def test_info_of_standard_input(ncz, photo, monkeypatch):
    photo("a.png")
    ncz("encode", "a.png", "a.ncz")
    data = Path("a.ncz").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert b"fake (7)" in ncz("info", "-").out
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"junk")))
    result = ncz("info", "-")
    assert result.code == 1
    assert result.err.startswith("ncz: error: standard input: ")


def test_closed_standard_streams_are_said_in_a_line(ncz, photo, monkeypatch):
    photo("a.png")
    monkeypatch.setattr(sys, "stdin", None)
    for command in (("info", "-"), ("encode", "-", "a.ncz")):
        result = ncz(*command)
        assert result.code == 1
        assert result.err == "ncz: error: standard input is closed: give a file\n"
    monkeypatch.setattr(files.sys, "stdout", None)
    with pytest.raises(InvalidArgument, match="standard output is closed: give a file"):
        files.standard_output([files.Job("a.png", files.STANDARD)]).__enter__()


def test_info_without_the_model(ncz, photo, monkeypatch):
    photo("a.png")
    ncz("encode", "a.png", "a.ncz")
    monkeypatch.setattr(neurocodec.zoo, "models", lambda: ())
    assert b"not installed (7)" in ncz("info", "a.ncz").out


def test_info_of_a_folder(ncz, folder):
    result = ncz("info", folder)
    assert result.code == 1
    assert result.err == f"ncz: error: {folder}: Is a directory; give a file\n"


def test_models(ncz, monkeypatch):
    scores = {"psnr": 30.5, "bd_rate": {"jpeg": -3, "webp": 4}}
    model = dataclasses.replace(fake_codec.MODEL, scores=scores)
    monkeypatch.setattr(neurocodec.zoo, "models", lambda: (model,))
    monkeypatch.setattr(neurocodec.zoo, "DEFAULT", "fake")
    result = ncz("models")
    assert (result.code, result.err) == (0, "")
    assert result.out.decode() == (
        "fake, the default: codec cvqn, wire id 7, 1.2 MB, "
        f"digest {fake_codec.DIGEST[:8]}, Apache-2.0\n"
        "  psnr: 30.5\n"
        "  bd rate: jpeg -3, webp 4\n"
    )
    (model,) = json.loads(ncz("models", "--json").out)
    assert (model["name"], model["wire_id"], model["scores"]) == ("fake", 7, scores)


def test_models_with_inner_codecs(ncz, family):
    lines = ncz("models").out.decode().splitlines()
    assert [line for line in lines if "inner" in line] == [
        "  inner codecs: dct, webp",
        "  inner codecs: jpeg, webp, avif",
    ]
    assert lines[2].startswith("around: codec comrec, wire id 8, ")
    found = json.loads(ncz("models", "--json").out)
    assert [model["inner"] for model in found] == [[], ["dct", "webp"], ["jpeg", "webp", "avif"]]


@pytest.fixture
def stand_in(monkeypatch):
    """Replace neurocodec.NAME by a module that has nothing but these."""

    def replace(name, **functions):
        module = ModuleType(f"neurocodec.{name}")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, f"neurocodec.{name}", module)
        monkeypatch.setattr(neurocodec, name, module, raising=False)

    return replace


def test_train(ncz, stand_in):
    calls = []

    def run(**options):
        calls.append(options)
        return Path("runs/x/checkpoint.pt")

    stand_in("training", run=run, parallel=parallel)
    result = ncz("train", "models/small/recipe.yaml", "--data", "A", "B", "--data", "C")
    assert (result.code, result.out) == (0, b"runs/x/checkpoint.pt\n")
    assert calls.pop() == {
        "recipe_path": Path("models/small/recipe.yaml"),
        "data_dirs": ["A", "C", "B"],
        "out_dir": Path("runs/small"),
        "resume": True,
        "start": None,
        "device": "cpu",
        "max_steps": None,
        "threads": None,
    }
    arguments = (
        "--out",
        "there",
        "--restart",
        "--start",
        "w.safetensors",
        "--max-steps",
        "5",
        "--device",
        "cuda:1",
    )
    assert ncz("train", "wide.yaml", "--data", "A", *arguments, "--threads", "2").code == 0
    assert calls.pop() == {
        "recipe_path": Path("wide.yaml"),
        "data_dirs": ["A"],
        "out_dir": Path("there"),
        "resume": False,
        "start": "w.safetensors",
        "device": "cuda:1",
        "max_steps": 5,
        "threads": 2,
    }
    ncz("train", "wide.yaml", "--data", "A", "--resume")
    assert (calls[-1]["out_dir"], calls[-1]["resume"]) == (Path("runs/wide"), True)
    model = Path("models/small")
    model.mkdir(parents=True)
    (model / "recipe.yaml").touch()
    ncz("train", "models/small/first.yaml", "--data", "A")  # every model may have a first.yaml
    assert calls[-1]["out_dir"] == Path("runs/small-first")


def test_train_reports_errors(ncz, stand_in):
    def run(**_):
        raise InvalidArgument("steps is 0: give 1 or more")

    stand_in("training", run=run, parallel=parallel)
    result = ncz("train", "wide.yaml", "--data", "A")
    assert (result.code, result.err) == (1, "ncz: error: steps is 0: give 1 or more\n")


def test_eval(ncz, stand_in, folder):
    calls = []

    def run(data_dir, out_dir, **options):
        calls.append((data_dir, out_dir, options))
        Path(out_dir).mkdir(exist_ok=True)
        Path(out_dir, "summary.md").write_text("# scores\n")

    stand_in("evaluation", run=run)
    result = ncz("eval", "--data", "in", "--out", "out")
    assert (result.code, result.out) == (0, b"# scores\n")
    defaults = {
        "models": ("vae",),
        "qualities": None,
        "peers": None,
        "anchors": None,
        "device": "cpu",
        "threads": None,
        "jobs": 1,
    }
    assert calls.pop() == ("in", "out", defaults)
    arguments = (
        "--models",
        "a, b",
        "--qualities",
        "1,2.5",
        "--peers",
        "none",
        "--anchors",
        "k.json",
    )
    more = ("--jobs", "2", "--threads", "1", "--device", "cuda")
    assert ncz("eval", "--data", "in", "--out", "out", *arguments, *more).code == 0
    assert calls.pop()[2] == {
        "models": ("a", "b"),
        "qualities": (1.0, 2.5),
        "peers": (),
        "anchors": "k.json",
        "device": "cuda",
        "threads": 1,
        "jobs": 2,
    }
    ncz("eval", "--data", "in", "--out", "out", "--peers", "jpeg,webp")
    assert calls.pop()[2]["peers"] == ("jpeg", "webp")
    result = ncz("eval", "--data", "in", "--out", "out", "--qualities", "1,high")
    assert result.code == 2
    assert "'1,high' is no list of numbers" in result.err
    for quality in ("0.5", "200", "nan"):
        result = ncz("eval", "--data", "in", "--out", "out", "--qualities", f"1,{quality}")
        assert result.code == 2
        assert f"{quality} is not in the range 1 to 100" in result.err
    assert not calls


def test_compare(ncz, stand_in):
    calls = []

    def compare(original, files, page, *, device):
        calls.append((original, files, page, device))
        row = SimpleNamespace(bytes=1000, bpp=0.5, psnr=31.234, ms_ssim=float("nan"))
        return [SimpleNamespace(file=file, **vars(row)) for file in files]

    stand_in("evaluation", compare=compare)
    result = ncz("compare", "a.png", "a.ncz", "longer.jpg")
    assert (result.code, result.out.decode()) == (
        0,
        "file            bytes      bpp  PSNR/dB  MS-SSIM\n"
        "a.ncz            1000   0.5000    31.23     none\n"
        "longer.jpg       1000   0.5000    31.23     none\n",
    )
    assert calls.pop() == ("a.png", ("a.ncz", "longer.jpg"), None, "cpu")
    ncz("compare", "a.png", "a.ncz", "--page", "p.png", "--device", "cuda")
    assert calls.pop() == ("a.png", ("a.ncz",), "p.png", "cuda")
    assert ncz("compare", "a.png").code == 2
