import pytest
import torch

from neurocodec.nets.cvqn import Output
from neurocodec.training.cvqn import map_penalty
from neurocodec.training.loss import distortion_weight, rate_distortion
from neurocodec.training.recipe import LossConfig


def test_weight_is_geometric_in_quality():
    config = LossConfig(weight=(2.0, 128.0))
    got = distortion_weight(torch.tensor([1.0, 50.5, 100.0]), config)
    torch.testing.assert_close(got, torch.tensor([2.0, 16.0, 128.0]))


def test_mse_loss_adds_up():
    x = torch.full((2, 3, 8, 8), 0.5)
    config = LossConfig(distortion="mse", weight=(0.01, 0.01), balance=0.0)
    bits, quality = torch.tensor([64.0, 128.0]), torch.tensor([1.0, 100.0])
    losses = rate_distortion(x, x + 0.1, bits, quality, config, penalty=0.07)
    torch.testing.assert_close(losses.bpp, torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(losses.psnr, torch.tensor([20.0, 20.0]))
    expected = 0.01 * 0.01 * 255**2 + 1.5 + 0.07
    assert losses.total.item() == pytest.approx(expected, rel=1e-4)


def test_ms_ssim_loss_vanishes_for_the_same_image_and_rate_remains():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 176, 176)
    config = LossConfig(weight=(64.0, 64.0), balance=0.0)
    bits = torch.tensor([176.0 * 176])
    quality = torch.tensor([50.0])
    same = rate_distortion(x, x, bits, quality, config)
    assert same.total.item() == pytest.approx(1.0, abs=1e-4)
    worse = rate_distortion(x, x.roll(1, 2), bits, quality, config)
    assert worse.total.item() == pytest.approx(1 + 64 * (1 - worse.ms_ssim.item()), rel=1e-4)


def test_balance_evens_out_rates_and_keeps_the_middle():
    x = torch.full((1, 3, 8, 8), 0.5)
    base = LossConfig(distortion="mse", weight=(1.0, 100.0), balance=0.0)
    balanced = LossConfig(distortion="mse", weight=(1.0, 100.0), balance=0.5)
    for quality, factor in [(1.0, 10**0.5), (50.5, 1.0), (100.0, 10**-0.5)]:
        arguments = (x, x, torch.tensor([64.0]), torch.tensor([quality]))
        ratio = (
            rate_distortion(*arguments, balanced).total / rate_distortion(*arguments, base).total
        )
        assert ratio.item() == pytest.approx(factor, rel=1e-4)


def test_rough_maps_pay_for_their_bytes():
    x = torch.full((1, 3, 32, 32), 0.5)
    config = LossConfig(map_smoothness=4.0)

    def penalty(importance):
        bits = torch.zeros(1)
        return map_penalty(Output(x, bits, bits[:, None], bits, importance), x, config).item()

    assert penalty(None) == 0
    assert penalty(torch.full((1, 1, 2, 2), 0.5)) == 0
    rough = torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
    assert penalty(rough) == pytest.approx(4.0 * 4 / 1024)
