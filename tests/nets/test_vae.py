"""The networks of the VAE: what they start as, and that the prior cannot look ahead."""

from dataclasses import replace

import pytest
import torch

from neurocodec.nets.overlap import Overlap, border_filter
from neurocodec.nets.passes import pass_numbers
from neurocodec.nets.vae import (
    VAE,
    VAEConfig,
    kmacs_per_pixel,
    natural_deviation,
    straight_through,
)

TINY = VAEConfig(
    groups=(3, 9, 12), passes=(5, 2, 1), components=2, hyper=4, features=6, hidden=8,
    analysis=(4, 8), synthesis=(4, 8), blocks=(1, 1),
)  # fmt: skip


def build(config: VAEConfig = TINY) -> VAE:
    torch.manual_seed(0)
    return VAE(config).eval().requires_grad_(False)


def test_an_untrained_network_is_its_block_transform():
    """A picture of the basis alone comes back but for the quantization."""
    model = build()
    torch.manual_seed(1)
    coefficients = torch.randn(1, 24, 2, 3) * 40
    picture = (
        torch.nn.functional.conv_transpose2d(coefficients, model.synthesis.basis, stride=16) / 255
        + 0.5
    )
    latent, hyper = model.analyse(picture)
    torch.testing.assert_close(latent, coefficients, atol=2e-2, rtol=1e-4)
    assert hyper.shape == (1, 4, 1, 1)
    quality = torch.tensor([100.0])
    steps = latent * model.prior.gain(quality)
    torch.testing.assert_close(steps, coefficients / TINY.steps[1], atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(model.synthesise(steps, quality), picture, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_overlap_is_undone(strength):
    x = torch.rand(2, 3, 48, 80, generator=torch.Generator().manual_seed(3))
    overlap, back = Overlap(strength), Overlap(strength, inverse=True)
    with torch.no_grad():
        y = overlap(x)
        torch.testing.assert_close(back(y), x, atol=1e-5, rtol=0)
    assert torch.equal(y, x) if strength == 0 else (y - x).abs().max() > 0.05
    torch.testing.assert_close(y[..., :8, :8], x[..., :8, :8])  # no border there
    smallest = x[..., :16, :16]
    assert torch.equal(overlap(smallest), smallest)


def test_overlap_concentrates_what_neighbours_share():
    """Coding gain of the 16-point DCT for an AR(1) process of 0.95, without and with overlap.

    9.46 dB is the known figure of the DCT (Malvar, Signal Processing with Lapped Transforms, 1992).
    """
    size, rows = 16, torch.arange(16 * 7, dtype=torch.float64)
    covariance = 0.95 ** (rows[:, None] - rows).abs()
    n = torch.arange(size, dtype=torch.float64)
    dct = torch.cos(torch.pi * (2 * n + 1) * n[:, None] / (2 * size))
    dct = dct / dct.norm(dim=1, keepdim=True)

    def gain(strength: float) -> float:
        filtered = torch.eye(len(rows), dtype=torch.float64)
        for border in range(size, len(rows), size):
            around = slice(border - size // 2, border + size // 2)
            filtered[around, around] = border_filter(strength)
        forward = torch.block_diag(*[dct] * 7) @ filtered
        variances = (forward @ covariance @ forward.T).diagonal()[3 * size : 4 * size]
        return float(-10 * variances.log10().mean())

    assert gain(0.0) == pytest.approx(9.4555, abs=1e-3)
    assert gain(1.0) == pytest.approx(9.759, abs=1e-3)
    assert gain(0.0) < gain(0.5) < gain(1.0)


def test_an_overlapping_companded_network_still_gives_back_what_it_gets():
    """Before any training, and where nothing is rounded: 256 of 768 coefficients are the basis."""
    config = replace(TINY, groups=(3, 9, 756), overlap=0.7, companding=0.2)
    model = build(config)
    generator = torch.Generator().manual_seed(4)
    waves = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 6, generator=generator), (96, 96), mode="bicubic"
    )
    latent, _ = model.analyse(waves)
    assert (latent - build(replace(config, companding=0.0)).analyse(waves)[0]).abs().max() > 10
    quality = torch.tensor([100.0])
    decoded = model.synthesise(latent * model.prior.gain(quality), quality)
    torch.testing.assert_close(decoded, waves, atol=0.02, rtol=0)


def test_straight_through_rounds_and_passes_the_gradient():
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    y = straight_through(x)
    y.sum().backward()
    assert y.tolist() == [0, 2]
    assert x.grad.tolist() == [1, 1]


def test_natural_deviations_fall_with_frequency_and_chroma_has_less():
    filters = torch.zeros(4, 3, 16, 16)
    filters[:3] += 1.0
    filters[3, 0], filters[3, 2] = 1.0, -1.0
    got = natural_deviation(filters, torch.tensor([0.0, 1.0, 8.0, 1.0]))
    expected = torch.tensor([1000.0, 330.0, 330 * 8**-1.15, 330 / 4])
    torch.testing.assert_close(got, expected)


def test_training_pass_counts_all_bits():
    model = build()
    x = torch.rand(2, 3, 64, 80)

    def certain(hyper):
        return hyper, torch.full_like(hyper, 0.5)

    output = model(x, torch.tensor([10.0, 90.0]), certain)
    assert output.x_hat.shape == x.shape
    assert output.hyper_bits.tolist() == [4 * 1 * 2] * 2  # one bit for each of 4 channels, 2 places
    assert output.bits[1] > output.bits[0] > output.hyper_bits[0]


@pytest.mark.parametrize("group", [0, 1, 2])
def test_the_prior_never_looks_ahead(group):
    """Changing a symbol changes no probability of its own pass, nor of any before it."""
    model = build()
    prior = model.prior
    generator = torch.Generator().manual_seed(2)
    latent = torch.randn(1, 24, 8, 8, generator=generator) * 3
    hyper = torch.randn(1, 4, 2, 2, generator=generator).round()
    quality = torch.tensor([50.0])
    before, _ = prior(latent, hyper, quality)
    channel = sum(TINY.groups[:group]) + 1
    changed = latent.clone()
    changed[0, channel, 3, 4] += 2
    after, _ = prior(changed, hyper, quality)
    differs = (before != after)[0]
    differs[channel, 3, 4] = False
    order = pass_numbers(TINY.passes[group], 8, 8)
    start, end = sum(TINY.groups[:group]), sum(TINY.groups[: group + 1])
    assert not differs[:start].any()
    assert not differs[start:end, order <= order[3, 4]].any()
    # and something after it does listen
    later = differs[start:end].any() or differs[end:].any()
    assert later or group == len(TINY.groups) - 1


def test_groups_and_passes_must_agree():
    with pytest.raises(ValueError, match="one entry a group"):
        VAEConfig(groups=(1, 2), passes=(1,))


def test_the_shipped_shape_is_light_enough():
    """At most 60 kMAC a pixel to decode, the limit this codec was given."""
    kmacs = kmacs_per_pixel(VAEConfig())
    assert set(kmacs) == {"analysis", "synthesis", "hyper_analysis", "prior"}
    assert kmacs["synthesis"] + kmacs["prior"] < 60
    # One 3×3 convolution 48 -> 64 at a quarter of the resolution is 1.728 of them.
    assert kmacs["analysis"] == pytest.approx(14.5, abs=0.5)
    more = kmacs_per_pixel(VAEConfig(overlap=0.5, companding=0.2))
    # 16 numbers in each direction of each of 3 planes; a 1×1 convolution of 256 channels.
    assert more["synthesis"] - kmacs["synthesis"] == pytest.approx((96 + 256) / 1000)
