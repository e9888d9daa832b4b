"""The inner codec's transform, tables, masks and rate against plain restatements of each."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn, idctn

from neurocodec.codecs import symbols
from neurocodec.nets.block_dct import (
    CHROMA,
    HIGH_LUMA,
    BlockDCT,
    BlockDCTConfig,
    filters,
    interpolated,
    zigzag,
)
from neurocodec.nets.context import ContextConfig

SMALL = BlockDCTConfig(
    chroma=4,
    bounds=(1, 3, 6, 10),
    levels=(63, 31, 15, 11, 9),
    context=ContextConfig(passes=(3, 2, 2, 2, 2), features=4, hidden=8),
)


def build(config: BlockDCTConfig = SMALL) -> BlockDCT:
    torch.manual_seed(0)
    return BlockDCT(config)


def picture(rows: int = 40, cols: int = 48, contrast: float = 0.25) -> torch.Tensor:
    """A structured picture whose right third is flat, (1, 3, rows, cols): some blocks are empty."""
    torch.manual_seed(2)
    y, x = torch.meshgrid(torch.arange(rows) / 9, torch.arange(cols) / 7, indexing="ij")
    planes = [torch.sin(x * a + y * b) for a, b in ((1.0, 0.4), (0.9, 0.6), (0.3, 1.1))]
    noisy = torch.stack(planes) + 0.3 * torch.randn(3, rows, cols)
    noisy[:, :, 2 * cols // 3 :] = 0
    return (0.5 + contrast * noisy).clamp(0, 1)[None]


def ycbcr(x: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1] -> Y, Cb, Cr, centred, in 8-bit units, by the formulas of JFIF."""
    r, g, b = 255.0 * x
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([y - 127.5, (b - y) / 1.772, (r - y) / 1.402])


def test_zigzag_is_that_of_jpeg():
    # Figure 5 of T.81: place of each frequency, row by row.
    table = """
         0  1  5  6 14 15 27 28
         2  4  7 13 16 26 29 42
         3  8 12 17 25 30 41 43
         9 11 18 24 31 40 44 53
        10 19 23 32 39 45 52 54
        20 22 33 38 46 51 55 60
        21 34 37 47 50 56 59 61
        35 36 48 49 57 58 62 63"""
    places = np.array(table.split(), int).reshape(8, 8)
    order = zigzag()
    assert len(order) == 64
    assert [places[row, col] for row, col in order] == list(range(64))
    assert order[:4] == [(0, 0), (0, 1), (1, 0), (2, 0)]


def test_channels_are_five_groups_that_name_each_kept_frequency_once():
    config = BlockDCTConfig()
    assert config.groups == [3, 9, 18, 30, 36]
    assert len(set(config.channels)) == len(config.channels) == 96
    assert config.channels[:4] == [(1, 0), (2, 0), (0, 0), (0, 1)]
    assert {place for plane, place in config.channels if plane == 0} == set(range(64))
    for plane in (1, 2):
        assert {place for p, place in config.channels if p == plane} == set(range(16))
    assert SMALL.groups == [3, 2, 3, 6, 4]
    chroma = range(sum(SMALL.groups[:CHROMA]), sum(SMALL.groups[:HIGH_LUMA]))
    assert {SMALL.channels[i] for i in chroma} == {(p, k) for p in (1, 2) for k in (1, 2, 3)}


def test_all_192_filters_are_the_dct_of_ycbcr_and_invert_each_other():
    every = [(plane, u, v) for plane in range(3) for u in range(8) for v in range(8)]
    analysis, synthesis = filters(every)
    assert analysis.shape == synthesis.shape == (192, 3, 8, 8)
    product = torch.einsum("kcij,lcij->kl", analysis.double(), synthesis.double())
    torch.testing.assert_close(product, torch.eye(192).double(), rtol=0, atol=1e-5)

    rng = np.random.default_rng(0)
    block = rng.random((3, 8, 8))
    expected = dctn(ycbcr(block), axes=(1, 2), norm="ortho")
    found = torch.einsum("kcij,cij->k", analysis.double(), torch.from_numpy(block - 0.5) * 255)
    np.testing.assert_allclose(found.numpy().reshape(3, 8, 8), expected, atol=1e-3)


def test_transform_is_that_of_each_block_and_its_inverse_keeps_what_is_kept():
    config = BlockDCTConfig()
    dct = build(config)
    x = picture(16, 24)
    found = dct.transform(x)
    assert found.shape == (1, 96, 2, 3)
    planes = ycbcr(x[0].double().numpy())
    kept = np.zeros_like(planes)
    order = zigzag()
    for row in range(2):
        for col in range(3):
            at = np.s_[:, 8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            block = dctn(planes[at], axes=(1, 2), norm="ortho")
            mask = np.zeros_like(block)
            for channel, (plane, place) in enumerate(config.channels):
                value = found[0, channel, row, col].item()
                assert value == pytest.approx(block[plane][order[place]], abs=2e-3)
                mask[plane][order[place]] = 1
            kept[at] = idctn(block * mask, axes=(1, 2), norm="ortho")
    # Luma keeps all of its frequencies: it comes back as it was.
    back = ycbcr(dct.inverse(found)[0].double().numpy())
    np.testing.assert_allclose(back, kept, atol=2e-3)
    np.testing.assert_allclose(back[0], planes[0], atol=2e-3)


def test_grey_is_zero_and_white_is_the_largest_dc():
    dct = build()
    assert dct.transform(torch.full((1, 3, 8, 8), 0.5)).abs().max() == 0
    white = dct.transform(torch.ones(1, 3, 8, 8))[0, :, 0, 0]
    assert white[2].item() == pytest.approx(8 * 127.5, rel=1e-5)  # third channel: DC of luma
    assert white[[i for i in range(len(white)) if i != 2]].abs().max() < 1e-3


def test_steps_fall_with_quality_rise_with_frequency_and_halve_for_half_size():
    config = BlockDCTConfig()
    dct = build(config)
    quality = torch.tensor([1.0, 50.5, 100.0])
    full, half = dct.steps(quality, False), dct.steps(quality, True)
    assert full.shape == (3, 96, 1, 1)
    torch.testing.assert_close(half, full / 2)
    dc = full[:, 2, 0, 0]
    expected = 0.6 * torch.tensor([90.0, (90.0 * 14.0) ** 0.5, 14.0])
    torch.testing.assert_close(dc, expected, rtol=1e-4, atol=0)
    first, last = config.channels.index((0, 1)), config.channels.index((0, 63))
    torch.testing.assert_close(full[:, last] / full[:, first], torch.full((3, 1, 1), 3.1 / 1.15))
    chroma = config.channels.index((1, 1))
    torch.testing.assert_close(full[:, chroma], 0.7 * full[:, first])


def plain_blocks(group: int, before: list[np.ndarray]) -> np.ndarray:
    """`coded_blocks` restated, block by block: before[g] (n, h, w) -> (h, w) bool."""
    rows, cols = before[0].shape[1:]
    coded = np.zeros((rows, cols), bool)
    for row in range(rows):
        for col in range(cols):
            below = {2: 1, 3: 1, 4: 2}.get(group)
            coded[row, col] = below is None or np.any(before[below][:, row, col] != 0)
            if group == CHROMA:
                for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                    if 0 <= r < rows and 0 <= c < cols:
                        own = before[0][:2, row, col]
                        coded[row, col] |= np.any(before[0][:2, r, c] != own)
    return coded


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31),
    st.floats(0, 0.6),
)  # fmt: skip
def test_coded_blocks_is_the_plain_loop(group, rows, cols, seed, share):
    rng = np.random.default_rng(seed)
    before = [
        (rng.random((2, n, rows, cols)) < share) * rng.integers(-3, 4, (2, n, rows, cols))
        for n in SMALL.groups[:group]
    ]
    found = BlockDCT.coded_blocks(group, [torch.from_numpy(value) for value in before])
    if group < 2:
        assert found is None
        return
    assert found.shape == (2, 1, rows, cols)
    assert found.dtype == torch.bool
    for sample in range(2):
        expected = plain_blocks(group, [value[sample] for value in before])
        assert np.array_equal(found[sample, 0].numpy(), expected)


def test_luma_dc_alone_opens_no_chroma():
    before = [torch.zeros(1, n, 2, 2) for n in SMALL.groups[:CHROMA]]
    before[0][0, 2, 0, 0] = 5
    assert not BlockDCT.coded_blocks(CHROMA, before).any()
    before[0][0, 1, 0, 0] = 1  # Cr's DC: the block itself and its neighbours, not the diagonal one
    assert BlockDCT.coded_blocks(CHROMA, before)[0, 0].tolist() == [[True, True], [True, False]]


def encode(dct: BlockDCT, x: torch.Tensor, quality: torch.Tensor, half: bool):
    """The coded streams of the rounded coefficients, with the codec's masks."""
    config = dct.config
    with torch.no_grad():
        scaled = (dct.transform(x) / dct.steps(quality, half))[0].split(config.groups)
    side = dct.side(quality.double(), half, dct.transform(x)[:, :1].double())
    mus = dct.mus(side)

    def coded(group, before):
        pairs = zip(before, config.levels, strict=False)
        blocks = dct.coded_blocks(group, [index[None] - n // 2 for index, n in pairs])
        return None if blocks is None else blocks[0].expand(config.groups[group], -1, -1)

    def choose(group, logits, where):
        limit = config.levels[group] // 2
        return scaled[group][where].round().clamp(-limit, limit).long() + limit

    context = BlockDCT(config).context.double()
    context.load_state_dict(dct.context.state_dict())
    return symbols.encode(context, mus, coded, side, choose)


@pytest.mark.parametrize("half", [False, True])
def test_the_rate_that_is_trained_is_what_the_coder_spends(half):
    dct = build()
    x, quality = picture(256, 256), torch.tensor([70.0])
    with torch.no_grad():
        decoded, bits = dct(x, quality, half)
    streams, _, indices = encode(dct, x, quality, half)
    spent = 8 * sum(map(len, streams))
    assert bits.item() == pytest.approx(spent, rel=0.01)
    assert spent > 8 * 1000  # enough for a per cent to mean something
    # And the training pass decodes what the decoder will.
    values = torch.cat([i - n // 2 for i, n in zip(indices, SMALL.levels, strict=True)])[None]
    with torch.no_grad():
        again = dct.inverse(values * dct.steps(quality, half))
    torch.testing.assert_close(decoded, again, rtol=0, atol=1e-5)
    skipped = dct.coded_blocks(HIGH_LUMA, [v[None] for v in values[0].split(SMALL.groups)])
    assert 0.1 < skipped.float().mean() < 0.9  # the masks had something to leave out


def test_coefficients_are_clipped_to_the_levels():
    config = dataclasses.replace(SMALL, levels=(3, 3, 3, 3, 3))
    dct = build(config)
    decoded, _ = dct(torch.ones(1, 3, 8, 8), torch.tensor([100.0]), False)
    one_step = dct.steps(torch.tensor([100.0]), False)[0, 2].item() / 8
    torch.testing.assert_close(decoded, torch.full_like(decoded, 0.5 + one_step / 255))


def test_bits_of_a_batch_are_those_of_each_picture_at_its_own_quality():
    dct = build()
    x = torch.cat([picture(), picture(contrast=0.1).flip(3)])
    quality = torch.tensor([20.0, 90.0])
    with torch.no_grad():
        decoded, bits = dct(x, quality, True)
        for i in range(2):
            alone, own = dct(x[i : i + 1], quality[i : i + 1], True)
            torch.testing.assert_close(decoded[i : i + 1], alone, rtol=0, atol=1e-5)
            torch.testing.assert_close(bits[i : i + 1], own, rtol=1e-4, atol=0)


@pytest.mark.parametrize("half", [False, True])
def test_gradients_reach_tables_context_and_picture(half):
    dct = build()
    x = picture().requires_grad_()
    decoded, bits = dct(x, torch.tensor([60.0]), half)
    target = 3000 * ((decoded - x.detach()) ** 2).mean()

    target.backward(retain_graph=True)
    used, unused = dct.full_steps.log_gain, dct.half_steps.log_gain
    if half:
        used, unused = unused, used
    assert unused.grad is None
    # Quality 60 lies between the third and the fourth of six anchors.
    assert (used.grad.abs().sum(1) > 0).tolist() == [False, False, True, True, False, False]
    assert x.grad.abs().max() > 0
    distortion, x.grad = x.grad, None

    bits.sum().backward()
    assert all(parameter.grad is not None for parameter in dct.context.parameters())
    heads = [part.logits.head.weight.grad for part in dct.context.parts]
    assert all(gradient.abs().max() > 0 for gradient in heads)
    assert x.grad.abs().max() > 0
    assert not torch.equal(x.grad, distortion)


def test_side_tells_size_and_quality():
    like = torch.zeros(2, 5, 3, 4, dtype=torch.float64)
    side = BlockDCT.side(torch.tensor([25.0, 100.0]), True, like)
    assert (side.shape, side.dtype) == ((2, 2, 3, 4), torch.float64)
    assert (side[:, 0] == 1).all()
    assert side[:, 1, 0, 0].tolist() == [0.25, 1.0]
    assert (BlockDCT.side(torch.tensor([25.0, 100.0]), False, like)[:, 0] == 0).all()


def test_mus_are_the_integers_around_zero():
    assert [mu.tolist() for mu in build().mus(torch.zeros(1, dtype=torch.float64))][-1] == [
        float(k) for k in range(-4, 5)
    ]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 2**31))
def test_interpolated_reads_the_table_and_slopes_as_its_neighbours(places, seed):
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(len(places), 7, generator=generator, requires_grad=True)
    position = torch.tensor(places, dtype=torch.float32, requires_grad=True)
    found = interpolated(log_p, position)
    rows = log_p.detach().numpy()
    assert found.tolist() == pytest.approx([row[k] for row, k in zip(rows, places, strict=True)])
    found.sum().backward()
    for row, k, slope, gradient in zip(rows, places, position.grad, log_p.grad, strict=True):
        # The last entries stand for what lies beyond them.
        assert slope.item() == pytest.approx(
            (row[min(k + 1, 6)] - row[max(k - 1, 0)]) / 2, rel=1e-5, abs=1e-6
        )
        assert gradient.tolist() == [float(j == k) for j in range(7)]
