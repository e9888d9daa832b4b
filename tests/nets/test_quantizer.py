import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocodec.nets.quantizer import GMMQuantizer


@pytest.mark.parametrize("levels", [3, 5, 7, 8])
def test_starts_as_published(levels):
    quantizer = GMMQuantizer(levels)
    assert quantizer.mu.tolist() == [k - levels // 2 for k in range(levels)]
    torch.testing.assert_close(quantizer.log_sigma.exp(), torch.full((levels,), 0.7072))
    torch.testing.assert_close(quantizer.log_pi.softmax(0), torch.full((levels,), 1 / levels))
    assert quantizer.mu[quantizer.zero] == 0


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=20))
def test_at_the_start_it_rounds_to_the_nearest_level(values):
    quantizer = GMMQuantizer(7)
    z = torch.tensor(values)
    out = quantizer(z)
    distance = (z[:, None] - quantizer.mu).abs()
    chosen = distance.gather(1, out.level[:, None])[:, 0]
    torch.testing.assert_close(chosen, distance.min(1).values)
    torch.testing.assert_close(out.values.detach(), quantizer.mu[out.level].detach())


def test_forward_is_hard_backward_is_the_responsibility_weighted_mean():
    torch.manual_seed(0)
    quantizer = GMMQuantizer(5)
    with torch.no_grad():
        quantizer.log_pi.copy_(torch.randn(5))
        quantizer.log_sigma += 0.3 * torch.randn(5)
    z = torch.randn(50, requires_grad=True)
    out = quantizer(z)
    out.values.sum().backward()
    z2 = z.detach().clone().requires_grad_()
    density = (
        quantizer.log_pi.softmax(0)
        * torch.exp(-0.5 * ((z2[:, None] - quantizer.mu) / quantizer.log_sigma.exp()) ** 2)
        / quantizer.log_sigma.exp()
    )
    soft = (density / density.sum(1, keepdim=True)) @ quantizer.mu
    soft.sum().backward()
    torch.testing.assert_close(z.grad, z2.grad, rtol=1e-4, atol=1e-5)
    assert set(out.values.detach().tolist()) <= set(quantizer.mu.tolist())


def test_all_three_mixture_parameters_learn():
    quantizer = GMMQuantizer(5)
    out = quantizer(torch.linspace(-3, 3, 40))
    ((out.values - 0.3) ** 2).sum().backward()
    for parameter in (quantizer.mu, quantizer.log_sigma, quantizer.log_pi):
        assert parameter.grad.abs().max() > 0


def test_likelihood_is_that_of_the_mixture():
    quantizer = GMMQuantizer(3)
    expected = sum(math.exp(-0.5 * ((0.4 - mu) / 0.7072) ** 2) / 0.7072 / 3 for mu in (-1, 0, 1))
    got = quantizer(torch.tensor([0.4])).log_likelihood.item()
    assert got == pytest.approx(math.log(expected), rel=1e-5)  # up to the constant −½ log 2π


def test_a_likely_level_attracts():
    quantizer = GMMQuantizer(3)
    with torch.no_grad():
        quantizer.log_pi[1] += 2.0
    assert quantizer(torch.tensor([0.6])).level.item() == 1
