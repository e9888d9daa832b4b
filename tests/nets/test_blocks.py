"""Attention, GDN, gains, passes, block transform: values against independent formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from neurocodec.nets.attention import ChannelAttention, ResidualChannelAttentionBlock, ResidualGroup
from neurocodec.nets.block_transform import Companding, dct_basis, initial_steps
from neurocodec.nets.gain import QualityGain
from neurocodec.nets.gdn import GDN
from neurocodec.nets.passes import TILES, pass_numbers


@pytest.mark.parametrize(("form", "layers"), [("sigmoid", 2), ("deep-softmax", 4)])
def test_attention_scales_channels_by_their_pooled_average(form, layers):
    torch.manual_seed(0)
    attention = ChannelAttention(16, form)
    convolutions = [m for m in attention.excite if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == layers
    x = torch.randn(2, 16, 5, 7)
    ratio = attention(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    pooled = x.mean((2, 3))
    for i, c in enumerate(convolutions):
        pooled = F.linear(pooled, c.weight[:, :, 0, 0], c.bias)
        if i < layers - 1:
            pooled = F.relu(pooled)
    expected = pooled.sigmoid() if form == "sigmoid" else 16 * pooled.softmax(1)
    torch.testing.assert_close(ratio[:, :, 0, 0], expected)


def test_deep_softmax_reduces_twice_then_expands_twice():
    widths = [m.weight.shape[0] for m in ChannelAttention(64, "deep-softmax").excite[::2]]
    assert widths == [16, 4, 16, 64]


def test_unknown_attention_is_named():
    with pytest.raises(ValueError, match="'global'"):
        ChannelAttention(8, "global")  # type: ignore[arg-type]


def test_residual_blocks_evaluate_their_body_once():
    block = ResidualChannelAttentionBlock(8)
    group = ResidualGroup(8, 3)
    calls = []
    block.body.register_forward_hook(lambda *_: calls.append("block"))
    group.body.register_forward_hook(lambda *_: calls.append("group"))
    x = torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(block(x) - x, block.body(x))
    torch.testing.assert_close(group(x) - x, group.body(x))
    assert calls == ["block", "block", "group", "group"]


def test_a_block_that_adds_nothing_passes_its_input_on_and_still_learns():
    block = ResidualChannelAttentionBlock(4)
    block.add_nothing()
    x = torch.randn(2, 4, 5, 3)
    assert torch.equal(block(x), x)
    (block(x) * torch.randn_like(x)).sum().backward()
    assert block.body[2].weight.grad.abs().max() > 0


def test_what_a_group_adds_can_be_weighed_channel_by_channel():
    group = ResidualGroup(4, 1)
    x, weight = torch.randn(2, 4, 5, 3), torch.rand(2, 4, 1, 1)
    torch.testing.assert_close(group(x, weight) - x, weight * group.body(x))
    assert torch.equal(group(x, torch.zeros(2, 4, 1, 1)), x)


def test_gdn_follows_its_formula_and_the_inverse_multiplies():
    gdn, inverse = GDN(3, gamma_init=0.5), GDN(3, inverse=True, gamma_init=0.5)
    x = torch.tensor([2.0, -1.0, 0.5]).view(1, 3, 1, 1)
    expected = x / torch.sqrt(1 + 0.5 * x * x)
    torch.testing.assert_close(gdn(x), expected)
    torch.testing.assert_close(inverse(x), x * torch.sqrt(1 + 0.5 * x * x))


def test_gdn_parameters_recover_from_below_their_bound():
    gdn = GDN(2)
    with torch.no_grad():
        gdn.beta_root.fill_(-1.0)
    x = torch.ones(1, 2, 1, 1)
    gdn(x).sum().backward()
    assert torch.isfinite(gdn(x)).all()
    # y falls as β grows, so the loss −y would push β up: that gradient must pass the bound.
    gdn.zero_grad()
    (gdn(x).sum()).backward()
    assert (gdn.beta_root.grad <= 0).all()


def test_gain_interpolates_in_the_log_domain():
    gain = QualityGain(torch.tensor([[1.0, 2.0], [4.0, 2.0], [16.0, 8.0]]))
    out = gain(torch.tensor([1.0, 25.75, 50.5, 100.0]))[:, :, 0, 0]
    expected = torch.tensor([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0], [16.0, 8.0]])
    torch.testing.assert_close(out, expected)


@given(st.sampled_from(sorted(TILES)), st.integers(1, 13), st.integers(1, 13))
def test_pass_numbers_repeat_their_tile_and_use_every_pass(passes, rows, cols):
    numbers = pass_numbers(passes, rows, cols)
    tile = torch.tensor(TILES[passes])
    assert numbers.shape == (rows, cols)
    assert all(
        numbers[y, x] == tile[y % len(tile), x % len(tile)]
        for y in range(rows)
        for x in range(cols)
    )
    if min(rows, cols) >= len(tile):
        assert sorted(set(numbers.flatten().tolist())) == list(range(passes))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 24, 32, 160, 256, 768])
def test_the_channels_without_companding_are_those_of_the_spec(channels):
    """SPEC.md, "DC channels": rank by frequency, chroma behind luma of twice its own."""

    def rank(entry):
        plane, u, v = entry
        return math.sqrt(u**2 + v**2) if plane == 0 else 2 * math.sqrt(u**2 + v**2) + 1

    entries = [(plane, u, v) for plane in range(3) for u in range(16) for v in range(16)]
    order = sorted(entries, key=lambda entry: (rank(entry), entry))[:channels]
    dc = [channel for channel, (_, u, v) in enumerate(order) if u == v == 0]
    assert dc == [channel for channel in (0, 3, 4) if channel < channels]
    expand = Companding(dct_basis(channels)[1], 0.3, inverse=True)
    assert expand.linear.flatten().nonzero().flatten().tolist() == dc
    with torch.no_grad():  # as training may leave them: the set is not read off the weights
        expand.log_gamma.fill_(0.5)
    x = torch.full((1, channels, 1, 1), 2.0)
    unchanged = (expand(x) == x).flatten()
    assert unchanged.nonzero().flatten().tolist() == dc


def test_pass_tiles_leave_no_two_neighbours_uncoded_together():
    """From the second half of the passes on, each position has earlier neighbours on all sides."""
    for passes, tile in TILES.items():
        if passes == 1:
            continue
        size = len(tile)
        for y in range(size):
            for x in range(size):
                if tile[y][x] == passes - 1:
                    around = [tile[(y + 1) % size][x], tile[y - 1][x], tile[y][x - 1]]
                    assert max(around) < passes - 1


def test_unknown_pass_count_is_refused():
    with pytest.raises(ValueError, match="4 passes"):
        pass_numbers(4, 2, 2)


def test_dct_basis_is_orthonormal_and_ordered():
    filters, frequencies = dct_basis(768)
    flat = filters.reshape(768, -1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(768), atol=1e-5, rtol=0)
    assert frequencies[0] == 0
    grey = torch.ones(1, 3, 16, 16)
    coefficients = F.conv2d(grey, filters, stride=16)[0, :, 0, 0]
    assert coefficients[0].item() == pytest.approx(16 * math.sqrt(3), rel=1e-5)
    assert coefficients[1:].abs().max() < 1e-4
    first, _ = dct_basis(20)
    torch.testing.assert_close(first, filters[:20])


def test_steps_widen_with_frequency():
    steps = initial_steps(torch.tensor([1.0, 2.0, 4.0, 8.0, 15.0]))
    assert (steps[1:] >= steps[:-1]).all()
    assert steps[0].item() == pytest.approx(0.5 / math.sqrt(0.8668), rel=1e-5)


def test_steps_without_companding_are_the_same_for_all():
    steps = initial_steps(torch.tensor([0.0, 1.0, 15.0]), companded=False)
    torch.testing.assert_close(steps, torch.full((3,), 36 / 255))


@pytest.mark.parametrize("amplitude", [1e-4, 3e3])
def test_companding_is_undone_in_both_limits_and_dc_is_linear(amplitude):
    frequencies = torch.tensor([0.0, 1.0, 2.0])
    compand, expand = Companding(frequencies, 0.3), Companding(frequencies, 0.3, inverse=True)
    x = amplitude * torch.tensor([1.0, 0.6, -0.8]).view(1, 3, 1, 1)
    y = compand(x)
    assert y[0, 0] == x[0, 0]
    torch.testing.assert_close(expand(y), x, rtol=0.02, atol=0)
    assert (y[0, 1] > x[0, 1]) == (amplitude < 1)


def test_companding_leaves_what_is_typical_alone():
    frequencies = torch.tensor([0.0, 1.0, 2.0])
    compand = Companding(frequencies, 0.2, typical=0.02)
    expand = Companding(frequencies, 0.2, inverse=True, typical=0.02)
    # 2/768 of the squares, with SSIM's constant, are 0.02.
    share = math.sqrt((0.02 - 0.03**2) * 768 / 2)
    x = share * torch.tensor([1.0, 0.6, -0.8]).view(1, 3, 1, 1)
    torch.testing.assert_close(compand(x), x, rtol=1e-4, atol=0)
    assert (compand(2 * x).abs() < 2 * x.abs())[0, 1:].all()
    for scale in (1e-3, 1e3):
        torch.testing.assert_close(expand(compand(scale * x)), scale * x, rtol=0.02, atol=0)
