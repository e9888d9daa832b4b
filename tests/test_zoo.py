"""Which model is meant: by name, by wire id, by inner codec."""

import dataclasses
import functools

import pytest
import yaml

import neurocodec
from neurocodec import container, zoo
from neurocodec.errors import InvalidArgument, UnknownModel
from tests import fake_codec
from tests.container.samples import COMPACT, MIXED, PLAIN, TILED
from tests.fake_codec import AROUND, AROUND_OTHERS, MODEL


@pytest.fixture
def family(monkeypatch):
    return fake_codec.install_family(monkeypatch)


def test_without_an_inner_codec_the_name_decides(family):
    for model in (MODEL, AROUND, AROUND_OTHERS):
        assert zoo.with_inner(model.name, None) == model
    with pytest.raises(UnknownModel, match="'none': use one of fake, around, around-others"):
        zoo.with_inner("none", None)
    with pytest.raises(UnknownModel, match="'none'"):
        zoo.with_inner("none", "dct")


@pytest.mark.parametrize(
    ("name", "inner", "expected"),
    [
        ("around", "dct", "around"),
        ("around", "webp", "around"),
        ("around", "jpeg", "around-others"),
        ("around", "avif", "around-others"),
        ("around-others", "dct", "around"),
        ("around-others", "webp", "around-others"),  # asked for by name, and able
        ("around-others", "jpeg", "around-others"),
    ],
)
def test_the_inner_codec_chooses_among_the_models_of_the_codec(family, name, inner, expected):
    assert zoo.with_inner(name, inner).name == expected


def test_the_first_by_wire_id_is_taken(family, monkeypatch):
    third = zoo.ModelInfo(**{**vars(AROUND), "name": "around-none", "wire_id": 10, "inner": ()})
    monkeypatch.setattr(zoo, "models", lambda: (MODEL, AROUND, AROUND_OTHERS, third))
    assert zoo.with_inner("around-none", "webp") == AROUND


def test_models_of_other_codecs_are_not_asked(family, monkeypatch):
    other = zoo.ModelInfo(
        **{**vars(AROUND), "name": "other", "codec": "vae", "wire_id": 1, "inner": ("jpeg", "heic")}
    )
    monkeypatch.setattr(zoo, "models", lambda: (other, MODEL, AROUND, AROUND_OTHERS))
    assert zoo.with_inner("around", "jpeg") == AROUND_OTHERS
    with pytest.raises(InvalidArgument, match="comrec knows the inner codec 'heic'"):
        zoo.with_inner("around", "heic")
    assert zoo.inner_codecs(AROUND, "inner") == ("dct", "webp", "jpeg", "avif")


@pytest.mark.parametrize("inner", ["heic", "gif", "", "DCT"])
def test_an_inner_codec_that_no_model_knows(family, inner):
    with pytest.raises(InvalidArgument) as caught:
        zoo.with_inner("around-others", inner)
    assert str(caught.value) == (
        f"no model of comrec knows the inner codec {inner!r}: use one of dct, webp, jpeg, avif"
    )


def test_a_codec_without_inner_codecs(family, monkeypatch):
    with pytest.raises(InvalidArgument) as caught:
        zoo.with_inner("fake", "dct")
    assert str(caught.value) == (
        "inner is for codecs around an inner codec, cvqn has none: "
        "leave it out, or use model around or around-others"
    )
    monkeypatch.setattr(zoo, "models", lambda: (MODEL,))
    with pytest.raises(InvalidArgument, match=r"cvqn has none: leave it out$"):
        zoo.with_inner("fake", "dct")


def test_inner_codecs_in_the_order_of_the_models(family):
    for model in (AROUND, AROUND_OTHERS):
        assert zoo.inner_codecs(model, "inner") == ("dct", "webp", "jpeg", "avif")
    with pytest.raises(InvalidArgument, match=r"^arrangement is for codecs around"):
        zoo.inner_codecs(MODEL, "arrangement")


def test_models_are_read_by_wire_id_with_their_inner_codecs(tmp_path, monkeypatch):
    record = {
        "name": "b", "codec": "comrec", "wire_id": 21, "digest": "00", "licence": "MIT",
        "encoder": {}, "scores": {}, "inner": ["jpeg", "heic"],
    }  # fmt: skip
    without = {name: value for name, value in record.items() if name != "inner"}
    for entry in (record, {**without, "name": "a", "wire_id": 3}):
        folder = tmp_path / entry["name"]
        folder.mkdir()
        (folder / zoo.WEIGHTS).write_bytes(b"12345")
        (folder / "model.yaml").write_text(yaml.safe_dump(entry))
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    monkeypatch.setattr(zoo, "models", functools.cache(zoo.models.__wrapped__))
    found = zoo.models()
    assert [(model.name, model.inner) for model in found] == [("a", ()), ("b", ("jpeg", "heic"))]
    assert (found[1].bytes, found[1].folder) == (5, tmp_path / "b")
    assert zoo.with_inner("a", "heic").name == "b"


def test_shipped_models_name_inner_codecs_of_the_format():
    from neurocodec.api import INNER_CODECS

    for model in zoo.models():
        assert set(model.inner) <= set(INNER_CODECS)
        assert bool(model.inner) == (model.codec == "comrec")


@pytest.mark.parametrize("model", zoo.models(), ids=lambda model: model.name)
def test_a_model_says_what_its_encoder_does(model):
    codec = zoo.load(model.name)
    assert {option: getattr(codec, option) for option in model.encoder} == model.encoder


@pytest.mark.parametrize("file", [PLAIN, COMPACT, MIXED, TILED])
def test_weights_that_no_release_has_are_refused_by_name(file):
    data = container.write(dataclasses.replace(file, model=zoo.FOREIGN))
    with pytest.raises(UnknownModel, match="weights that no release has"):
        neurocodec.decode(data)
    assert neurocodec.info(data).model is None
    assert zoo.FOREIGN not in {model.wire_id for model in zoo.models()}
