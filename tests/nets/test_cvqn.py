"""CVQN's transforms before any training: the linear path and its overlap."""

import pytest
import torch

from neurocodec.nets.context import ContextConfig
from neurocodec.nets.cvqn import CVQN, CVQNConfig

WHOLE = {
    "channels": 768,  # every coefficient of three planes' 16×16 blocks
    "encoder_features": (2, 2, 4, 4),
    "decoder_features": (2, 2, 4, 4),
    "groups": (768,),
    "levels": (3,),
    "context": ContextConfig(passes=(1,), features=1, hidden=1),
}


def build(**changes) -> CVQN:
    torch.manual_seed(1)
    return CVQN(CVQNConfig(**{**WHOLE, **changes})).eval().requires_grad_(False)


def waves() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    small = torch.rand(1, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(small, (64, 96), mode="bicubic")


@pytest.mark.parametrize("strength", [0.0, 0.15, 1.0])
def test_overlap_is_of_both_sides(strength):
    """Without companding, which is undone only about, the linear path gives back its input."""
    x, quality = waves(), torch.tensor([50.0])
    model = build(overlap=strength, companding=0.0)
    latent, _ = model.analyse(x)
    torch.testing.assert_close(model.synthesise(latent, quality), x, atol=1e-4, rtol=0)
    moved = (latent - build(companding=0.0).analyse(x)[0]).abs().max()
    assert moved == 0 if strength == 0 else moved > 0.01


def test_overlap_without_blocks_is_refused():
    with pytest.raises(ValueError, match="linear_path"):
        CVQNConfig(overlap=0.2, linear_path=False)
