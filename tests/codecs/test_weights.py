"""What a weights file keeps of networks."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from neurocodec.codecs import weights
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.cvqn import CVQN
from neurocodec.nets.vae import VAE
from neurocodec.training import recipe
from tests.codecs.test_vae import TINY as TINY_VAE
from tests.training.conftest import TINY


def networks(kind: str) -> torch.nn.Module:
    torch.manual_seed(4)
    if kind == "comrec":
        return ComRec(ComRecConfig(com_features=4, rec_features=4, rec_blocks=1))
    if kind == "vae":
        return VAE(dataclasses.replace(TINY_VAE, groups=(3, 9, 15)))  # more than 24 channels
    more = {"quality_input": True, "channels": 36, "groups": [2, 6, 28]}  # more than 32 channels
    model = {**TINY["model"], **more}
    return CVQN(recipe.build({**TINY, "model": model}).model)


def test_the_specification_says_how_tensors_are_stored():
    spec = (Path(__file__).parents[2] / "bitstream" / "SPEC.md").read_text()
    for suffix in (weights.SCALE, weights.FIRST):
        assert f"`T{suffix}`" in spec


@pytest.mark.parametrize("kind", weights.KINDS)
def test_what_is_stored_is_what_is_found_to_the_precision_of_its_kind(kind):
    model = networks(kind)
    data = weights.to_bytes(model)
    found = weights.model_from_bytes(data)
    stored, entry = load(data), weights.KINDS[kind]
    after = found.state_dict()
    assert found.config == model.config
    for name, before in model.state_dict().items():
        few = len(stored.get(name + weights.FIRST, ()))
        if few:
            assert few == entry.half[name] < len(before)
            assert torch.equal(after[name][:few], before[:few].half().float()), name
        if stored[name].dtype == torch.int8:
            bound = before.flatten(1).abs().amax(dim=1) / 127 * 0.501
            assert ((after[name] - before).flatten(1).abs().amax(dim=1) <= bound).all(), name
        elif name.startswith(entry.exact) or not before.is_floating_point():
            assert torch.equal(after[name], before), name
        else:
            assert torch.equal(after[name], before.half().float()), name
        assert after[name].dtype == before.dtype


@pytest.mark.parametrize(
    ("kind", "name", "dtype"),
    [
        ("cvqn", "encoder.tail.weight", torch.int8),
        ("cvqn", "encoder.tail.weight.scale", torch.float32),
        ("cvqn", "encoder.tail.bias", torch.float16),
        ("cvqn", "context.groups.0.hollow.weight", torch.int8),
        ("cvqn", "analysis_basis", torch.int8),
        ("cvqn", "synthesis_basis.first", torch.float16),
        ("cvqn", "decoder.group_gains.0.log_gain", torch.float32),
        ("cvqn", "quantizers.0.mu", torch.float32),
        ("comrec", "rec.blocks.0.first.weight", torch.int8),
        ("comrec", "rec.blocks.0.modulation.weight", torch.float16),
        ("comrec", "dct.full_steps.log_gain", torch.float32),
        ("vae", "analysis.head.weight", torch.int8),
        ("vae", "analysis.head.bias", torch.float16),
        ("vae", "analysis.basis", torch.int8),
        ("vae", "analysis.basis.first", torch.float16),
        ("vae", "synthesis.basis.first", torch.float16),
        ("vae", "hyper_analysis.tail.weight", torch.int8),
        ("vae", "prior.gain.log_gain", torch.float32),
        ("vae", "hyper_cdf", torch.int32),
    ],
)
def test_each_tensor_has_the_precision_of_its_kind(kind, name, dtype):
    assert load(weights.to_bytes(networks(kind)))[name].dtype == dtype


def test_freezing_again_changes_nothing_more():
    once = weights.model_from_bytes(weights.to_bytes(networks("cvqn")))
    twice = weights.model_from_bytes(weights.to_bytes(once)).state_dict()
    for name, value in once.state_dict().items():
        torch.testing.assert_close(twice[name], value, rtol=1e-6, atol=0)


@given(st.integers(1, 5), st.integers(1, 5), st.floats(-30, 30), st.integers(0, 2**31))
def test_eight_bits_are_within_half_a_step_of_any_kernel(rows, columns, exponent, seed):
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(rows, columns, 3, 3, generator=generator) * math.exp(exponent)
    integers, scale = weights.in_eight_bits(kernel)
    assert integers.dtype == torch.int8
    assert scale.shape == (rows, 1, 1, 1)
    assert integers.abs().flatten(1).amax(dim=1).tolist() == [127] * rows
    assert ((integers * scale - kernel).abs() <= 0.501 * scale).all()


def test_a_channel_of_zeros_stays_zeros():
    kernel = torch.stack([torch.zeros(2, 3, 3), torch.ones(2, 3, 3)])
    integers, scale = weights.in_eight_bits(kernel)
    assert not integers[0].any()
    assert torch.equal(integers * scale, kernel)
