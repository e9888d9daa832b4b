"""CVQN's share of the loop: beginning with the weights of a model of fewer groups."""

import dataclasses

import pytest
import torch

from neurocodec.errors import InvalidArgument
from neurocodec.nets.cvqn import CVQN
from neurocodec.nets.overlap import border_filter
from neurocodec.training import recipe
from neurocodec.training.cvqn import CVQNSystem, grows_from
from neurocodec.training.system import VALIDATION_QUALITIES, stratified
from tests.training.conftest import TINY

SMALL = recipe.build(TINY).model
LARGE = dataclasses.replace(
    SMALL,
    channels=18,
    groups=(2, 6, 4, 6),
    levels=(15, 7, 5, 3),
    context=dataclasses.replace(SMALL.context, passes=(3, 2, 2, 2)),
)


def trained(config) -> CVQN:
    """Networks none of whose parameters is where it began."""
    torch.manual_seed(1)
    model = CVQN(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return model


@pytest.fixture
def grown() -> tuple[CVQN, CVQN, dict]:
    """The small model, the large one that began with it, and what that was before."""
    small = trained(SMALL)
    system = CVQNSystem(recipe.build({**TINY, "model": {**TINY["model"], **APPENDED}}))
    assert system.config.model == LARGE
    torch.manual_seed(2)
    large = system.build().eval()
    before = {name: value.clone() for name, value in large.state_dict().items()}
    system.begin(large, small, "weights")
    return small, large, before


APPENDED = {
    "channels": 18,
    "groups": [2, 6, 4, 6],
    "levels": [15, 7, 5, 3],
    "context": {**TINY["model"]["context"], "passes": [3, 2, 2, 2]},
}


@torch.no_grad()
def test_appended_groups_leave_the_outputs_of_the_old_ones(grown):
    small, large, _ = grown
    torch.manual_seed(3)
    x = torch.rand(2, 3, 48, 64)
    # A picture's contrast is that of all channels: what the new ones add to it is put aside.
    large.compand.log_gamma[:, 12:] = -40
    old, importance = small.analyse(x)
    new, again = large.analyse(x)
    torch.testing.assert_close(new[:, :12], old)
    torch.testing.assert_close(again, importance)
    quality = torch.tensor([20.0, 80.0])
    torch.testing.assert_close(large.gain(quality)[:, :12], small.gain(quality))
    zeros = torch.zeros(2, 6, 3, 4)
    torch.testing.assert_close(
        large.synthesise(torch.cat([old, zeros], 1), quality), small.synthesise(old, quality)
    )
    values = [torch.randint(-1, 2, (2, n, 3, 4)).float() for n in LARGE.groups]
    side = torch.rand(2, 2, 3, 4)
    mus = [quantizer.mu for quantizer in large.levels]
    expected = small.context(values[:3], mus[:3], side)
    for found, logits in zip(large.context(values, mus, side), expected, strict=False):
        torch.testing.assert_close(found, logits)


def test_the_new_groups_begin_afresh(grown):
    small, large, before = grown
    after = large.state_dict()
    for name, value in before.items():
        old = small.state_dict().get(name)
        if old is None:
            assert name.startswith(("quantizers.3", "context.groups.3"))
            assert torch.equal(after[name], value)
            continue
        taken = torch.zeros_like(value, dtype=torch.bool)
        taken[tuple(slice(size) for size in old.shape)] = True
        assert torch.equal(after[name][taken], old.flatten()), name
        assert torch.equal(after[name][~taken], value[~taken]), name


@torch.no_grad()
def test_further_levels_leave_those_there_were_as_they_are():
    small = trained(SMALL)
    assert SMALL.levels == (15, 7, 5)
    system = CVQNSystem(recipe.build({**TINY, "model": {**TINY["model"], "levels": [45, 21, 15]}}))
    large = system.build().eval()
    system.begin(large, small, "weights")
    values = [torch.randint(-1, 2, (2, n, 3, 4)).float() for n in SMALL.groups]
    side = torch.rand(2, 2, 3, 4)
    pairs = list(zip(small.levels, large.levels, strict=True))
    expected = small.context(values, [old.mu for old, _ in pairs], side)
    found = large.context(values, [new.mu for _, new in pairs], side)
    for less, more, (old, new) in zip(expected, found, pairs, strict=True):
        torch.testing.assert_close(more[..., old.levels : 2 * old.levels], less)
        torch.testing.assert_close(new.mu[old.levels : 2 * old.levels], old.mu)
        # As far apart as the outermost two were, and as likely as the last.
        torch.testing.assert_close(
            new.mu.diff()[: old.levels], old.mu.diff()[:1].expand(old.levels)
        )
        torch.testing.assert_close(
            new.mu.diff()[-old.levels :], old.mu.diff()[-1:].expand(old.levels)
        )
        assert torch.equal(new.log_sigma[-old.levels :], old.log_sigma[-1:].expand(old.levels))
        # A value between two inner levels is quantized as it was, one beyond them no longer cut.
        inner = torch.linspace(float(old.mu[1]), float(old.mu[-2]), 50)
        torch.testing.assert_close(new(inner).values, old(inner).values)
        assert new(2 * old.mu[-1]).values > 1.5 * old.mu[-1]


def test_more_levels_in_one_group_alone_are_taken_as_well():
    small = trained(SMALL)
    wider = recipe.build({**TINY, "model": {**TINY["model"], "levels": [15, 11, 5]}})
    assert grows_from(wider.model, SMALL)
    assert not grows_from(SMALL, wider.model)
    large = CVQNSystem(wider).build()
    CVQNSystem(wider).begin(large, small, "weights")
    mine, theirs = large.state_dict(), small.state_dict()
    first, third = (f"context.groups.{index}.condition.0.weight" for index in (0, 2))
    assert torch.equal(mine[first], theirs[first])
    # Of what the third group's model reads, the six channels of the second group alone grew.
    torch.testing.assert_close(mine[third][:, 2:8], theirs[third][:, 2:8] * 11 / 7)
    assert torch.equal(mine[third][:, :2], theirs[third][:, :2])
    assert torch.equal(mine[third][:, 8:], theirs[third][:, 8:])


DEEPER = {"encoder_blocks": [1, 2, 1, 1], "decoder_blocks": [2, 1, 1, 3], "quality_input": True}


@torch.no_grad()
def test_appended_blocks_and_the_decoders_gains_change_nothing_yet():
    small = trained(SMALL)
    system = CVQNSystem(recipe.build({**TINY, "model": {**TINY["model"], **DEEPER}}))
    deeper = system.build().eval()
    system.begin(deeper, small, "weights")
    x, quality = torch.rand(2, 3, 48, 64), torch.tensor([3.0, 90.0])
    old, new = small(x, quality), deeper(x, quality)
    torch.testing.assert_close(new.x_hat, old.x_hat)
    torch.testing.assert_close(new.bits, old.bits)
    # They are there: what they do shows as soon as they are trained.
    deeper.decoder.group_gains[1].log_gain += 0.5
    assert not torch.allclose(deeper(x, quality).x_hat, old.x_hat, atol=1e-4)


@pytest.mark.parametrize("change", DEEPER)
def test_blocks_and_gains_are_not_lost(change):
    deeper = recipe.build({**TINY, "model": {**TINY["model"], change: DEEPER[change]}}).model
    assert grows_from(deeper, SMALL)
    assert not grows_from(SMALL, deeper)


@torch.no_grad()
def test_overlap_begins_at_its_strength_and_stays_where_it_was_learned():
    linear = {**TINY["model"], "linear_path": True}
    plain = recipe.build({**TINY, "model": linear})
    lapped = recipe.build({**TINY, "model": {**linear, "overlap": 0.3}})
    small = trained(plain.model)
    system = CVQNSystem(lapped)
    model = system.build()
    system.begin(model, small, "weights")
    torch.testing.assert_close(model.pre_filter.matrix, border_filter(0.3).float())
    torch.testing.assert_close(model.post_filter.matrix, border_filter(0.3).T.float())
    torch.testing.assert_close(model.analysis_basis, small.analysis_basis)
    learned = trained(lapped.model)
    system.begin(model, learned, "weights")
    torch.testing.assert_close(model.post_filter.matrix, learned.post_filter.matrix)
    assert not grows_from(plain.model, lapped.model)
    assert not grows_from(dataclasses.replace(lapped.model, overlap=0.2), lapped.model)


@pytest.mark.parametrize(
    "change",
    [
        {"gdn": False},
        {"encoder_features": (2, 2, 4, 5)},
        {"map_levels": 0},
        {"importance": "re"},
        {"groups": (6, 2, 4, 6), "levels": (7, 15, 5, 3)},
        {"levels": (15, 7, 6, 3)},
        {"levels": (15, 7, 3, 3)},
        {"context": dataclasses.replace(LARGE.context, passes=(3, 3, 2, 2))},
        {"context": dataclasses.replace(LARGE.context, hidden=9)},
    ],
)
def test_nothing_else_may_differ(change):
    other = dataclasses.replace(LARGE, **change)
    assert not grows_from(other, SMALL)
    system = CVQNSystem(recipe.build(TINY))
    with pytest.raises(InvalidArgument, match="there holds networks of another shape"):
        system.begin(CVQN(other), CVQN(SMALL), "there")


def test_a_model_grows_from_itself_but_does_not_shrink():
    assert grows_from(LARGE, SMALL)
    assert grows_from(SMALL, SMALL)
    assert not grows_from(SMALL, LARGE)


def test_every_parameter_has_a_rate():
    system = CVQNSystem(recipe.build(TINY))
    rates = {name: system.part(name) for name, _ in system.build().named_parameters()}
    assert set(rates.values()) == {"transforms", "context", "gains", "quantizer", "spread"}
    assert rates["quantizers.0.mu"] == "quantizer"
    assert rates["quantizers.0.log_sigma"] == rates["quantizers.2.log_pi"] == "spread"
    assert rates["inverse_gain.log_gain"] == "gains"
    assert system.part("decoder.group_gains.0.log_gain") == "gains"
    assert rates["encoder.head.weight"] == "transforms"
    assert system.part("pre_filter.matrix") == system.part("post_filter.matrix") == "gains"


@torch.no_grad()
def test_judging_gives_a_row_a_quality_and_more_bits_to_more_of_it():
    system = CVQNSystem(recipe.build(TINY))
    torch.manual_seed(0)
    rows = system.judge(system.build().eval(), torch.rand(1, 3, 176, 176))
    assert [row["quality"] for row in rows] == list(VALIDATION_QUALITIES)
    bits = [row["bpp"] for row in rows]
    assert bits == sorted(bits)
    assert all(0 < row["ms_ssim"] < 1 and row["psnr"] > 0 for row in rows)


@torch.no_grad()
@pytest.mark.parametrize(("share", "expected"), [(0.0, False), (0.05, False), (1.0, True)])
def test_the_map_is_judged_where_it_is_trained(share, expected):
    system = CVQNSystem(recipe.build({**TINY, "map_share": share}))
    seen = []

    def watch(x, quality, use_map):
        seen.append(use_map.tolist())
        return model(x, quality, use_map)

    model = system.build().eval()
    system.judge(watch, torch.rand(2, 3, 176, 176))
    assert seen == [[expected] * 2] * len(VALIDATION_QUALITIES)


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_qualities_of_a_batch_are_spread_over_the_range(batch):
    generator = torch.Generator().manual_seed(5)
    for _ in range(20):
        quality = stratified(batch, generator)
        share = (quality - 1) / 99 * batch
        assert share.floor().tolist() == list(range(batch))


def test_a_power_draws_low_qualities_more_often():
    evenly = stratified(1000, torch.Generator().manual_seed(5))
    quality = stratified(1000, torch.Generator().manual_seed(5), power=2.0)
    torch.testing.assert_close((quality - 1) / 99, ((evenly - 1) / 99) ** 2)
    assert quality.median() == pytest.approx(1 + 99 / 4, abs=0.5)
