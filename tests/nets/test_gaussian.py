"""What a mixture says of integers: against the coder's tables and against noise."""

import math

import pytest
import torch

from neurocodec import coding
from neurocodec.coding.cdf import frequencies
from neurocodec.nets import gaussian


def mixtures(count: int, components: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(3, count, components, generator=generator, dtype=torch.float64)
    return torch.cat([parts[0], 3 * parts[1], 0.7 * parts[2]], dim=1)


def test_parameters_scale_with_the_channel():
    raw = torch.zeros(1, 3 * 2 * 2, 1, 1)
    raw[0, 2:4] = 0.5  # means of the first channel
    unit = torch.tensor([1.0, 8.0]).view(1, 2, 1, 1)
    got = gaussian.parameters(raw, unit)
    assert got.shape == (1, 2, 1, 1, 6)
    log8 = math.log(8)
    expected = [[0, 0, 0.5, 0.5, -1, 0], [0, 0, 0, 0, log8 - 1, log8]]
    torch.testing.assert_close(got[0, :, 0, 0], torch.tensor(expected))
    raw[0, 6 + 2 : 6 + 4] = 0.5
    torch.testing.assert_close(gaussian.parameters(raw, unit)[0, 1, 0, 0, 2], torch.tensor(4.0))


def test_scales_stay_on_the_grid_of_the_coder():
    raw = torch.full((1, 3, 1, 1), 50.0)
    assert gaussian.parameters(raw, torch.ones(1, 1, 1, 1)).flatten()[2] == 6.0
    assert gaussian.parameters(-raw, torch.ones(1, 1, 1, 1)).flatten()[2] == -2.5
    low, high = coding.mixture.SCALES
    assert low * coding.mixture.SCALE_STEP == -2.5
    assert high * coding.mixture.SCALE_STEP == 6.0


@pytest.mark.parametrize("components", [1, 2, 3])
def test_bits_are_those_the_coder_spends(components):
    """Snapping costs well below the 0.3 % that the project allows."""
    parameters = mixtures(4000, components)
    generator = torch.Generator().manual_seed(1)
    weight, mean, scale = parameters.chunk(3, dim=1)
    which = torch.multinomial(weight.exp(), 1, generator=generator)
    noise = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    values = (mean.gather(1, which) + scale.gather(1, which).exp() * noise)[:, 0].round()
    estimate = float(gaussian.bits(parameters, values).sum())
    indices = coding.snap(parameters.numpy() * coding.grid_units(components))
    centre = coding.centres(indices)
    symbols = values.numpy() - centre
    levels = 2 * int(abs(symbols).max()) + 1
    cdf = coding.cdf_from_mixture(indices, centre, levels)
    counts = frequencies(cdf, (symbols + levels // 2).astype("int16"))
    coded = float((16 - torch.from_numpy(counts).double().log2()).sum())
    assert coded == pytest.approx(estimate, rel=3e-3)


def test_bits_of_known_gaussians():
    parameters = torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, -2.5]])
    got = gaussian.bits(parameters, torch.tensor([0.0, 3.0, 0.0]))
    central = math.erf(0.5 / math.sqrt(2))
    next_to = (math.erf(1.5 / math.sqrt(2)) - central) / 2
    assert got[0].item() == pytest.approx(-math.log2(central), rel=1e-3)
    assert got[1].item() == pytest.approx(-math.log2(next_to), rel=1e-3)
    assert got[2].item() == pytest.approx(0, abs=1e-4)


def test_no_symbol_costs_more_than_its_one_count():
    got = gaussian.bits(torch.tensor([[0.0, 0.0, -2.0]]), torch.tensor([300.0]))
    assert got.item() == pytest.approx(16, abs=1e-3)


def test_gradient_is_that_of_noisy_information():
    """∂/∂y E[information of y + u], u uniform in ±1/2, by quadrature."""
    parameters = mixtures(20, 2).float()
    latent = torch.linspace(-2, 2, 20, requires_grad=True)
    gaussian.bits(parameters, latent).sum().backward()
    noise = torch.linspace(-0.5, 0.5, 2001)

    def noisy(shift):
        y = latent.detach()[:, None] + shift + noise
        weight, mean, scale = (p[:, None] for p in parameters.chunk(3, dim=1))
        inverse = torch.exp(-scale)
        return gaussian._information(
            y[..., None] - mean, inverse, torch.softmax(weight, dim=-1)
        ).mean(dim=1)

    expected = (noisy(1e-2) - noisy(-1e-2)) / 2e-2
    torch.testing.assert_close(latent.grad, expected, atol=2e-2, rtol=2e-2)


def test_what_rounds_to_zero_is_still_drawn_to_it():
    latent = torch.tensor([0.4, -0.4, 0.0], requires_grad=True)
    gaussian.bits(torch.tensor([[0.0, 0.0, -1.5]]).expand(3, 3), latent).sum().backward()
    assert latent.grad[0] > 1
    assert latent.grad[1] < -1
    assert latent.grad[2].abs() < 1e-5


def test_outliers_find_their_way_back():
    latent = torch.tensor([200.0, -200.0], requires_grad=True)
    gaussian.bits(torch.tensor([[0.0, 0.0, -2.0]]).expand(2, 3), latent).sum().backward()
    assert latent.grad.tolist() == [gaussian.OUTLIER / 2, -gaussian.OUTLIER / 2]


def test_mixtures_learn_from_the_integers():
    """The likeliest scale of standard normal integers is found by its own gradient."""
    torch.manual_seed(0)
    values = torch.randn(2000).mul(2).round()
    scale = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([scale], lr=0.05)
    for _ in range(150):
        parameters = torch.cat([torch.zeros(2), scale]).expand(2000, 3)
        loss = gaussian.bits(parameters, values).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert scale.exp().item() == pytest.approx(2, rel=0.05)
