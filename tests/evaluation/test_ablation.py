"""Every variant of the ablations is a recipe whose networks can be built."""

import csv

import click
import pytest
from click.testing import CliRunner

from benchmarks import ablation
from benchmarks.ablation import SINGLE_RATES, VARIANTS, chosen, compared, trained_on
from neurocodec.nets.cvqn import CVQN
from neurocodec.nets.vae import VAE
from neurocodec.training.system import VALIDATION_QUALITIES


@pytest.mark.parametrize(("codec", "networks"), [("cvqn", CVQN), ("vae", VAE)])
def test_variants_differ_and_can_be_built(codec, networks):
    variants = VARIANTS[codec](7)
    recipes = list(variants.values())
    assert all(one.steps == 7 and one.codec == codec for one in recipes)
    assert len({str(one) for one in recipes}) == len(recipes)
    for one in recipes:
        networks(one.model)


def test_variants_can_be_chosen_beside_the_first():
    variants = VARIANTS["cvqn"](7)
    base = next(iter(variants))
    assert chosen(variants, ()) == variants
    assert list(chosen(variants, ("importance re",))) == [base, "importance re"]
    with pytest.raises(click.BadParameter, match="no variant 'importance'"):
        chosen(variants, ("importance",))


def test_variants_of_vae_code_the_same_latent():
    recipes = VARIANTS["vae"](7).values()
    assert {one.model.channels for one in recipes} == {256}
    assert all(1 + sum(one.model.passes) <= 16 for one in recipes)


def test_networks_of_one_rate_make_a_curve_together():
    rows = [
        {"quality": q, "bpp": q / 50, "psnr": 25 + q / 10, "ms_ssim": 0.9 + q / 1000}
        for q in VALIDATION_QUALITIES
    ]
    variants = VARIANTS["vae"](7)
    alone = [trained_on(variants[f"quality {q} alone"], rows) for q in SINGLE_RATES]
    assert [[row["quality"] for row in part] for part in alone] == [[q] for q in SINGLE_RATES]
    assert trained_on(variants["base (two Gaussians, Muon)"], rows) == rows
    assert "none" in compared("vae", rows, alone[0])
    cheaper = [{**row, "bpp": row["bpp"] / 2} for part in alone for row in part]
    assert compared("vae", rows, rows) == "+0.0"
    assert float(compared("vae", rows, cheaper)) == pytest.approx(-50, abs=3)
    assert trained_on(next(iter(VARIANTS["cvqn"](7).values())), rows) == rows


def test_each_seed_is_compared_with_its_own(tmp_path, monkeypatch):
    """Networks that need as many bits as their seed says: within a seed, none needs more."""

    class Trained:
        step = 7

        def __init__(self, config, decoded):
            self.cost = 0.1 * (1 + config.seed / 10)

        def validate(self):
            return [
                {
                    "quality": q,
                    "bpp": self.cost * 2 ** (q / 30),
                    "psnr": 25 + q / 10,
                    "ms_ssim": 0.9,
                }
                for q in VALIDATION_QUALITIES
            ]

    monkeypatch.setattr(ablation, "Trainer", Trained)
    monkeypatch.setattr(ablation.data, "decode", lambda *_: None)
    monkeypatch.setattr(ablation.data, "list_photos", lambda _: [])
    alone = [f"quality {q} alone" for q in SINGLE_RATES]
    only = [part for name in ["Adam", *alone] for part in ("--only", name)]
    command = ["--data", ".", "--codec", "vae", "--steps", "7", "--seeds", "2", *only]
    out = tmp_path / "a.tsv"
    result = CliRunner().invoke(ablation.main, [*command, "--out", str(out)])
    assert result.exit_code == 0, result.output
    with out.open() as file:
        saved = {
            (r["variant"], r["seed"]): r["bd_rate_percent"]
            for r in csv.DictReader(file, delimiter="\t")
        }
    for seed in "01":
        assert saved["Adam", seed] == saved[alone[-1], seed] == "+0.0"
