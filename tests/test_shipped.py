"""The shipped models on the photograph of the README, and the zoo that finds it."""

import functools
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import neurocodec
from neurocodec import container, metrics, zoo
from neurocodec.errors import InvalidArgument, ModelMismatch, UnknownModel
from neurocodec.image import open_photo
from neurocodec.training import recipe

PHOTO = Path(__file__).parents[1] / "docs" / "astronaut.png"


@pytest.fixture(scope="module", params=["cvqn", "cvqn-mse", "vae", "vae-msssim"])
def codec(request):
    return neurocodec.load(request.param)


@pytest.fixture(scope="module")
def pixels():
    return open_photo(PHOTO).pixels


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A copy of the models to damage, with caches of its own."""
    for name in ("cvqn", "cvqn-mse", "vae", "vae-msssim"):
        shutil.copytree(zoo.folder() / name, tmp_path / name)
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    monkeypatch.setattr(zoo, "models", functools.cache(zoo.models.__wrapped__))
    monkeypatch.setattr(zoo, "_cached", functools.cache(zoo._cached.__wrapped__))
    return tmp_path


def test_rates_scores_and_overhead_of_a_photograph(codec, pixels):
    """Loose bounds around what the card says: they fail if weights or coder break."""
    files = [codec.encode(pixels, quality) for quality in (5, 50, 95)]
    assert sorted(map(len, files)) == list(map(len, files))
    scores = []
    for data in files:
        report = codec.rate_report(data)
        assert abs(report.coded_bits / report.estimated_bits - 1) < 0.01
        file = container.read(data)
        assert len(file.streams) <= 16
        if getattr(file.header, "importance", None) is None:
            assert len(data) - sum(map(len, file.streams)) <= 64
        scores.append(metrics.ms_ssim(np.asarray(codec.decode(data)), pixels))
    assert sorted(scores) == scores
    assert len(files[1]) * 8 / (512 * 512) < 0.6
    assert scores[1] > 0.96


def test_top_quality_reaches_one_bit_per_pixel_on_detail(codec, pixels):
    crop = pixels[288:416, 32:160]  # the suit and its badge
    assert len(codec.encode(crop, 100)) * 8 / (128 * 128) > 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["cvqn", "vae", "comrec", "comrec-jpeg"])
def test_what_torch_computes_in_elsewhere_changes_no_byte(name, dtype, pixels):
    codec = neurocodec.load(name)
    crop = pixels[:64, :96]
    data = codec.encode(crop, 33.3)  # a quality that bfloat16 does not have
    decoded = np.asarray(codec.decode(data))
    ordinary = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        assert codec.encode(crop, 33.3) == data
        assert np.array_equal(np.asarray(codec.decode(data)), decoded)
    finally:
        torch.set_default_dtype(ordinary)
    with torch.autocast("cpu", torch.bfloat16):
        assert codec.encode(crop, 33.3) == data
        assert np.array_equal(np.asarray(codec.decode(data)), decoded)


def test_targets_are_met(codec, pixels):
    crop = np.ascontiguousarray(pixels[:192, 128:320])
    area = 192 * 192
    size = len(codec.encode(crop, target_size=2000))
    assert 2000 * 0.98 <= size <= 2000
    bpp = len(codec.encode(crop, target_bpp=0.6)) * 8 / area
    assert 0.6 * 0.98 <= bpp <= 0.6
    reached = metrics.psnr(np.asarray(codec.decode(codec.encode(crop, target_psnr=30.0))), crop)
    assert 30.0 <= reached < 30.0 * 1.02
    data = codec.encode(crop, target_msssim=0.95)
    reached = metrics.ms_ssim(np.asarray(codec.decode(data)), crop)
    assert 0.95 <= reached < 0.95 * 1.02


@pytest.mark.parametrize("inner", ["dct", "jpeg", "webp"])
def test_comrec_beats_jpeg_at_its_size(inner, pixels):
    """At the size of a low JPEG: at least a decibel more, and no more bytes."""
    crop = Image.fromarray(np.ascontiguousarray(pixels[:256, 96:416]))
    file = io.BytesIO()
    crop.save(file, "JPEG", quality=5, optimize=True)
    data = neurocodec.encode(crop, "comrec", inner=inner, target_size=len(file.getvalue()))
    assert len(data) <= len(file.getvalue())
    assert neurocodec.info(data).inner == inner
    assert len(container.read(data).streams) <= 16
    ours = metrics.psnr(np.asarray(neurocodec.decode(data)), np.asarray(crop))
    assert ours > metrics.psnr(np.asarray(Image.open(file)), np.asarray(crop)) + 1


@pytest.mark.parametrize("model", zoo.models(), ids=lambda model: model.name)
def test_recipe_of_the_shipped_model_fits_its_weights(model):
    shipped = recipe.load(zoo.folder() / model.name / "recipe.yaml")
    codec = neurocodec.load(model.name)
    assert codec.model.config == shipped.model
    assert codec.wire_id == shipped.wire_id == model.wire_id


def test_the_default_is_a_vae_and_a_mask_asks_for_a_map(pixels):
    crop = np.ascontiguousarray(pixels[:64, :64])
    assert neurocodec.info(neurocodec.encode(crop)).model == "vae"
    data = neurocodec.encode(crop, roi=np.full((2, 2), 255, np.uint8))
    assert neurocodec.info(data).model == "cvqn"
    assert neurocodec.info(neurocodec.encode(crop, importance=True)).model == "cvqn"
    with pytest.raises(InvalidArgument, match="vae has no importance map"):
        neurocodec.encode(crop, "vae", importance=True)


def test_weights_together_stay_small():
    assert sum(model.bytes for model in zoo.models()) < 30e6


def test_a_codec_is_loaded_once(codec):
    assert neurocodec.load(codec.name) is codec


def test_unknown_models_are_refused_by_name():
    with pytest.raises(UnknownModel, match="no model is called 'vea'"):
        zoo.by_name("vea")
    with pytest.raises(UnknownModel, match="needs model 12345"):
        zoo.by_wire_id(12345)


def test_files_of_weights_from_before_the_first_release_are_refused_by_name():
    for wire_id in zoo.RETIRED:
        with pytest.raises(
            UnknownModel, match=f"needs model {wire_id}, .*encode the picture again"
        ):
            zoo.by_wire_id(wire_id)


def test_wire_ids_are_never_given_twice():
    recipes = [
        recipe.load(path) for path in zoo.folder().glob("*/*.yaml") if path.name != "model.yaml"
    ]
    given = [one.wire_id for one in recipes if one.wire_id]
    assert len(set(given)) == len(given)
    shipped = {model.wire_id for model in zoo.models()}
    assert shipped <= set(given)
    assert not shipped & {*zoo.RETIRED, zoo.FOREIGN}
    untried = {
        recipe.load(path).wire_id for path in zoo.folder().glob("*/gpu.yaml")
    }  # files of them there are none
    assert set(given) - shipped - untried <= set(zoo.RETIRED)


def test_damaged_weights_are_refused(own_zoo):
    path = own_zoo / "cvqn" / zoo.WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelMismatch, match="are damaged"):
        zoo.load("cvqn")


def test_a_file_of_other_weights_is_refused(own_zoo, codec, pixels):
    data = codec.encode(pixels[:32, :32])
    path = own_zoo / codec.name / "model.yaml"
    record = yaml.safe_load(path.read_text())
    record["wire_id"] = 77
    path.write_text(yaml.safe_dump(record))
    with pytest.raises(UnknownModel, match=f"needs model {codec.wire_id},"):
        neurocodec.decode(data)
