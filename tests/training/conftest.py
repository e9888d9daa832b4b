import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

TINY = {
    "name": "tiny",
    "wire_id": 999,
    "model": {
        "channels": 12,
        "encoder_features": [2, 2, 4, 4],
        "decoder_features": [2, 2, 4, 4],
        "groups": [2, 6, 4],
        "levels": [15, 7, 5],
        "map_levels": 4,
        "context": {"passes": [3, 2, 2], "features": 4, "hidden": 8},
    },
    "data": {"crop": 176, "batch": 2, "validation": 1},
    "optimizer": {"transforms": 1e-3, "context": 1e-2, "gains": 1e-2, "schedule": "cosine"},
    "steps": 6,
    "validate_every": 3,
    "checkpoint_every": 100,
}


def least_squares(make) -> list[float]:
    """Losses on the way to a convolution, by the optimizer that ``make`` makes of parameters."""
    torch.manual_seed(0)
    target = nn.Conv2d(16, 16, 3, bias=False)
    learner = nn.Conv2d(16, 16, 3, bias=False)
    optimizer = make(learner.parameters(), lr=0.02)
    x = torch.randn(8, 16, 10, 10)
    losses = []
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 120)
        loss = (learner(x) - target(x)).square().mean()
        learner.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def draw_photo(seed: int, width: int = 272, height: int = 260) -> Image.Image:
    """Smooth shapes with some texture: enough structure for a loss to fall on."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 64
    planes = [
        128 + 40 * np.sin(x * a + y * b + c) + rng.normal(0, 3, x.shape)
        for a, b, c in rng.uniform(0.3, 3, (3, 3))
    ]
    return Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(4):
        draw_photo(seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path
