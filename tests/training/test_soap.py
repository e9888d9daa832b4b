import copy

import pytest
import torch
from torch import nn

from neurocodec.training import soap
from neurocodec.training.soap import Soap
from tests.training.conftest import least_squares


def steps(gradients: list[torch.Tensor]) -> torch.Tensor:
    """Where a kernel of zeros is after them."""
    weight = nn.Parameter(torch.zeros(*gradients[0].shape, 1, 1, dtype=gradients[0].dtype))
    optimizer = Soap([weight], lr=0.1)
    for gradient in gradients:
        weight.grad = gradient[..., None, None]
        optimizer.step()
    return weight.detach()[..., 0, 0]


def test_rotated_gradients_give_rotated_steps():
    """What Adam's steps are not: they depend on the axes."""
    torch.manual_seed(0)
    rows, columns = (torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q for n in (5, 5))
    gradients = [torch.randn(5, 5, dtype=torch.float64) for _ in range(25)]
    turned = [rows @ gradient @ columns for gradient in gradients]
    torch.testing.assert_close(steps(turned), rows @ steps(gradients) @ columns)


def test_in_its_own_basis_it_is_adam(monkeypatch):
    monkeypatch.setattr(soap, "LARGEST", 0)
    torch.manual_seed(0)
    gradients = [torch.randn(4, 3) for _ in range(6)]
    weight = nn.Parameter(torch.zeros(4, 3))
    adam = torch.optim.Adam([weight], lr=0.1, betas=(soap.BETA, soap.BETA))
    for gradient in gradients[1:]:  # the first only finds the basis
        weight.grad = gradient
        adam.step()
    torch.testing.assert_close(steps(gradients), weight.detach())


def test_the_basis_follows():
    """Of gradients that change along two directions, one of them ten times as much."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(6, 6)).Q
    strengths = torch.tensor([10.0, 1.0, 0.1, 0.1, 0.1, 0.1])
    weight = nn.Parameter(torch.zeros(6, 40, 1, 1))
    optimizer = Soap([weight])
    for step in range(80):
        drawn = (
            torch.randn(6, 40) if step < 20 else basis @ (strengths[:, None] * torch.randn(6, 40))
        )
        weight.grad = drawn[..., None, None]
        optimizer.step()
    found = optimizer.state[weight]["rows_basis"]
    torch.testing.assert_close((found.T @ basis).abs()[:2, :2], torch.eye(2), atol=0.05, rtol=0)


@pytest.mark.parametrize("largest", [600, 100])
def test_it_finds_the_least_squares_of_a_convolution(largest, monkeypatch):
    monkeypatch.setattr(soap, "LARGEST", largest)
    losses = least_squares(Soap)
    assert losses[-1] < 1e-2 * losses[0]


def test_its_state_is_saved():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.ones(16, 4, 3, 3))
    optimizer = Soap([weight], lr=0.01)
    twin = nn.Parameter(weight.detach().clone())
    other = Soap([twin], lr=0.01)
    gradients = torch.randn(24, *weight.shape)
    for number, gradient in enumerate(gradients):
        weight.grad = gradient
        optimizer.step()
        if number == 11:
            with torch.no_grad():
                twin.copy_(weight)
            other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        if number > 11:
            twin.grad = gradient
            other.step()
    assert torch.equal(weight, twin)
    before = weight.detach().clone()
    weight.grad = None
    optimizer.step()
    assert torch.equal(weight, before)
