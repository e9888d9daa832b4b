import math
from fractions import Fraction

import pytest
import torch

from neurocodec.nets.importance import ChannelImportance, ImportanceMap, channel_counts


def test_predefined_is_the_channels_own_order():
    x = torch.randn(2, 6, 3, 3)
    latent, order = ChannelImportance(6)(x)
    assert latent is x
    assert order.tolist() == [0, 1, 2, 3, 4, 5]


def test_se_orders_by_the_batch_average_and_scales():
    torch.manual_seed(3)
    importance = ChannelImportance(8, "se")
    x = torch.randn(3, 8, 4, 4)
    latent, order = importance(x)
    weight = importance.excite(x.abs().mean((2, 3)))
    torch.testing.assert_close(latent, x * 2 * weight[:, :, None, None])
    mean = weight.mean(0)
    assert (mean[order][1:] <= mean[order][:-1]).all()
    latent.square().sum().backward()
    assert importance.excite[2].weight.grad.abs().max() > 0


def test_re_orders_by_its_stored_weights():
    importance = ChannelImportance(4, "re")
    importance.weight.copy_(torch.tensor([0.1, 0.4, 0.2, 0.3]))
    assert importance(torch.randn(1, 4, 2, 2))[1].tolist() == [1, 3, 2, 0]


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match="'random'"):
        ChannelImportance(4, "random")  # type: ignore[arg-type]


def test_counts_grow_quadratically_to_all_channels():
    assert channel_counts(160, 8).tolist() == [3, 10, 23, 40, 63, 90, 123, 160]
    assert channel_counts(256, 8).tolist() == [4, 16, 36, 64, 100, 144, 196, 256]  # as shipped
    assert channel_counts(32, 1).tolist() == [32]


@pytest.mark.parametrize("levels", range(2, 17))
def test_counts_are_exact(levels):
    for channels in range(1, 257):  # of 25 and 5 levels, the first has one channel, not two
        exact = [math.ceil(channels * Fraction(n, levels) ** 2) for n in range(1, levels + 1)]
        assert channel_counts(channels, levels).tolist() == exact


def test_map_masks_the_trailing_channels():
    module = ImportanceMap(features=16, channels=160, levels=8)
    importance = torch.tensor([0.01, 0.126, 0.99]).view(1, 1, 1, 3)
    level = module.level(importance)
    assert level.flatten().tolist() == [0, 1, 7]
    mask = module.mask(level)
    assert mask.sum(1).flatten().tolist() == [3, 10, 160]
    assert mask[0, :3].all()


def test_soft_mask_is_hard_forward_and_argues_backward():
    module = ImportanceMap(features=16, channels=32, levels=8)
    importance = torch.full((1, 1, 2, 2), 0.6, requires_grad=True)
    soft = module.soft_mask(importance)
    hard = module.mask(module.level(importance))
    torch.testing.assert_close(soft.detach(), hard.float())
    soft.sum().backward()
    assert (importance.grad > 0).all()


def test_map_starts_near_everything_in_open_unit_interval():
    torch.manual_seed(0)
    module = ImportanceMap(features=16, channels=32, levels=8)
    out = module(torch.randn(1, 16, 5, 5))
    assert out.shape == (1, 1, 5, 5)
    assert (module.level(out) == 7).all()
    assert (out < 1).all()
