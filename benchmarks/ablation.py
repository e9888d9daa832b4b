"""The source's ablations at equal short budgets: every variant trained alike, scored alike.

    python -m benchmarks.ablation --data DIR --steps 300 --out ablation.tsv [--codec vae]

BD-rates are in MS-SSIM for `cvqn` and in PSNR for `vae`, as they are trained. Bits are the estimate
of the loss on held-out crops, which the coder reaches within 1 % (`ncz eval` reports both); scores
are of networks this short of training, so differences of a percent or two are noise: `--seeds 2`
shows how much. Of networks trained for one quality, the BD-rate is that of all of them so far.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from neurocodec.errors import NczError
from neurocodec.evaluation.bdrate import bd_rate
from neurocodec.metrics import ms_ssim_db
from neurocodec.training import data, recipe
from neurocodec.training.recipe import DataConfig
from neurocodec.training.run import Trainer

MODELS = Path(__file__).parents[1] / "models"
CHANNELS = 64
SINGLE_RATES = (10, 50, 90)
"""Of `VALIDATION_QUALITIES`: a network for each of them, against one for all."""
Variants = Mapping[str, recipe.CVQNRecipe] | Mapping[str, recipe.VAERecipe]


def base(steps: int) -> recipe.CVQNRecipe:
    """The recipe that cvqn began with, on fewer channels and smaller batches."""
    first = recipe.load(MODELS / "cvqn" / "first.yaml")
    assert isinstance(first, recipe.CVQNRecipe)
    model = replace(
        first.model,
        channels=CHANNELS,
        groups=(4, 12, 16, 32),
        levels=first.model.levels[:4],
        context=replace(first.model.context, passes=first.model.context.passes[:4]),
        map_levels=0,
        encoder_features=(4, 8, 16, 32),
        decoder_features=(4, 8, 16, 32),
    )
    return replace(
        first,
        name="base",
        model=model,
        steps=steps,
        refresh_importance=1,
        data=DataConfig(crop=176, batch=2, validation=12),
    )


def cvqn_variants(steps: int) -> dict[str, recipe.CVQNRecipe]:
    """Each differs from ``base`` in one respect."""
    root = base(steps)

    def changed(**model) -> recipe.CVQNRecipe:
        return replace(root, model=replace(root.model, **model))

    def grouped(levels: tuple[int, ...]) -> recipe.CVQNRecipe:
        # The published sizes and levels, without the warm start that needs many levels for DC.
        context = replace(root.model.context, passes=(2,) * len(levels))
        groups = {3: (16, 32, 16), 1: (CHANNELS,)}[len(levels)]
        return changed(groups=groups, levels=levels, context=context, linear_path=False)

    return {
        "base (sigmoid, predefined, 4 groups)": root,
        "attention deep-softmax": changed(attention="deep-softmax"),
        "importance se": changed(importance="se"),
        "importance re": changed(importance="re"),
        "importance map on": replace(changed(map_levels=8), map_share=1.0),
        "no linear path": changed(linear_path=False),
        "published groups, levels 3/5/7": grouped((3, 5, 7)),
        "published groups, all 5": grouped((5, 5, 5)),
        "baseline: one group of 5 levels": grouped((5,)),
    }


def vae_variants(steps: int) -> dict[str, recipe.VAERecipe]:
    """Each differs from the recipe that vae began with, in half its batch, in one respect."""
    first = recipe.load(MODELS / "vae" / "first.yaml")
    assert isinstance(first, recipe.VAERecipe)
    data_config = replace(first.data, batch=4, validation=12)
    root = replace(first, name="base", steps=steps, data=data_config)

    def changed(**model) -> recipe.VAERecipe:
        return replace(root, model=replace(root.model, **model))

    return {
        "base (two Gaussians, Muon)": root,
        "one Gaussian": changed(components=1),
        "three Gaussians": changed(components=3),
        "checkerboard in every group": changed(passes=(2,) * len(root.model.groups)),
        "one pass a group": changed(passes=(1,) * len(root.model.groups)),
        "one group": changed(groups=(root.model.channels,), passes=(2,)),
        "Adam": replace(root, optimizer=replace(root.optimizer, kernels="adam")),
        "SOAP": replace(root, optimizer=replace(root.optimizer, kernels="soap")),
        **{
            f"quality {quality} alone": replace(root, qualities=(quality, quality))
            for quality in SINGLE_RATES
        },
    }


VARIANTS: dict[str, Callable[[int], Variants]] = {"cvqn": cvqn_variants, "vae": vae_variants}


@click.command()
@click.option("--data", "folders", multiple=True, required=True, help="Folders of photographs.")
@click.option("--steps", default=300, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--photos", default=400, show_default=True, help="Photographs used of the folders.")
@click.option("--codec", type=click.Choice(list(VARIANTS)), default="cvqn", show_default=True)
@click.option("--only", multiple=True, help="Variants to train beside the first, by name.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="TSV to write.")
def main(
    folders: tuple[str, ...],
    steps: int,
    seeds: int,
    photos: int,
    codec: str,
    only: tuple[str, ...],
    out: Path,
) -> None:
    """Train every variant and write its rate, quality and BD-rate against the first."""
    variants = chosen(VARIANTS[codec](steps), only)
    decoded = data.decode(data.list_photos(folders)[:photos], 176)
    reference: dict[int, Rows] = {}  # of each seed, as are
    alone: dict[int, Rows] = {}  # the networks of one rate, which make a curve together
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["variant", "seed", "quality", "bpp", "psnr", "ms_ssim", "bd_rate_percent"])
        for name, variant in variants.items():
            for seed in range(seeds):
                trainer = Trainer(replace(variant, seed=seed), decoded)
                while trainer.step < steps:
                    trainer.advance()
                rows = trained_on(variant, trainer.validate())
                if len(rows) == 1:
                    rows_of_curve = alone.setdefault(seed, [])
                    rows_of_curve += rows
                else:
                    rows_of_curve = rows
                saved = compared(codec, reference.setdefault(seed, rows), rows_of_curve)
                for r in rows:
                    table.writerow(
                        [name, seed, r["quality"], f"{r['bpp']:.4f}", f"{r['psnr']:.3f}",
                         f"{r['ms_ssim']:.5f}", saved]
                    )  # fmt: skip
                file.flush()
                click.echo(f"{name} (seed {seed}): {saved} %", err=True)


Rows = list[dict[str, Any]]


def chosen(variants: Variants, only: tuple[str, ...]) -> Variants:
    """The first variant and those asked for, all where none is. Raises BadParameter."""
    unknown = [name for name in only if name not in variants]
    if unknown:
        raise click.BadParameter(
            f"no variant {unknown[0]!r}: use one of {', '.join(variants)}", param_hint="--only"
        )
    first = next(iter(variants))
    wanted = dict.fromkeys((first, *(only or variants)))
    return {name: variants[name] for name in wanted}  # type: ignore[return-value]


def trained_on(variant: recipe.AnyRecipe, rows: Rows) -> Rows:
    """The rows of the qualities that the variant was trained on."""
    if not isinstance(variant, recipe.VAERecipe):
        return rows
    low, high = variant.qualities
    return [row for row in rows if low <= row["quality"] <= high]


def compared(codec: str, reference: Rows, rows: Rows) -> str:
    """BD-rate in percent, or why there is none."""

    def curve(rows: Rows) -> tuple[list[float], list[float]]:
        if codec == "vae":
            return [r["bpp"] for r in rows], [r["psnr"] for r in rows]
        return [r["bpp"] for r in rows], [ms_ssim_db(r["ms_ssim"]) for r in rows]

    try:
        percent = bd_rate(curve(reference), curve(rows), rate_range=(0.0, 9.0)).percent
    except NczError as error:  # curves too short, or too far apart to share a quality
        return f"none ({error})"
    return f"{percent:+.1f}"


if __name__ == "__main__":
    main()
