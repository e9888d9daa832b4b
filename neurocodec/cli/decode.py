"""``ncz decode``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

import click

import neurocodec
from neurocodec.cli import batch, files
from neurocodec.cli.options import (
    clobber_option,
    debug_option,
    device_option,
    jobs_option,
    output_option,
    resume_option,
    threads_option,
)
from neurocodec.cli.report import Incomplete
from neurocodec.device import check as check_device
from neurocodec.limits import MAX_PIXELS


@dataclass(frozen=True)
class Decode:
    """The work on one file. stream: standard output, if that is the target."""

    device: str
    threads: int | None
    max_pixels: int
    crop: tuple[int, int, int, int] | None = None
    best_effort: bool = False
    stream: IO[bytes] | None = None

    def prepare(self) -> None:
        """A wrong device is one error, not one a file; which model is needed, only they say."""
        check_device(self.device)

    def __call__(self, job: files.Job) -> None:
        from neurocodec.image import save

        files.check_way(job)
        image = neurocodec.decode(
            files.read(job), device=self.device, threads=self.threads, max_pixels=self.max_pixels,
            crop=self.crop, best_effort=self.best_effort,
        )  # fmt: skip
        files.make_way(job)
        save(image, job.target if self.stream is None else self.stream)
        if self.stream is not None:
            self.stream.flush()
        damaged = image.info.get("damaged", ())
        if damaged:
            files.mark_incomplete(job)
            boxes = " ".join(",".join(map(str, box)) for box in damaged)
            tiles = "1 tile is" if len(damaged) == 1 else f"{len(damaged)} tiles are"
            raise Incomplete(
                f"{tiles} damaged (x,y,width,height in the picture), and what lies along their "
                f"borders is not exact: {boxes}"
            )


def _box(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    numbers = value.split(",")
    # A side of a picture has ten digits at most.
    if len(numbers) != 4 or not all(re.fullmatch("[0-9]{1,10}", n.strip()) for n in numbers):
        raise click.BadParameter(f"{value!r} is no region: write X,Y,W,H in pixels")
    x, y, width, height = map(int, numbers)
    return x, y, width, height


@click.command()
@click.argument("paths", nargs=-1, metavar="IN... [OUT]")
@output_option
@jobs_option
@device_option
@threads_option
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=MAX_PIXELS, show_default=True, metavar="N",
    help="Refuse images, or with --crop parts, with more pixels, and tiles with more than an "
    "eighth of it (at least 33554432).",
)  # fmt: skip
@click.option(
    "--crop", callback=_box, metavar="X,Y,W,H",
    help="Decode this part alone: its left, its top, its width and height in pixels.",
)  # fmt: skip
@click.option(
    "--best-effort", is_flag=True,
    help="Fill damaged or missing tiles with grey; exit code 3 tells that there were any.",
)  # fmt: skip
@clobber_option
@resume_option
@debug_option
def decode(
    paths: tuple[str, ...],
    output: str | None,
    processes: int,
    device: str,
    threads: int | None,
    max_pixels: int,
    crop: tuple[int, int, int, int] | None,
    best_effort: bool,
    no_clobber: bool,
    resume: bool,
) -> None:
    """Decode the .ncz file IN to the image OUT, in the format that its extension names.

    Several files, or a folder of them, are decoded into the folder OUT, or -o DIR, as PNG. A
    single - is standard input, or standard output as PNG.
    """
    from neurocodec.image import format_for

    jobs = files.plan(paths, ".png", (".ncz",), output)
    for job in jobs:
        if job.target != files.STANDARD:
            format_for(job.target)  # an unknown one is refused before the work
    with files.standard_output(jobs) as stream:
        work = Decode(device, threads, max_pixels, crop, best_effort, stream)
        batch.run(jobs, work, clobber=not no_clobber, resume=resume, processes=processes)
