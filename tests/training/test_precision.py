"""Mixed precision: lower in residual blocks, nowhere else."""

import copy

import pytest
import torch

from neurocodec.nets.attention import ResidualGroup
from neurocodec.nets.comrec import Block
from neurocodec.nets.vae import VAE, Residual, VAEConfig
from neurocodec.training import data, recipe
from neurocodec.training.precision import in_bfloat16
from neurocodec.training.run import Trainer
from tests.training.conftest import TINY

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("block", "more"),
    [(Residual(8), ()), (Block(8), (torch.rand(1, 32),)), (ResidualGroup(8, 1), ())],
)
@torch.no_grad()
def test_blocks_take_and_give_single_precision(block, more):
    torch.manual_seed(1)
    x = torch.randn(1, 8, 12, 12)
    exact = block(x, *more)
    lowered = copy.deepcopy(block)
    in_bfloat16(lowered, CPU)
    found = lowered(x, *more)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    error = (found - exact).norm() / (exact - x).norm()
    assert error < 0.02  # bfloat16 has eight bits
    assert torch.equal(block(x, *more), exact)  # the one that was copied is as it was


@torch.no_grad()
def test_what_is_no_residual_stays_exact():
    """Before training the blocks of a VAE add nothing, so that its linear path is all there is."""
    torch.manual_seed(2)
    config = VAEConfig(
        groups=(3, 9), passes=(2, 1), hyper=4, features=8, hidden=8, analysis=(8, 8),
        synthesis=(8, 8), blocks=(1, 1), deeper=(1, 1), overlap=0.3, companding=0.2,
    )  # fmt: skip
    model = VAE(config).eval()
    lowered = copy.deepcopy(model)
    in_bfloat16(lowered, CPU)
    x, quality = torch.rand(1, 3, 64, 64), torch.tensor([60.0])
    networks = (model, lowered)
    for network in networks:
        torch.nn.init.zeros_(network.synthesis.restore.tail.weight)
    outputs = [
        m(x, quality, lambda hyper: (hyper, torch.ones_like(hyper))) for m in (model, lowered)
    ]
    assert torch.equal(outputs[0].bits, outputs[1].bits)
    assert torch.equal(outputs[0].x_hat, outputs[1].x_hat)


@pytest.mark.slow
def test_a_recipe_may_ask_for_it(photos):
    found = []
    for precision in ("float32", "bfloat16"):
        config = recipe.build({**TINY, "precision": precision})
        trainer = Trainer(config, data.decode(data.list_photos([photos]), 176))
        losses = [trainer.advance()["loss"] for _ in range(4)]
        assert losses[-1] < losses[0]
        state = trainer.model.state_dict()
        assert {value.dtype for value in state.values() if value.is_floating_point()} == {
            torch.float32
        }
        assert len(trainer.validate()) == 5
        found.append(losses)
    assert found[0][0] == pytest.approx(found[1][0], rel=0.02)
    assert found[0] != found[1]
