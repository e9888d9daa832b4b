"""Every variant of the ablations is a recipe whose networks can be built."""

import pytest

from benchmarks.ablation import VARIANTS
from neurocodec.nets.cvqn import CVQN
from neurocodec.nets.vae import VAE


@pytest.mark.parametrize(("codec", "networks"), [("cvqn", CVQN), ("vae", VAE)])
def test_variants_differ_and_can_be_built(codec, networks):
    variants = VARIANTS[codec](7)
    recipes = list(variants.values())
    assert all(one.steps == 7 and one.codec == codec for one in recipes)
    assert len({str(one) for one in recipes}) == len(recipes)
    for one in recipes:
        networks(one.model)


def test_variants_of_vae_code_the_same_latent():
    recipes = VARIANTS["vae"](7).values()
    assert {one.model.channels for one in recipes} == {256}
    assert all(1 + sum(one.model.passes) <= 16 for one in recipes)
