"""Whether the learned importance map follows the detail of a picture, and what it costs.

    python -m benchmarks.importance_map [--image FILE] [--quality Q] [--out docs/importance_map.png]

Prints the rank correlation of the map's levels with the picture's detail (standard deviation of
luma in each 16×16 block), and bytes, PSNR and MS-SSIM with the map and without; draws the picture,
its detail and the map side by side.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image
from scipy.stats import spearmanr

import neurocodec
from neurocodec import container
from neurocodec.container import CVQNHeader
from neurocodec.errors import InvalidArgument, NczError
from neurocodec.evaluation import metrics
from neurocodec.nets.cvqn import STRIDE

DOCS = Path(__file__).parents[1] / "docs"


def detail(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> standard deviation of luma of each whole 16×16 block, grey levels."""
    luma = metrics.luma(pixels)
    rows, cols = (side // STRIDE for side in luma.shape)
    blocks = luma[: rows * STRIDE, : cols * STRIDE].reshape(rows, STRIDE, cols, STRIDE)
    return blocks.std(axis=(1, 3))


def levels(data: bytes) -> np.ndarray | None:
    """The map in a file of one tile, (rows, cols) uint8; None where it is the same everywhere.

    Raises InvalidArgument for files of other codecs and of more tiles.
    """
    file = container.read(data)
    header = file.header
    if not isinstance(header, CVQNHeader) or file.tiling is not None:
        raise InvalidArgument("no importance map: use a file of codec cvqn, of one tile")
    found = header.importance
    if found is None:
        return None
    return np.frombuffer(found.values, np.uint8).reshape(found.rows, found.cols)


@click.command()
@click.option("--image", type=click.Path(exists=True), default=DOCS / "astronaut.png")
@click.option("--model", default="cvqn", show_default=True)
@click.option("--quality", default=50.0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=DOCS / "importance_map.png")
def main(image: Path, model: str, quality: float, out: Path) -> None:
    """Measure and draw."""
    try:
        measure(image, model, quality, out)
    except NczError as error:
        raise click.ClickException(str(error)) from error


def measure(image: Path, model: str, quality: float, out: Path) -> None:
    """Print the figures of one picture, and draw."""
    with Image.open(image) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    codec = neurocodec.load(model)
    files = {
        name: codec.encode(pixels, quality, importance=use, tile_size=0)
        for name, use in (("with", True), ("without", False))
    }
    for name, data in files.items():
        decoded = np.asarray(codec.decode(data))
        click.echo(
            f"{name}: {len(data)} bytes, PSNR {metrics.psnr(pixels, decoded):.2f} dB, "
            f"MS-SSIM {metrics.ms_ssim(pixels, decoded):.4f}"
        )
    found = levels(files["with"])
    if found is None:
        raise InvalidArgument("the map has one level everywhere: there is nothing to draw")
    rough = detail(pixels)
    found = found[: rough.shape[0], : rough.shape[1]]
    correlation = spearmanr(rough.ravel(), found.ravel()).statistic
    click.echo(f"rank correlation of level and detail: {correlation:+.2f}")
    click.echo(f"positions at each level: {np.bincount(found.ravel(), minlength=8).tolist()}")
    draw(pixels, rough, found, out)


def draw(pixels: np.ndarray, rough: np.ndarray, found: np.ndarray, out: Path) -> None:
    """The three side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("picture", pixels), ("detail", np.log1p(rough)), ("importance map", found))
    for axes, (title, values) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.imshow(values, cmap="viridis", interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
