import pytest
import torch

from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.nets.cvqn import CVQN, ContextConfig, CVQNConfig

DIGEST = b"\x01\x02\x03\x04"


class Ramp(torch.nn.Module):
    """An importance that grows from left to right: an untrained map would be uniform."""

    def forward(self, features):
        batch, _, rows, cols = features.shape
        return torch.linspace(-3, 3, cols).expand(batch, 1, rows, cols)


def build(**changes) -> CVQNCodec:
    """A codec that works untrained: its linear path is a block transform."""
    torch.manual_seed(0)
    config = CVQNConfig(
        **{
            "channels": 24,
            "encoder_features": (2, 2, 4, 4),
            "decoder_features": (2, 2, 4, 4),
            "groups": (3, 9, 12),
            "levels": (127, 63, 31),
            "gain_span": 1.6,
            "map_levels": 4,
            "context": ContextConfig(passes=(5, 3, 2), features=4, hidden=8),
            **changes,
        }
    )
    model = CVQN(config)
    if model.map is not None:
        model.map.body = Ramp()
    return CVQNCodec(model, name="tiny", wire_id=900, digest=DIGEST, rate_aware=0.0)


@pytest.fixture(scope="session")
def codec() -> CVQNCodec:
    return build()
