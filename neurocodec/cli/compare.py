"""``ncz compare``."""

from __future__ import annotations

import math

import click

from neurocodec.cli.options import debug_option, device_option, threads_option


@click.command()
@click.argument("original")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--page", metavar="PNG", help="Also draw crops of all of them side by side.")
@device_option
@threads_option
@debug_option
def compare(
    original: str, files: tuple[str, ...], page: str | None, device: str, threads: int | None
) -> None:
    """Compare files of a photograph, .ncz or any image, with the ORIGINAL."""
    from neurocodec import evaluation
    from neurocodec.threads import torch_threads

    with torch_threads(threads):
        rows = evaluation.compare(original, files, page, device=device)
    width = max(len(row.file) for row in rows)
    click.echo(f"{'file':<{width}}  {'bytes':>9}  {'bpp':>7}  {'PSNR/dB':>7}  {'MS-SSIM':>7}")
    for row in rows:
        # None for sides too small for its five scales.
        similarity = "none" if math.isnan(row.ms_ssim) else f"{row.ms_ssim:.4f}"
        click.echo(
            f"{row.file:<{width}}  {row.bytes:>9}  {row.bpp:>7.4f}  {row.psnr:>7.2f}  "
            f"{similarity:>7}"
        )
