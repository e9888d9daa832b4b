"""Grafting: CVQN's networks on the block transform of a VAE."""

import dataclasses
import math
import sys

import pytest
import torch
import torch.nn.functional as F
import yaml

from neurocodec.codecs import weights
from neurocodec.errors import InvalidArgument
from neurocodec.nets.cvqn import CVQN
from neurocodec.nets.vae import VAE, VAEConfig
from neurocodec.training import graft, recipe
from neurocodec.training.run import run
from tests.training.conftest import TINY, draw_photo

MODEL = {**TINY["model"], "levels": [17, 9, 5], "companding": 0.2, "overlap": 0.25}
RECIPE = {**TINY, "model": MODEL}
CONFIG = recipe.build(RECIPE).model
OTHER = dataclasses.replace(CONFIG, levels=(15, 7, 5), companding=0.3, overlap=0.0)
TRANSFORMS = VAEConfig(
    groups=(5, 7), passes=(3, 1), hyper=4, features=6, hidden=8, analysis=(4, 8), synthesis=(4, 8),
    blocks=(1, 1), companding=0.2, overlap=0.25,
)  # fmt: skip


def moved(model):
    """None of its parameters is where it began, but what begins at 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.any():
                parameter += 0.03 * parameter.abs().mean() * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(5)
    return moved(VAE(TRANSFORMS))


@pytest.fixture
def networks() -> CVQN:
    torch.manual_seed(6)
    model = moved(CVQN(OTHER))
    with torch.no_grad():
        for tail in (model.encoder.tail, model.decoder.tail):
            tail.weight += 0.1
    return model


@pytest.fixture
def crops() -> torch.Tensor:
    torch.manual_seed(7)
    coarse = torch.rand(3, 3, 12, 12)
    return F.interpolate(coarse, size=(96, 96), mode="bicubic").clamp(0, 1)


@torch.no_grad()
def test_a_graft_analyses_and_synthesises_as_the_vae_does_without_its_networks(
    vae, networks, crops
):
    crops = 0.5 + 0.02 * (crops - 0.5)  # within the levels, so that no gain is lowered
    model = graft.graft(CONFIG, networks, vae, crops).eval()
    assert model.config == CONFIG
    quality = torch.tensor([1.0, 37.0, 100.0])
    latent, _ = vae.analyse(crops)  # whose network adds nothing: its tail is zero
    ours, _ = model.analyse(crops)
    torch.testing.assert_close(ours * 255, latent, rtol=1e-4, atol=1e-3)

    values = latent * vae.prior.gain(quality)
    torch.testing.assert_close(ours * model.gain(quality), values, rtol=1e-4, atol=1e-4)
    decoded = vae.expand(values * vae.inverse_gain(quality) / 255) * 255
    blocks = F.conv_transpose2d(decoded, vae.synthesis.basis, stride=16)
    wanted = vae.synthesis.overlap(blocks / 255) + 0.5
    found = model.synthesise(values * model.inverse_gain(quality), quality)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_networks_go_on_and_their_corrections_begin_at_nothing(vae, networks, crops):
    model = graft.graft(CONFIG, networks, vae, crops)
    before, after = networks.state_dict(), model.state_dict()
    for name in (
        "encoder.stages.2.body.0.body.0.weight",
        "decoder.stages.13.body.1.weight",
        "encoder.head.weight",
    ):
        assert torch.equal(after[name], before[name]), name
    for tail in (model.encoder.tail, model.decoder.tail):
        assert not tail.weight.any()
        assert not tail.bias.any()
    assert [quantizer.levels for quantizer in model.levels] == [17, 9, 5]
    spread = before["quantizers.2.log_sigma"]
    assert torch.equal(after["quantizers.2.log_sigma"], spread)


@torch.no_grad()
@pytest.mark.parametrize("known", [0.0, 0.3])
@pytest.mark.parametrize("given", [0.0, 0.2])
def test_the_decoder_sees_what_it_saw_where_only_the_scale_differs(crops, known, given):
    """A transform whose coefficients are twice those that the networks know, in every channel.
    Companding, of which there may be any, is undone before the decoder sees them."""
    torch.manual_seed(8)
    networks = CVQN(dataclasses.replace(OTHER, companding=known))
    vae = VAE(dataclasses.replace(TRANSFORMS, companding=given, overlap=0.0))
    vae.analysis.basis.copy_(2 * networks.analysis_basis)
    config = dataclasses.replace(OTHER, companding=given)
    model = graft.graft(config, networks, vae, crops)
    blocks = graft.linear(networks, crops)
    old = F.conv2d(blocks, networks.decoder.stages[0].weight)
    new = F.conv2d(2 * blocks, model.decoder.stages[0].weight)
    torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_channels_in_which_there_is_nothing_keep_their_scale(vae, networks):
    model = graft.graft(CONFIG, networks, vae, torch.full((2, 3, 64, 64), 0.5))
    assert all(value.isfinite().all() for value in model.state_dict().values())
    first = "decoder.stages.0.weight"
    assert torch.equal(model.state_dict()[first], networks.state_dict()[first])


def test_levels_stand_a_little_outside_the_integers():
    first = 1 + 0.25 * (1 - math.exp(-1 / 1.2))
    second = 2 + 0.25 * (1 - math.exp(-2 / 1.2))
    wanted = torch.tensor([-second, -first, 0.0, first, second])
    torch.testing.assert_close(graft.level_values(5), wanted)


@torch.no_grad()
def test_gains_are_lowered_where_levels_would_not_reach(vae, networks, crops):
    vae.prior.gain.log_gain += 1.0
    vae.inverse_gain.log_gain -= 1.0
    model = graft.graft(CONFIG, networks, vae, crops)
    latent, _ = model.analyse(crops)
    lowered = vae.prior.gain.log_gain + math.log(255) - model.gain.log_gain
    assert (lowered[-1] > 0.01).any()
    assert (lowered[0] < 0.01).any()
    assert (lowered > -1e-4).all()
    raised = model.inverse_gain.log_gain - vae.inverse_gain.log_gain + math.log(255)
    torch.testing.assert_close(raised, lowered, rtol=1e-4, atol=1e-4)
    values = (latent * model.gain(torch.tensor([100.0]))).abs().amax(dim=(0, 2, 3))
    at = 0
    for size, levels in zip(CONFIG.groups, CONFIG.levels, strict=True):
        limited = lowered[-1, at : at + size] > 0.01
        # All but the largest of a hundred coefficients a channel, and with them that one, nearly.
        assert (values[at : at + size][limited] < 1.5 * (levels // 2 + 0.3)).all()
        at += size


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"companding": 0.1}, "another companding"),
        ({"overlap": 0.5}, "another overlap"),
        ({"gain_anchors": 5}, "another gain_anchors"),
        ({"levels": (15, 7, 3)}, "levels added at both ends"),
        ({"levels": (16, 7, 5)}, "levels added at both ends"),
        ({"quality_input": True}, "another shape"),
        (
            {
                "groups": (2, 10),
                "levels": (15, 7),
                "context": dataclasses.replace(CONFIG.context, passes=(3, 2)),
            },
            "another shape",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(change, reason, vae, networks, crops):
    with pytest.raises(InvalidArgument, match=reason):
        graft.graft(dataclasses.replace(CONFIG, **change), networks, vae, crops)


@pytest.mark.parametrize(
    ("both", "reason"),
    [
        ({"importance": "re"}, "importance predefined"),
        ({"linear_path": False}, "linear_path true"),
        ({"levels": (14, 7, 5)}, "use odd numbers"),
    ],
)
def test_networks_that_no_graft_is_for_are_refused(both, reason, crops):
    config = dataclasses.replace(CONFIG, overlap=0.0, **both)
    vae = VAE(dataclasses.replace(TRANSFORMS, overlap=0.0))
    with pytest.raises(InvalidArgument, match=reason):
        graft.graft(config, CVQN(config), vae, crops)


@pytest.fixture
def files(tmp_path, vae, networks, photos):
    """Arguments of the command, and where each of its files is."""
    found = {"recipe": tmp_path / "graft.yaml", "out": tmp_path / "start.safetensors"}
    found["recipe"].write_text(yaml.safe_dump(RECIPE))
    for name, model in (("networks", networks), ("transforms", vae)):
        found[name] = tmp_path / f"{name}.safetensors"
        found[name].write_bytes(weights.to_bytes(model))
    return {**found, "data": photos}


def command(files, monkeypatch) -> int:
    options = [f"--{name}={path}" for name, path in files.items() if name != "recipe"]
    monkeypatch.setattr(sys, "argv", ["graft", str(files["recipe"]), *options])
    with pytest.raises(SystemExit) as end:
        graft.main()
    return int(end.value.code or 0)


@pytest.mark.slow
def test_the_command_writes_a_start_for_a_recipe_that_may_have_more_blocks(
    files, monkeypatch, tmp_path
):
    more = {**RECIPE, "model": {**MODEL, "decoder_blocks": [1, 2, 1, 1]}}
    files["recipe"].write_text(yaml.safe_dump(more))
    assert command(files, monkeypatch) == 0
    assert weights.load(files["out"]).config == CONFIG
    assert run(
        files["recipe"], [files["data"]], tmp_path / "run", max_steps=1, threads=1,
        start=files["out"],
    ).is_file()  # fmt: skip


def test_the_command_tells_errors_in_a_line(files, monkeypatch, capsys, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    draw_photo(1, 200, 200).save(small / "small.png")
    for change, reason in (
        ({"networks": files["transforms"]}, "--networks takes weights of cvqn"),
        ({"transforms": files["networks"]}, "--transforms those of vae"),
        ({"networks": files["recipe"]}, "holds no weights"),
        ({"data": small}, "below 256 pixels"),
    ):
        assert command({**files, **change}, monkeypatch) == 1
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1
    files["recipe"].write_text(yaml.safe_dump({**TINY, "codec": "comrec", "model": {}}))
    assert command(files, monkeypatch) == 1
    assert "no recipe of cvqn" in capsys.readouterr().err
    assert not files["out"].exists()
