"""Training the VAE: its parts, warm starts, and what freezing makes of the bottleneck."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

pytest.importorskip("compressai")

from neurocodec.codecs import weights
from neurocodec.codecs.vae import VAECodec
from neurocodec.coding.cdf import check_cdf
from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.nets.block_transform import dct_basis
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.vae import HYPER_LEVELS, VAE
from neurocodec.training import recipe, run
from neurocodec.training.freeze import freeze
from neurocodec.training.run import Trainer, save
from neurocodec.training.vae import VAESystem, fit, tables
from tests.training.conftest import draw_photo

TINY = {
    "name": "tiny-vae",
    "codec": "vae",
    "wire_id": 998,
    "model": {
        "groups": [3, 9, 12], "passes": [3, 2, 1], "hyper": 4, "features": 6, "hidden": 8,
        "analysis": [4, 8], "synthesis": [4, 8], "blocks": [1, 1],
    },
    "data": {"crop": 128, "batch": 2, "validation": 1},
    "loss": {"distortion": "mse", "weight": [0.001, 0.1]},
    "optimizer": {
        "transforms": 1e-3, "context": 1e-2, "gains": 1e-2, "schedule": "cosine",
        "kernels": "muon",
    },
    "steps": 12,
    "validate_every": 6,
}  # fmt: skip


@pytest.fixture
def recipe_path(tmp_path):
    path = tmp_path / "vae.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def trainer(**changes) -> Trainer:
    pictures = [np.array(draw_photo(seed)) for seed in range(3)]
    photos = [torch.from_numpy(picture.transpose(2, 0, 1).copy()) for picture in pictures]
    return Trainer(recipe.build({**copy.deepcopy(TINY), **changes}), photos)


def test_a_torchvision_for_another_torch_is_told(monkeypatch):
    class Broken:
        def find_spec(self, name, *_):
            if name == "compressai.entropy_models":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.delitem(sys.modules, "compressai.entropy_models")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(MissingDependency, match=r"cannot be imported \(operator torchvision::nms"):
        VAESystem(recipe.build(TINY)).build()


def test_every_parameter_has_a_rate():
    system = VAESystem(recipe.build(TINY))
    rates = {name: system.part(name) for name, _ in system.build().named_parameters()}
    assert set(rates.values()) == {"transforms", "context", "gains"}
    model = {**TINY["model"], "overlap": 0.5, "companding": 0.2}
    names = [
        name
        for name, _ in VAESystem(recipe.build({**TINY, "model": model})).build().named_parameters()
    ]
    few = [name for name in names if system.part(name) == "gains" and name not in rates]
    assert few == [f"networks.{side}.overlap.matrix" for side in ("analysis", "synthesis")]
    assert rates["networks.prior.groups.0.condition.weight"] == "context"
    assert rates["networks.hyper_analysis.head.weight"] == "context"
    assert rates["networks.prior.log_unit"] == rates["networks.inverse_gain.log_gain"] == "gains"
    assert rates["networks.synthesis.basis"] == rates["networks.analysis.basis"] == "transforms"


def test_steps_lower_the_loss_and_move_every_part():
    run = trainer(steps=40)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    losses = [run.advance()["loss"] for _ in range(40)]
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])
    still = {name for name, p in run.model.named_parameters() if torch.equal(p, before[name])}
    # Medians of integers are integers; they are not learned.
    assert still == {"bottleneck.quantiles"}


def test_a_run_resumes_exactly(tmp_path, recipe_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        draw_photo(seed).save(photos / f"{seed}.png")
    whole = run(recipe_path, [photos], tmp_path / "whole", progress=False)
    run(recipe_path, [photos], tmp_path / "parts", max_steps=5, progress=False)
    parts = run(recipe_path, [photos], tmp_path / "parts", progress=False)
    a, b = (torch.load(path, weights_only=True)["model"] for path in (whole, parts))
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-5, msg=name)


def test_freezing_keeps_what_the_bottleneck_learned(tmp_path):
    run = trainer()
    for _ in range(12):
        run.advance()
    checkpoint = tmp_path / "checkpoint.pt"
    save(run, checkpoint)
    model = freeze(checkpoint, tmp_path / "model")
    record = yaml.safe_load(model.read_text())
    assert (record["codec"], record["wire_id"]) == ("vae", 998)
    frozen = weights.model_from_bytes((tmp_path / "model" / "weights.safetensors").read_bytes())
    assert isinstance(frozen, VAE)
    assert torch.equal(frozen.hyper_cdf, tables(run.average.bottleneck))
    codec = VAECodec(frozen)
    image = draw_photo(9, 96, 64)
    assert codec.decode(codec.encode(image, 50)).size == image.size


def test_tables_are_the_bottlenecks_likelihoods():
    bottleneck = VAESystem(recipe.build(TINY)).build().bottleneck
    made = tables(bottleneck)
    check_cdf(made.numpy().astype(np.uint16).view(np.int16))
    integers = torch.arange(-31.0, 32).expand(1, 4, -1)[..., None]
    _, likelihood = bottleneck(integers, training=False)
    share = likelihood[0, :, :, 0] / likelihood[0, :, :, 0].sum(dim=1, keepdim=True)
    counts = made.diff(dim=1)
    assert counts.min() >= 1
    assert counts.shape == (4, HYPER_LEVELS)
    assert (counts - 1 - share * (2**16 - HYPER_LEVELS)).abs().max() <= 1.01


def test_a_checkpoint_begins_another_run_with_its_bottleneck(tmp_path):
    first = trainer()
    for _ in range(3):
        first.advance()
    save(first, tmp_path / "first.pt")
    second = trainer(seed=5)
    second.begin_with(tmp_path / "first.pt")
    for name, value in first.average.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name


def test_a_bottleneck_is_fitted_to_tables():
    integers = torch.arange(-31.0, 32)
    width = torch.tensor([0.3, 1.0, 3.0, 10.0])[:, None]
    share = torch.softmax(-(integers - torch.tensor([0.0, 1, -2, 0])[:, None]).abs() / width, dim=1)
    counts = (share * (2**16 - HYPER_LEVELS)).floor().int() + 1
    counts[:, 31] += 2**16 - counts.sum(dim=1)
    cdf = torch.cat([torch.zeros(4, 1, dtype=torch.int32), counts.cumsum(dim=1)], dim=1)
    bottleneck = VAESystem(recipe.build(TINY)).build().bottleneck

    def excess() -> torch.Tensor:
        """Bits a symbol beyond the entropy."""
        told = tables(bottleneck).diff(dim=1) / 2**16
        known = counts / 2**16
        return (known * (known / told).log2()).sum(dim=1)

    assert excess().mean() > 0.5
    fit(bottleneck, cdf)
    assert excess().max() < 0.02


def test_weights_begin_with_a_bottleneck_of_their_tables(tmp_path):
    first = trainer()
    first.advance()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.to_bytes(first.system.finished(first.average)))
    second = trainer(seed=5)
    second.begin_with(path)
    ours = second.model.networks.prior.gain.log_gain
    assert torch.equal(ours, first.average.networks.prior.gain.log_gain)
    before, after = (tables(run.average.bottleneck).diff(dim=1) / 2**16 for run in (first, second))
    assert (before * (before / after).log2()).sum(dim=1).max() < 0.02


@torch.no_grad()
@pytest.mark.parametrize("kind", ["checkpoint", "weights"])
def test_new_gaussians_begin_as_faint_copies(tmp_path, kind):
    """So the networks say nearly what they said: a faint Gaussian takes its share of 5 %."""
    first = trainer()
    state = first.model.networks.prior.state_dict()
    for name in state:
        if ".head." in name:  # as training leaves it: far from zero
            state[name].copy_(
                torch.randn(state[name].shape, generator=torch.Generator().manual_seed(1))
            )
    if kind == "checkpoint":
        first.average.load_state_dict(first.model.state_dict())
        save(first, path := tmp_path / "checkpoint.pt")
    else:
        path = tmp_path / "weights.safetensors"
        path.write_bytes(weights.to_bytes(first.model.networks))
        first.model.networks.load_state_dict(weights.load(path).state_dict())  # in eight bits
    wider = trainer(model={**TINY["model"], "components": 3})
    wider.begin_with(path)

    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    quality = torch.tensor([60.0])
    latent, _ = first.model.networks.analyse(x)
    hyper = torch.zeros(1, 4, 2, 2)
    two, three = (
        one.model.networks.prior(latent * 0.1, hyper, quality)[0] for one in (first, wider)
    )
    lost = three - two
    assert 0 < lost.max() < 1.01 * math.log2(1 + math.exp(-3))
    assert not torch.equal(two, three)

    with pytest.raises(InvalidArgument, match="another shape"):  # none is taken away
        trainer(model={**TINY["model"], "components": 1}).begin_with(path)


@torch.no_grad()
def test_further_blocks_begin_as_if_they_were_not_there(tmp_path):
    first = trainer()
    for name, value in first.average.state_dict().items():
        if name.endswith(("tail.weight", "up.weight")):  # as training leaves them: not zero
            value.normal_(generator=torch.Generator().manual_seed(1))
    save(first, path := tmp_path / "checkpoint.pt")
    deeper = trainer(model={**TINY["model"], "deeper": [1, 2], "blocks": [2, 3]})
    deeper.begin_with(path)
    before, after = first.average.networks, deeper.model.networks
    assert [len(after.analysis.deeper), len(after.synthesis.deeper)] == [1, 2]
    assert [len(after.analysis.blocks), len(after.synthesis.restore.blocks)] == [2, 3]

    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    quality = torch.tensor([60.0])
    latent, _ = before.analyse(x)
    assert torch.equal(latent, after.analyse(x)[0])
    assert torch.equal(before.synthesise(latent, quality), after.synthesise(latent, quality))

    after.synthesis.deeper[1].second.weight += 0.1  # and now they say something
    after.analysis.deeper[0].second.weight += 0.1
    assert not torch.equal(latent, after.analyse(x)[0])
    assert not torch.equal(before.synthesise(latent, quality), after.synthesise(latent, quality))
    save(deeper, path)
    with pytest.raises(InvalidArgument, match="another shape"):  # none is taken away
        trainer().begin_with(path)


@torch.no_grad()
def test_further_groups_begin_as_the_block_transform_alone(tmp_path):
    """What there was says, costs and decodes what it did; the new group adds its coefficients."""
    first = trainer()
    noise = torch.Generator().manual_seed(1)
    for value in first.average.networks.parameters():  # as training leaves them: no zeros
        value += 0.01 * torch.randn(value.shape, generator=noise)
    save(first, path := tmp_path / "checkpoint.pt")
    grown = {**TINY["model"], "groups": [3, 9, 12, 8], "passes": [3, 2, 1, 1]}
    more = trainer(model=grown)
    more.begin_with(path)
    before, after = first.average.networks, more.model.networks

    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    quality = torch.tensor([60.0])
    (latent, hyper), (latent_after, hyper_after) = before.analyse(x), after.analyse(x)
    torch.testing.assert_close(latent_after[:, :24], latent)
    filters, _ = dct_basis(32)
    expected = F.conv2d((x - 0.5) * 255, filters[24:], stride=16)
    torch.testing.assert_close(latent_after[:, 24:], expected)
    torch.testing.assert_close(hyper_after, hyper)

    gain = after.prior.gain(quality)
    torch.testing.assert_close(gain[:, :24], before.prior.gain(quality))
    assert torch.equal(gain[:, 24:], gain[:, 23:24].expand(-1, 8, -1, -1))
    bits, _ = before.prior(latent * gain[:, :24], hyper.round(), quality)
    bits_after, _ = after.prior(latent_after * gain, hyper.round(), quality)
    torch.testing.assert_close(bits_after[:, :24], bits)

    silent = torch.cat([latent, torch.zeros_like(expected)], dim=1)
    picture = before.synthesise(latent, quality)
    torch.testing.assert_close(after.synthesise(silent, quality), picture)
    heard = after.synthesise(latent_after, quality)
    assert (heard - picture).abs().max() > 0.01

    save(more, path)
    with pytest.raises(InvalidArgument, match="another shape"):  # none is taken away
        trainer().begin_with(path)
    for groups in ([3, 9, 20], [3, 9, 13, 8]):  # only whole groups, at the end
        with pytest.raises(InvalidArgument, match="another shape"):
            trainer(
                model={**grown, "groups": groups, "passes": [3, 2, 1, 1][: len(groups)]}
            ).begin_with(path)


@pytest.mark.parametrize(
    "other", [{"synthesis": [4, 12]}, {"features": 8}, {"analysis": [4, 12]}, {"gain_anchors": 5}]
)
def test_networks_of_another_width_are_no_start_for_further_groups(tmp_path, other):
    save(trainer(), path := tmp_path / "checkpoint.pt")
    grown = {**TINY["model"], "groups": [3, 9, 12, 8], "passes": [3, 2, 1, 1], **other}
    with pytest.raises(InvalidArgument, match="another shape"):
        trainer(model=grown).begin_with(path)


def test_reccnn_of_a_comrec_is_a_start():
    run = trainer()
    torch.manual_seed(3)
    other = ComRec(ComRecConfig(inner="jpeg", rec_features=4, rec_blocks=1))
    run.system.begin(run.model, other, "there")
    for name, value in other.rec.state_dict().items():
        assert torch.equal(run.model.networks.synthesis.restore.state_dict()[name], value)
    wider = ComRec(ComRecConfig(inner="jpeg", rec_features=8, rec_blocks=1))
    with pytest.raises(InvalidArgument, match="there holds networks of another shape"):
        run.system.begin(run.model, wider, "there")


@torch.no_grad()
def test_judging_gives_a_row_a_quality():
    run = trainer()
    rows = run.validate()
    assert [row["quality"] for row in rows] == [10, 30, 50, 70, 90]
    bits = [row["bpp"] for row in rows]
    assert bits == sorted(bits)
