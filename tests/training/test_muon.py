import pytest
import torch
from torch import nn

from neurocodec.training.kernels import suits
from neurocodec.training.muon import Muon, orthogonalise
from tests.training.conftest import least_squares


@pytest.mark.parametrize("shape", [(16, 144), (64, 32), (20, 20)])
def test_singular_values_become_alike(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    got = orthogonalise(matrix)
    values = torch.linalg.svdvals(got)
    assert got.shape == shape
    assert values.min() > 0.6
    assert values.max() < 1.3
    # Same singular vectors: the nearest orthogonal matrix, up to those values.
    assert (got - u @ v).norm() / (u @ v).norm() < 0.35


def test_kernels_of_large_convolutions_are_meant():
    assert suits(nn.Conv2d(16, 16, 3).weight)
    assert suits(nn.Conv2d(2, 16, 3).weight)  # 16 rows, 18 columns
    assert not suits(nn.Conv2d(16, 8, 3).weight)
    assert not suits(nn.Linear(64, 64).weight)
    assert not suits(nn.Conv2d(16, 16, 3).bias)


def test_a_step_has_the_size_of_adams():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(32, 16, 3, 3))
    optimizer = Muon([weight], lr=1e-2)
    weight.grad = torch.randn_like(weight)
    optimizer.step()
    # Root mean square 0.2 times the rate, whatever the gradient's size.
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.2e-2, rel=0.2)
    unused = nn.Parameter(torch.ones(16, 16, 1, 1))
    Muon([unused], lr=1.0).step()
    assert torch.equal(unused, torch.ones(16, 16, 1, 1))


def test_it_finds_the_least_squares_of_a_convolution():
    losses = least_squares(Muon)
    assert losses[-1] < 1e-2 * losses[0]


def test_its_state_is_saved():
    weight = nn.Parameter(torch.ones(16, 16, 1, 1))
    optimizer = Muon([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    other = Muon([nn.Parameter(torch.ones(16, 16, 1, 1))])
    other.load_state_dict(optimizer.state_dict())
    momentum = next(iter(other.state.values()))["momentum"]
    assert torch.equal(momentum, optimizer.state[weight]["momentum"])
