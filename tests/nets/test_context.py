"""The context model must be causal by pass number, and the same in training and in coding."""

import pytest
import torch

from neurocodec.codecs import symbols
from neurocodec.nets.context import ContextModel, LevelLogits, across_channels
from neurocodec.nets.passes import pass_numbers

SIZES, LEVELS, PASSES = [2, 4, 3], [9, 5, 3], [5, 3, 2]


def everything(group, before):
    return None


def build(residual_kernel: int = 3) -> ContextModel:
    torch.manual_seed(0)
    model = ContextModel(
        SIZES, LEVELS, PASSES, features=4, hidden=8, residual_kernel=residual_kernel, rank=2
    )
    for parameter in model.parameters():  # no zero weight may hide a dependency
        torch.nn.init.normal_(parameter, std=0.3)
    return model.double()


def random_values(rows=6, cols=7):
    torch.manual_seed(1)
    return [
        torch.randint(levels, (1, size, rows, cols)).double() - levels // 2
        for size, levels in zip(SIZES, LEVELS, strict=True)
    ]


def level_values():
    return [torch.arange(levels).double() - levels // 2 for levels in LEVELS]


@pytest.mark.parametrize("residual_kernel", [1, 3])
def test_logits_depend_on_exactly_the_earlier_passes(residual_kernel):
    model = build(residual_kernel)
    values = [value.requires_grad_() for value in random_values()]
    side = torch.rand(1, 2, 6, 7, dtype=torch.float64)
    logits = model(values, level_values(), side)
    number = {group: sum(PASSES[:group]) + pass_numbers(PASSES[group], 6, 7) for group in range(3)}
    reached = 0
    for group in range(3):
        for y, x in [(0, 0), (2, 3), (3, 3), (5, 6), (4, 2), (2, 2)]:
            gradients = torch.autograd.grad(
                logits[group][0, 1, y, x].square().sum(),
                values,
                retain_graph=True,
                allow_unused=True,
            )
            for other, gradient in enumerate(gradients):
                if gradient is None:
                    continue
                touched = gradient[0].abs().sum(0) > 0
                assert not (touched & (number[other] >= number[group][y, x])).any()
                reached += int(touched.sum())
    assert reached > 200  # and it does look at what it may


def test_last_group_sees_every_earlier_group():
    model = build()
    values = [value.requires_grad_() for value in random_values()]
    logits = model(values, level_values(), torch.rand(1, 2, 6, 7, dtype=torch.float64))
    gradients = torch.autograd.grad(logits[2][0, 0, 3, 2].square().sum(), values)  # a second pass
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("entry", [0, 1])
def test_map_and_quality_condition_the_logits(entry):
    model = build()
    side = torch.rand(1, 2, 6, 7, dtype=torch.float64)
    before = model(random_values(), level_values(), side)
    side[:, entry] += 0.1
    after = model(random_values(), level_values(), side)
    assert all((a - b).abs().max() > 1e-6 for a, b in zip(before, after, strict=True))


def test_across_channels_is_the_convolution():
    torch.manual_seed(2)
    x, kernel = torch.randn(2, 4, 7, 5).double(), torch.randn(6, 3, 4).double()
    weight = kernel.transpose(1, 2)[..., None, None]
    expected = torch.nn.functional.conv3d(x[..., None], weight)[..., 0]
    torch.testing.assert_close(across_channels(kernel, x), expected)


@pytest.mark.parametrize("residual_kernel", [1, 3])
def test_walk_meets_the_training_logits(residual_kernel):
    """Coding pass by pass gives the probabilities that training saw all at once."""
    model = build(residual_kernel)
    values = random_values()
    mus = level_values()
    side = torch.rand(1, 2, 6, 7, dtype=torch.float64)
    with torch.no_grad():
        expected = model(values, mus, side)
    seen = []

    def exchange(group, logits, where):
        torch.testing.assert_close(logits, expected[group][0][where], rtol=1e-12, atol=1e-12)
        seen.append(int(where.sum()))
        return (values[group][0][where] + LEVELS[group] // 2).long()

    indices = symbols.walk(model, mus, everything, side, exchange)
    assert len(seen) == sum(PASSES)
    assert sum(seen) == sum(SIZES) * 6 * 7
    for index, value, levels in zip(indices, values, LEVELS, strict=True):
        torch.testing.assert_close(index.double() - levels // 2, value[0])


@pytest.mark.parametrize("shape", [(6, 7), (1, 1), (1, 5), (3, 2)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("residual_kernel", [1, 3])
def test_symbols_survive_coding(shape, masked, residual_kernel):
    model = build(residual_kernel)
    mus = level_values()
    torch.manual_seed(3)
    side = torch.rand(1, 2, *shape, dtype=torch.float64)
    masks = (torch.rand(sum(SIZES), *shape) < 0.6).split(SIZES)
    coded = (lambda group, before: masks[group]) if masked else everything
    wanted = [torch.full((n, *shape), q // 2) for q, n in zip(LEVELS, SIZES, strict=True)]

    def draw(group, logits, where):
        index = torch.multinomial(logits.softmax(1), 1)[:, 0]
        wanted[group][where] = index
        return index

    streams, offset, indices = symbols.encode(model, mus, coded, side, draw)
    decoded, estimate = symbols.decode(model, mus, coded, side, streams, offset)
    for index, again, want in zip(indices, decoded, wanted, strict=True):
        assert torch.equal(index, want)
        assert torch.equal(again, want)
    coded_bits = 8 * sum(map(len, streams))
    assert estimate * 0.99 <= coded_bits <= estimate * 1.01 + 32 * len(streams)
    again, none = symbols.decode(model, mus, coded, side, streams, offset, estimate=False)
    assert all(map(torch.equal, again, indices))
    assert none == 0


def test_levels_at_both_ends_may_be_left_out():
    """The rest have the logits that they have among all, and nothing else changes."""
    model, mus = build(), level_values()
    values = random_values()
    used = [q - 2 * n for q, n in zip(LEVELS, (2, 1, 0), strict=True)]
    windows = [symbols.window_of(q, few) for q, few in zip(LEVELS, used, strict=True)]
    side = torch.rand(1, 2, 6, 7, dtype=torch.float64)
    wanted = [
        (value[0] + q // 2).clamp(window.start, window.stop - 1)
        for value, q, window in zip(values, LEVELS, windows, strict=True)
    ]

    def choose(group, logits, where):
        if logits.shape[1] == LEVELS[group]:
            return wanted[group][where].long()
        return wanted[group][where].long() - windows[group].start

    def keep(group, logits, where):
        kept.append(logits)
        return choose(group, logits, where)

    kept = []
    symbols.walk(model, mus, everything, side, keep)
    whole, kept = kept, []
    indices = symbols.walk(model, mus, everything, side, keep, used=used)
    groups = [group for group, passes in enumerate(PASSES) for _ in range(passes)]
    for group, few, all_of_them in zip(groups, kept, whole, strict=True):
        torch.testing.assert_close(few, all_of_them[:, windows[group]], rtol=1e-12, atol=1e-12)
    assert all(torch.equal(a, b.long()) for a, b in zip(indices, wanted, strict=True))
    streams, offset, _ = symbols.encode(model, mus, everything, side, choose, used)
    decoded, _ = symbols.decode(model, mus, everything, side, streams, offset, used)
    assert all(map(torch.equal, decoded, indices))


@pytest.mark.parametrize("residual_kernel", [1, 3])
def test_what_is_coded_may_depend_on_the_groups_before(residual_kernel):
    """Encoder and decoder ask with the same indices; what is left out holds the zero symbol."""
    model, mus = build(residual_kernel), level_values()
    torch.manual_seed(4)
    side = torch.rand(1, 2, 5, 6, dtype=torch.float64)
    asked = []

    def coded(group, before):
        asked.append((group, len(before)))
        if group == 0:
            return None
        return (before[-1][0] != LEVELS[group - 1] // 2).expand(SIZES[group], -1, -1)

    def draw(group, logits, where):
        return torch.multinomial(logits.softmax(1), 1)[:, 0]

    streams, offset, indices = symbols.encode(model, mus, coded, side, draw)
    decoded, _ = symbols.decode(model, mus, coded, side, streams, offset)
    assert asked == [(0, 0), (1, 1), (2, 2)] * 2
    assert all(map(torch.equal, indices, decoded))
    empty = indices[1][0] == LEVELS[1] // 2
    assert 0 < int(empty.sum()) < empty.numel()
    assert (indices[2][:, empty] == LEVELS[2] // 2).all()


def test_wrong_number_of_streams_is_corrupt():
    from neurocodec.errors import CorruptStream

    model, mus = build(), level_values()
    side = torch.rand(1, 2, 4, 4, dtype=torch.float64)
    streams, offset, _ = symbols.encode(
        model, mus, everything, side, lambda group, logits, where: torch.ones(len(logits)).long()
    )
    with pytest.raises(CorruptStream, match="too few"):
        symbols.decode(model, mus, everything, side, streams[:-1], offset)
    with pytest.raises(CorruptStream, match="1 coded streams too many"):
        symbols.decode(model, mus, everything, side, (*streams, b""), offset)


def test_final_logits_are_signed_and_smooth_at_the_start():
    """The published code has a ReLU on the last logits, which forbids rare symbols."""
    layer = LevelLogits(features=4, levels=11, rank=2)
    mu = torch.arange(11.0) - 5
    with torch.no_grad():
        layer.basis.zero_()
    parameters = torch.zeros(1, 4)
    parameters[0, 0] = 2.0 / (11 / 2) * 2.0  # location 2 in units of μ
    logits = layer(parameters, mu)[0]
    assert logits.argmax() == 7
    assert logits.min() < 0
    assert (logits[:7].diff() > 0).all()
    assert (logits[7:].diff() < 0).all()
