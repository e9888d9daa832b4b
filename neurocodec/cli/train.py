"""``ncz train``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocodec.cli.options import debug_option, device_option, threads_option

RECIPE = "recipe.yaml"


@click.command()
@click.argument("recipe")
@click.argument("more", nargs=-1, metavar="")
@click.option("--data", multiple=True, required=True, metavar="DIR...", help="Photographs.")
@click.option(
    "--out",
    metavar="DIR",
    help="Checkpoint and curves; runs/NAME by default.",
)
@click.option(
    "--resume/--restart", default=True, help="Continue from the checkpoint, the default, or not."
)
@click.option("--start", metavar="WEIGHTS", help="Weights to begin with where no checkpoint is.")
@click.option(
    "--max-steps", type=click.IntRange(min=1), metavar="N", help="Stop after N steps of this run."
)
@device_option
@threads_option
@debug_option
def train(
    recipe: str,
    more: tuple[str, ...],
    data: tuple[str, ...],
    out: str | None,
    resume: bool,
    start: str | None,
    max_steps: int | None,
    device: str,
    threads: int | None,
) -> None:
    """Train RECIPE on folders of photographs: ncz train models/NAME/recipe.yaml --data A B"""
    from neurocodec import training
    from neurocodec.training import parallel

    path = Path(recipe)
    name, folder = path.stem, path.resolve().parent
    if path.name != RECIPE and (folder / RECIPE).exists():  # of a model that has several
        name = f"{folder.name}-{path.stem}"
    elif path.name == RECIPE:
        name = folder.name
    checkpoint = training.run(
        recipe_path=path,
        data_dirs=[*data, *more],
        out_dir=Path(out or Path("runs", name)),
        resume=resume,
        start=start,
        device=device,
        max_steps=max_steps,
        threads=threads,
    )
    if parallel.is_first():
        click.echo(checkpoint)
