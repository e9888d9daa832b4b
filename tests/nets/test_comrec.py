"""ComCNN and RecCNN: before training, what condition they are told, and their published form."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurocodec.nets.block_dct import BlockDCTConfig
from neurocodec.nets.comrec import (
    ComRec,
    ComRecConfig,
    FastComCNN,
    FastRecCNN,
    FullComCNN,
    FullRecCNN,
    downsample,
    planes,
    upsample,
)
from neurocodec.nets.context import ContextConfig

DCT = BlockDCTConfig(
    chroma=3, bounds=(1, 3, 6, 10), context=ContextConfig((3, 2, 2, 2, 2), features=4, hidden=8)
)


def build(form="fast", inner="jpeg") -> ComRec:
    torch.manual_seed(0)
    return ComRec(ComRecConfig(inner, form, com_features=6, rec_features=8, rec_blocks=2, dct=DCT))


def picture(*shape: int) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 3, *shape)


QUALITY = torch.tensor([20.0, 80.0])


def test_fast_forms_begin_as_bicubic_and_identity():
    model = build()
    x = picture(12, 20)
    with torch.no_grad():
        compact = model.compact(x, QUALITY)
        assert torch.equal(compact, downsample(x).clamp(0, 1))
        assert torch.equal(model.restore(x, QUALITY, half=False), x)
        assert torch.equal(model.restore(compact, QUALITY, half=True), upsample(compact))


def test_compact_pictures_are_clipped_and_restored_ones_are_not():
    model = build()
    with torch.no_grad():
        model.com.tail.bias.copy_(torch.tensor([2.0, -2.0, 0.0]))
        model.rec.tail.bias.fill_(2.0)
        compact = model.compact(picture(8, 8), QUALITY)
        assert (compact[:, 0] == 1).all()
        assert (compact[:, 1] == 0).all()
        assert model.restore(compact, QUALITY, half=False).max() > 2


def test_resampling_keeps_flat_colour_and_halves_or_doubles():
    flat = torch.tensor([0.2, 0.5, 0.9])[None, :, None, None].expand(1, 3, 6, 10)
    for resampled, shape in ((downsample(flat), (3, 5)), (upsample(flat), (12, 20))):
        assert resampled.shape[2:] == shape
        torch.testing.assert_close(resampled, flat[:, :, :1, :1].expand_as(resampled))


def test_downsampling_has_a_low_pass():
    """0.4 cycles a pixel would alias; interpolation alone lets half of it through."""
    stripes = torch.cos(0.8 * torch.pi * torch.arange(64)).expand(1, 3, 64, 64)
    assert downsample(stripes)[..., 4:-4].abs().max() < 0.15


@pytest.mark.parametrize("form", ["fast", "full"])
@pytest.mark.parametrize("network", ["com", "rec"])
def test_after_some_steps_of_training_condition_changes_the_output(form, network):
    model = build(form).train()
    x = picture(16, 16)
    apply = model.compact if network == "com" else lambda x, q: model.restore(x, q, False)
    target = downsample(x) if network == "com" else x
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    # Zero layers hide those before them from the first gradient; the next ones find them.
    for _ in range(3):
        optimizer.zero_grad()
        F.mse_loss(apply(x, QUALITY), 0.5 * target + 0.2).backward()
        optimizer.step()
    with torch.no_grad():
        assert (apply(x, QUALITY) - apply(x, QUALITY.flip(0))).abs().max() > 1e-6


def test_half_size_is_told_to_the_network():
    condition = ComRec.condition(QUALITY, True)
    torch.testing.assert_close(condition, torch.tensor([[0.2, 1.0], [0.8, 1.0]]))
    assert (ComRec.condition(QUALITY, False)[:, 1] == 0).all()
    spread = planes(condition, picture(3, 5))
    assert spread.shape == (2, 2, 3, 5)
    assert (spread[1, 0] == condition[1, 0]).all()


def test_full_com_is_as_published():
    """Table 1: three layers of 3×3, 64 features, the second with stride 2."""
    layers = [m for m in FullComCNN().modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.stride[0]) for m in layers] == [
        (3 + 2, 64, 1), (64, 64, 2), (64, 3, 1),
    ]  # fmt: skip
    assert {m.kernel_size for m in layers} == {(3, 3)}


def test_full_rec_is_as_published():
    """Table 2: 20 layers of 3×3, 64 features, the 18 in the middle with batch normalization."""
    network = FullRecCNN()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    widths = [(m.in_channels, m.out_channels) for m in layers]
    assert widths == [(3 + 2, 64)] + [(64, 64)] * 18 + [(64, 3)]
    assert {m.kernel_size for m in layers} == {(3, 3)}
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.num_features for m in norms] == [64] * 18
    # Residual: with its last layer zero it is the identity.
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    x = picture(5, 7)
    assert torch.equal(network(x, ComRec.condition(QUALITY, False)), x)


@pytest.mark.parametrize("form", ["fast", "full"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 3), (7, 9), (8, 4)])
def test_any_size_is_restored(form, shape):
    model = build(form).eval()
    x = picture(*shape)
    with torch.no_grad():
        assert model.restore(x, QUALITY, half=False).shape == (2, 3, *shape)
        doubled = tuple(2 * side for side in shape)
        assert model.restore(x, QUALITY, half=True).shape == (2, 3, *doubled)
        assert model.compact(picture(*doubled), QUALITY).shape == (2, 3, *shape)


def test_padding_replicates_the_border():
    model = build()
    with torch.no_grad():
        model.rec.tail.weight.normal_(std=0.1)
    x = picture(6, 7)
    padded = torch.cat([x, x[..., -1:]], dim=3)
    padded = torch.cat([padded, padded[:, :, -1:], padded[:, :, -1:]], dim=2)
    with torch.no_grad():
        expected = model.restore(padded, QUALITY, half=False)[:, :, :6, :7]
        torch.testing.assert_close(model.restore(x, QUALITY, half=False), expected)


def test_widths_follow_the_configuration_and_only_dct_has_tables():
    model = build()
    assert isinstance(model.com, FastComCNN)
    assert isinstance(model.rec, FastRecCNN)
    assert (model.com.head.out_channels, model.rec.head.out_channels) == (6, 8)
    assert len(model.rec.blocks) == 2
    assert model.dct is None
    own = build(inner="dct")
    assert own.dct.config == DCT
    assert {name.split(".")[0] for name in own.state_dict()} == {"com", "rec", "dct"}


CURVES = ComRecConfig(inner="webp", switch=40.0, both=(2.0, 60.0, 90.0), rec=(5.0, 30.0, 95.0))


@pytest.mark.parametrize("half", [False, True])
def test_inner_quality_passes_through_its_three_points(half):
    low, middle, high = CURVES.both if half else CURVES.rec
    for quality, expected in (
        (1, low), (20.5, (low + middle) / 2), (40, middle), (70, (middle + high) / 2), (100, high),
    ):  # fmt: skip
        assert CURVES.inner_quality(quality, half) == pytest.approx(expected)


@given(st.floats(1, 100), st.floats(1, 100), st.booleans())
def test_inner_quality_rises_without_a_jump(a, b, half):
    low, high = sorted((a, b))
    change = CURVES.inner_quality(high, half) - CURVES.inner_quality(low, half)
    steepest = 65 / 60 if not half else 58 / 39
    assert -1e-9 <= change <= steepest * (high - low) + 1e-9


@pytest.mark.parametrize("switch", [1.0, 100.0])
def test_a_switch_at_either_end_leaves_one_line(switch):
    config = ComRecConfig(inner="jpeg", switch=switch, both=(2.0, 50.0, 90.0))
    ends = {1.0: (50.0, 90.0), 100.0: (2.0, 50.0)}[switch]
    assert (config.inner_quality(1.0, True), config.inner_quality(100.0, True)) == ends
