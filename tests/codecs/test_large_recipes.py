"""The published sizes are too large to train here; they must build, take a step and round-trip."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurocodec import container, zoo
from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.image import open_photo
from neurocodec.training import recipe
from neurocodec.training.run import Trainer
from tests.training.conftest import draw_photo


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [("paper", "sigmoid"), ("thesis", "deep-softmax")])
def test_large_recipe_steps_and_round_trips(name, form):
    config = recipe.load(zoo.folder() / "cvqn" / f"{name}.yaml")
    assert config.model.attention == form
    config = replace(config, data=recipe.DataConfig(crop=176, batch=1, validation=0))
    photo = torch.from_numpy(np.asarray(draw_photo(0)).transpose(2, 0, 1).copy())
    trainer = Trainer(config, [photo])
    before = trainer.model.decoder.tail.weight.clone()
    shown = trainer.advance()
    assert np.isfinite(shown["loss"])
    assert shown["bpp"] > 0
    assert not torch.equal(before, trainer.model.decoder.tail.weight)

    model = trainer.model
    del trainer
    gc.collect()
    codec = CVQNCodec(model, name=name, wire_id=901)
    image = draw_photo(1, 40, 24)
    data = codec.encode(image, 50)
    groups = container.read(data).header.groups
    assert [group.size for group in groups] == [8, 16, 8]
    assert all(
        group.levels in range(3, most + 1, 2) for group, most in zip(groups, (3, 5, 7), strict=True)
    )
    coded = codec.attempt(codec.prepare(open_photo(image)), 50)
    expected = coded.pixels()
    assert np.array_equal(np.asarray(codec.decode(data)), expected)
