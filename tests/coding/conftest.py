"""Cases for the coder: a CDF and symbols, seeded."""

import numpy as np
import pytest

from neurocodec.coding import torchac_backend
from neurocodec.errors import MissingDependency


@pytest.fixture
def draw():
    """draw(cdf, rng) -> symbols int16 (N,) distributed as the CDF says."""

    def sample(cdf, rng):
        entries = cdf.view(np.uint16)[:, :-1]
        target = rng.integers(0, 2**16, len(cdf))
        return ((entries <= target[:, None]).sum(axis=1) - 1).astype(np.int16)

    return sample


@pytest.fixture(scope="session")
def torchac():
    try:
        torchac_backend.load()
    except MissingDependency as error:
        pytest.skip(str(error))
    return torchac_backend
