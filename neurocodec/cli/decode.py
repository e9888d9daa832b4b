"""``ncz decode``."""

from __future__ import annotations

from pathlib import Path

import click

import neurocodec
from neurocodec.api import MAX_PIXELS
from neurocodec.cli import files
from neurocodec.cli.options import clobber_option, debug_option, device_option, threads_option


@click.command()
@click.argument("paths", nargs=-1, metavar="IN... OUT")
@device_option
@threads_option
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=MAX_PIXELS, show_default=True, metavar="N",
    help="Refuse images with more pixels.",
)  # fmt: skip
@clobber_option
@debug_option
def decode(
    paths: tuple[str, ...], device: str, threads: int | None, max_pixels: int, no_clobber: bool
) -> None:
    """Decode the .ncz file IN to the image OUT, in the format that its extension names.

    Several files, or a folder of them, are decoded into the folder OUT, as PNG. A single - is
    standard input, or standard output as PNG.
    """
    from neurocodec.image import format_for, save

    jobs = files.plan(paths, ".png", (".ncz",))
    for job in jobs:
        if job.target != files.STANDARD:
            format_for(job.target)  # an unknown one is refused before the work
    with files.standard_output(jobs) as stream:

        def work(job: files.Job) -> None:
            image = neurocodec.decode(
                files.read(job), device=device, threads=threads, max_pixels=max_pixels
            )
            if job.makes_folder:
                Path(job.target).parent.mkdir(parents=True, exist_ok=True)
            save(image, job.target if stream is None else stream)

        files.run(jobs, work, clobber=not no_clobber)
