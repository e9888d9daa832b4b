"""What ComCNN and RecCNN gain over the codecs they carry, and what the codec `dct` is made of.

    python -m benchmarks.comrec --data KODAK --out runs/comrec --threads 2

Every file is measured whole, every peer in the same run. The folder gets

- comrec.md: the tables, which are also printed: what was asked beside what was measured, gains at
  the size of small JPEG files, BD-rates and points of each arrangement, `dct` against JPEG in the
  middle, and the context model of `dct` against JPEG's optimized Huffman coding. JPEG in the middle
  has settings of its own; what they alone gain is measured beside the rest;
- comrec.tsv: every measurement, under lines that name the hardware; comrec_huffman.tsv: those of
  the Huffman coding;
- comrec_INNER.png: rate and PSNR of each arrangement around one inner codec;
- rows.csv, from which an interrupted run continues. Delete it after a change of the codec's code.

The bare codecs start at the lowest quality that people use. JPEG could go below its quality 5,
where it falls apart: a BD-rate that counted those points would flatter whatever is beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image

import neurocodec
from benchmarks import timings
from benchmarks.comrec_plan import BARE, QUALITIES, Plan
from benchmarks.comrec_tables import HuffmanRow, beside, report
from benchmarks.huffman import huffman_size
from neurocodec.errors import NczError
from neurocodec.evaluation import hardware
from neurocodec.evaluation.images import find_images, read_rgb
from neurocodec.evaluation.plots import plot
from neurocodec.evaluation.points import curves_of, mean_points
from neurocodec.evaluation.sweep import sweep
from neurocodec.threads import torch_threads


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of images.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of results.")
@click.option("--inner", "inners", type=click.Choice([*BARE, "dct"]), multiple=True,
              default=("jpeg", "webp", "dct"), show_default=True)  # fmt: skip
@click.option("--arrangement", "arrangements", multiple=True,
              type=click.Choice(["auto", "both", "rec", "com"]),
              default=("auto", "both", "rec", "com"), show_default=True,
              help="The first has to keep what was asked.")  # fmt: skip
@click.option("--quality", "qualities", type=float, multiple=True, default=QUALITIES,
              show_default=True)  # fmt: skip
@click.option("--model", default="comrec", show_default=True, help="Any of the codec's models.")
@click.option("--threads", type=int, help="Of torch.")
def main(
    data: Path,
    out: Path,
    inners: tuple[str, ...],
    arrangements: tuple[str, ...],
    qualities: tuple[float, ...],
    model: str,
    threads: int | None,
) -> None:
    """Measure ComRec around each inner codec, and print the tables."""
    inners, arrangements = tuple(dict.fromkeys(inners)), tuple(dict.fromkeys(arrangements))
    try:
        click.echo(
            measure(Plan(inners, arrangements, qualities, model), data, out, threads), nl=False
        )
    except NczError as error:
        raise click.ClickException(str(error)) from error


def measure(plan: Plan, data: Path, out: Path, threads: int | None = None) -> str:
    """Run the plan on the images of ``data``, write to ``out``, return the tables."""
    images = find_images(data)
    with torch_threads(threads):
        entrants = plan.entrants()
        out.mkdir(parents=True, exist_ok=True)
        rows = sweep(entrants, images, out / "rows.csv")
        coded = huffman_rows(plan, images) if "dct" in plan.inners else []
        facts = hardware.describe()
    timings.save_rows(out / "comrec.tsv", facts, rows)
    if coded:
        timings.save_rows(out / "comrec_huffman.tsv", facts, coded, HuffmanRow)
    points = mean_points(rows)
    curves = {curve.name: curve for curve in curves_of(points)}
    for inner in plan.inners:
        plot(
            out / f"comrec_{inner}.png",
            "psnr",
            beside(plan, inner, curves),
            emphasis=[plan.ours(inner)],
            title=f"{data.name}, {len(images)} images, inner codec {inner}",
            max_bpp=0.6,
        )
    tables = report(plan, rows, points, curves, coded, facts)
    (out / "comrec.md").write_text(tables, encoding="utf-8")
    return tables


def huffman_rows(plan: Plan, images: Sequence[Path]) -> list[HuffmanRow]:
    """Each image at each quality, its coefficients in both codings."""
    through = plan.through("dct")
    rows = []
    for path in images:
        image = Image.fromarray(read_rgb(path))
        for quality in plan.qualities:
            data = through.encode(image, quality)
            size = huffman_size(through.codec.coefficients(data))
            streams = neurocodec.info(data).streams
            rows.append(HuffmanRow(path.name, quality, size.bytes, size.table_bytes, sum(streams)))
    return rows


if __name__ == "__main__":
    main()
