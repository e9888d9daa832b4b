"""Whether the learned importance map follows the detail of a picture, and what it costs.

    python -m benchmarks.importance_map [--image FILE] [--quality Q] [--out docs/importance_map.png]

Prints the rank correlation of the map's levels with the picture's detail (standard deviation of
luma in each 16×16 block), and bytes, PSNR and MS-SSIM with the map and without; what the best map
could save without changing the picture, learned or not; draws the picture, its detail and the map
side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from PIL import Image
from scipy.stats import spearmanr

import neurocodec
from neurocodec import container, metrics
from neurocodec.codecs import symbols
from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.container import CVQNHeader, packing
from neurocodec.errors import InvalidArgument, NczError
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


class Smallest(NamedTuple):
    """The smallest map that leaves out nothing but zeros, of a file that has none.

    levels: (rows, cols) uint8. symbols, zeros: estimated bytes of all symbols, and of those which
    the map leaves out. map: bytes of the gzip member.
    """

    levels: np.ndarray
    symbols: float
    zeros: float
    map: int


@torch.no_grad()
def smallest(codec: CVQNCodec, data: bytes) -> Smallest:
    """What a map can save as long as the symbols stay what they are."""
    file = container.read(data)
    assert isinstance(file.header, container.CVQNHeader)
    indices, _, _ = codec._read_symbols(file, estimate=False)
    used = [group.levels for group in file.header.groups]
    bits = [torch.zeros(index.shape, dtype=torch.float64) for index in indices]

    def exchange(group: int, logits: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        first = symbols.window_of(codec.model.config.levels[group], used[group]).start
        index = indices[group][where] - first
        nats = -torch.log_softmax(logits, dim=1).gather(1, index[:, None])[:, 0]
        bits[group][where] = nats / float(np.log(2))
        return index

    like = torch.empty(1, 1, *indices[0].shape[1:], dtype=torch.float64)
    side = codec.model.side(None, codec.told(file.header.quality).double(), like)
    symbols.walk(codec.context, codec.mus, codec._coded(None), side, exchange, used=used)
    levels = zip(indices, codec.model.config.levels, strict=True)
    coded = torch.cat([index != count // 2 for index, count in levels])
    channel = torch.arange(len(coded))[:, None, None]
    needed = ((channel + 1) * coded).amax(dim=0)  # leading channels
    assert codec.model.map is not None
    counts = codec.model.map.counts
    level = torch.searchsorted(counts, needed)
    every = torch.cat(bits)
    values = level.to(torch.uint8).numpy()
    left_out = every[(channel >= counts[level])].sum()
    member = packing.gzip(values.tobytes())
    return Smallest(values, float(every.sum()) / 8, float(left_out) / 8, len(member))


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
    if isinstance(codec, CVQNCodec):
        best = smallest(codec, files["without"])
        click.echo(
            f"the smallest map that leaves out nothing but zeros saves {best.zeros:.0f} of "
            f"{best.symbols:.0f} bytes of symbols and takes {best.map}"
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
