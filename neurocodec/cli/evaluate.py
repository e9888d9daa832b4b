"""``ncz eval``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocodec import zoo
from neurocodec.cli.options import (
    comma_list,
    debug_option,
    device_option,
    number_list,
    threads_option,
)


def _qualities(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    numbers = number_list(context, parameter, value)
    for number in numbers or ():
        if not 1 <= number <= 100:
            raise click.BadParameter(f"{number:g} is not in the range 1 to 100")
    return numbers


@click.command("eval")
@click.option("--data", required=True, metavar="DIR", help="Images to measure on.")
@click.option("--out", required=True, metavar="DIR", help="Tables and plots; continues there.")
@click.option(
    "--models", default=zoo.DEFAULT, show_default=True, metavar="A,B", callback=comma_list,
    help="Shipped models, or none.",
)  # fmt: skip
@click.option(
    "--qualities", metavar="10,20,...", callback=_qualities,
    help="Of the models, 1 to 100.",
)  # fmt: skip
@click.option(
    "--peers", metavar="A,B", callback=comma_list,
    help="Other codecs; all that are installed by default, or none.",
)  # fmt: skip
@click.option("--anchors", metavar="JSON", help="Published curves to plot and compare with.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Measurements at once; times mean something with 1.",
)  # fmt: skip
@device_option
@threads_option
@debug_option
def evaluate(
    data: str,
    out: str,
    models: tuple[str, ...],
    qualities: tuple[float, ...] | None,
    peers: tuple[str, ...] | None,
    anchors: str | None,
    jobs: int,
    device: str,
    threads: int | None,
) -> None:
    """Measure models and other codecs on a folder of images: rates, PSNR, MS-SSIM, BD-rates."""
    from neurocodec import evaluation

    evaluation.run(
        data,
        out,
        models=models,
        qualities=qualities,
        peers=peers,
        anchors=anchors,
        device=device,
        threads=threads,
        jobs=jobs,
    )
    click.echo(Path(out, "summary.md").read_text(encoding="utf-8"), nl=False)
