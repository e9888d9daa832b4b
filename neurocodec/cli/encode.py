"""``ncz encode``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

import neurocodec
from neurocodec import zoo
from neurocodec.api import ARRANGEMENTS, INNER_CODECS, METADATA, codec_for
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
from neurocodec.errors import InvalidArgument

QUALITY = 50.0

_RATES = {
    "quality": "-q",
    "target_bpp": "--target-bpp",
    "target_size": "--target-size",
    "target_psnr": "--target-psnr",
    "target_msssim": "--target-msssim",
}
_WITHOUT_A_PICTURE = (
    "model", "device", "roi", "importance", "inner", "arrangement", "tile_size",
)  # fmt: skip
"""Options that can be checked before there is a picture."""
_POSITIVE = click.FloatRange(min=0, min_open=True)


@dataclass(frozen=True)
class Encode:
    """The work on one file. options: of `neurocodec.encode`. stream: standard output, if that is
    the target."""

    options: dict[str, Any]
    stream: IO[bytes] | None = None

    def prepare(self) -> None:
        """A wrong name, device or option is one error, not one a file."""
        codec_for(**{name: self.options[name] for name in _WITHOUT_A_PICTURE})

    def __call__(self, job: files.Job) -> None:
        from neurocodec.image import write_atomically

        files.check_way(job)
        data = neurocodec.encode(files.read(job), **self.options)
        if self.stream is not None:
            self.stream.write(data)
            self.stream.flush()
            return
        files.make_way(job)
        write_atomically(job.target, data)


@click.command()
@click.argument("paths", nargs=-1, metavar="IN... [OUT]")
@output_option
@jobs_option
@click.option(
    "--model",
    metavar="NAME",
    help=f"A shipped model, see ncz models; {zoo.DEFAULT} by default, {zoo.WITH_MAP} with --roi or "
    "--importance-map.",
)
@click.option(
    "-q", "--quality", type=click.FloatRange(1, 100), metavar="1..100",
    help=f"Quality, {QUALITY:g} by default.",
)  # fmt: skip
@click.option("--target-bpp", type=_POSITIVE, metavar="B", help="At most B file bits per pixel.")
@click.option(
    "--target-size", type=click.IntRange(min=1), metavar="BYTES", help="At most BYTES in the file."
)
@click.option("--target-psnr", type=_POSITIVE, metavar="DB", help="At least DB of PSNR over RGB.")
@click.option(
    "--target-msssim", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="X",
    help="At least X of MS-SSIM.",
)  # fmt: skip
@click.option("--roi", metavar="MASK", help="An image, bright where detail matters; of any size.")
@click.option(
    "--importance-map/--no-importance-map", "importance", default=None,
    help="Use the learned importance map; by default, what the model's card found better.",
)  # fmt: skip
@click.option(
    "--inner", type=click.Choice(INNER_CODECS),
    help="The inner codec, for models around one; see ncz models.",
)  # fmt: skip
@click.option(
    "--arrangement", type=click.Choice(ARRANGEMENTS),
    help="Networks around the inner codec: both, RecCNN or ComCNN alone, or by quality (auto).",
)  # fmt: skip
@click.option(
    "--tile-size", type=click.IntRange(min=0), metavar="N",
    help="Code pictures of more than NxN pixels in tiles; a multiple of 64, 1024 by default, "
    "0 for never (up to 33 megapixels).",
)  # fmt: skip
@click.option(
    "--metadata", type=click.Choice(METADATA), default="all", show_default=True,
    help="What travels of ICC profile, EXIF and XMP: all, the profile alone, or none.",
)  # fmt: skip
@device_option
@threads_option
@clobber_option
@resume_option
@debug_option
def encode(
    paths: tuple[str, ...],
    output: str | None,
    processes: int,
    model: str | None,
    roi: str | None,
    importance: bool | None,
    inner: str | None,
    arrangement: str | None,
    tile_size: int | None,
    metadata: str,
    device: str,
    threads: int | None,
    no_clobber: bool,
    resume: bool,
    **rates: Any,
) -> None:
    """Encode the image IN, the first of its frames or pages, as the .ncz file OUT.

    Several images, or a folder of them, are encoded into the folder OUT, or -o DIR. A single - is
    standard input or output.
    """
    chosen = {name: value for name, value in rates.items() if value is not None}
    if len(chosen) > 1:
        first, second, *_ = (_RATES[name] for name in chosen)
        raise click.UsageError(f"{first} and {second} exclude each other: give one of them.")
    from neurocodec.image import open_photo, readable_suffixes

    jobs = files.plan(paths, ".ncz", readable_suffixes(), output)
    for job in jobs:
        if Path(job.target).suffix.lower() in readable_suffixes():
            raise InvalidArgument(f"{job.target} is to be an .ncz file: name it so")
    options = {
        "model": model,
        "device": device,
        "threads": threads,
        "roi": None if roi is None else open_photo(roi),
        "importance": importance,
        "inner": inner,
        "arrangement": arrangement,
        "tile_size": tile_size,
        "metadata": metadata,
        **(chosen or {"quality": QUALITY}),
    }
    with files.standard_output(jobs) as stream:
        work = Encode(options, stream)
        batch.run(jobs, work, clobber=not no_clobber, resume=resume, processes=processes)
