"""The guard of the grid at work in a codec: a logit planted on a rounding boundary, machines whose
logits differ from the encoder's by 1e-12, and what would become of them without the guard."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from neurocodec import coding, container
from neurocodec.coding import LOGIT_STEP
from neurocodec.errors import CorruptStream
from tests.codecs.conftest import build

QUALITY = 60
NOISE = 1e-12  # the most that settings were seen to do, see bitstream/DETERMINISM.md
PIXELS = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def codec():
    return build()


@contextmanager
def logits_changed(codec, change):
    """`change` is given the logits (N, L) of every pass, before they reach the coder."""
    hooks = [
        group.logits.register_forward_hook(lambda module, inputs, logits: change(logits))
        for group in codec.context.parts
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def planted(offsets, error=0.0):
    """The first level's logit of every symbol on a boundary of each of the grid offsets in turn,
    plus `error`: a network that happens to end there."""
    lines = [(40 - 0.5 - offset / 256) * LOGIT_STEP for offset in offsets]

    def change(logits):
        logits = logits.clone()
        for k, line in enumerate(lines):
            logits[k :: len(lines), 0] = line
        return logits + error

    return change


def noisy(offsets, seed):
    """`planted` on a machine that sums in another order."""
    generator = torch.Generator().manual_seed(seed)

    def change(logits):
        noise = torch.rand(logits.shape, generator=generator, dtype=logits.dtype)
        return planted(offsets)(logits) + (2 * noise - 1) * NOISE

    return change


def encoded(codec, change):
    with logits_changed(codec, change):
        data = codec.encode(PIXELS, QUALITY, importance=False)
    return data, container.read(data).header.grid_offset


def decoded(codec, change, data):
    """Symbols of all groups, and every grid index that the coder's tables were made of."""
    grids = []
    snap = coding.snap

    def watched(logits, offset):
        grids.append(snap(logits, offset))
        return grids[-1]

    with pytest.MonkeyPatch.context() as patch, logits_changed(codec, change):
        patch.setattr(coding, "snap", watched)
        indices = codec._read_symbols(container.read(data))[0]
    return np.concatenate([i.numpy().ravel() for i in indices]), np.concatenate(
        [grid.ravel() for grid in grids]
    )


def test_without_a_plant_the_offset_is_zero(codec):
    _, offset = encoded(codec, lambda logits: logits)
    assert offset == 0


@pytest.mark.parametrize("error", [0.0, NOISE, -NOISE, 9e-10, -9e-10])
@pytest.mark.parametrize("count", [1, 3])
def test_a_planted_logit_moves_the_offset_in_the_header(codec, count, error):
    _, offset = encoded(codec, planted(range(count), error))
    assert offset == count


def test_a_logit_beyond_the_guard_leaves_the_offset_alone(codec):
    _, offset = encoded(codec, planted([0], 3e-9))
    assert offset == 0


OTHER_MACHINES = {
    "above": planted([0], NOISE),
    "below": planted([0], -NOISE),
    "noise": noisy([0], seed=1),
    "other noise": noisy([0], seed=2),
}


@pytest.mark.parametrize("machine", OTHER_MACHINES)
def test_with_the_guard_other_machines_read_the_same_symbols(codec, machine):
    data, offset = encoded(codec, planted([0]))
    assert offset == 1
    symbols, grid = decoded(codec, planted([0]), data)
    assert len(np.unique(symbols)) > 3
    elsewhere_symbols, elsewhere_grid = decoded(codec, OTHER_MACHINES[machine], data)
    assert np.array_equal(elsewhere_grid, grid)
    assert np.array_equal(elsewhere_symbols, symbols)


@pytest.mark.parametrize("machine", ["below", "noise", "other noise"])
def test_without_the_guard_they_would_not(codec, machine, monkeypatch):
    monkeypatch.setattr(coding, "choose_offset", lambda logits: 0)
    data, offset = encoded(codec, planted([0]))
    assert offset == 0
    symbols, _ = decoded(codec, planted([0]), data)  # here all is well
    try:
        elsewhere, _ = decoded(codec, OTHER_MACHINES[machine], data)
    except CorruptStream:
        return
    assert not np.array_equal(elsewhere, symbols)
