"""Where a vae's bits go, quality by quality, and whether the prior's estimate is what is paid.

    python -m benchmarks.latents --data KODAK --model vae --quality 10 --quality 50 --quality 90

Prints a Markdown table, means over all photographs: how concentrated the latent is (the share of
its integers that are zero, of those within ±1, and the mean magnitude), the share of the coded
bytes that each stream's group takes (the hyper-latent first), coded bits over the estimate of
the float mixtures, which holds the costs of snapping, of integer tables and of the coder's ends,
and PSNR, beside what it would be if nothing were rounded: how much of the error is quantization's,
and how much the transforms'.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch

import neurocodec
from neurocodec import container
from neurocodec.codecs.attempt import Attempt
from neurocodec.codecs.vae import Analysis, VAECodec
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation import report
from neurocodec.evaluation.images import find_images
from neurocodec.image import open_photo
from neurocodec.metrics import psnr
from neurocodec.nets.passes import pass_numbers

QUALITIES = (10, 30, 50, 70, 90, 100)


@dataclass(frozen=True)
class Concentration:
    """Of one photograph at one quality. zeros, within_one: shares of the latent's integers.
    magnitude: their mean. shares: of the coded bytes, hyper-latent and groups. excess: coded bits
    over estimated ones, less 1."""

    bpp: float
    zeros: float
    within_one: float
    magnitude: float
    shares: tuple[float, ...]
    excess: float


def concentration(codec: VAECodec, data: bytes) -> Concentration:
    """What a file of this codec holds."""
    file = container.read(data)
    (_, *groups), _, estimate = codec._read_symbols(file)
    magnitudes = np.concatenate([group.abs().numpy().ravel() for group in groups])
    lengths = [len(stream) for stream in file.streams]
    grid = groups[0].shape[1:]
    passes = [pass_numbers(passes, *grid) for passes in codec.model.config.passes]
    counts = [1, *(order.unique().numel() for order in passes)]
    ends = np.cumsum([0, *counts])
    total = sum(lengths)
    return Concentration(
        bpp=8 * len(data) / (file.width * file.height),
        zeros=float((magnitudes == 0).mean()),
        within_one=float((magnitudes <= 1).mean()),
        magnitude=float(magnitudes.mean()),
        shares=tuple(sum(lengths[a:b]) / total for a, b in pairwise(ends)),
        excess=8 * total / estimate - 1,
    )


class Fidelity(NamedTuple):
    """PSNR in dB, as coded and with the latent not rounded."""

    coded: float
    unrounded: float


@torch.no_grad()
def fidelity(codec: VAECodec, prepared: Analysis, attempt: Attempt) -> Fidelity:
    """Of one photograph at one quality."""
    pixels = prepared.photo.pixels
    steps = prepared.latent * codec.model.prior.gain(codec.told(attempt.quality))
    unrounded = codec.render(steps, container.read(attempt.data).header)
    height, width = pixels.shape[:2]
    return Fidelity(psnr(pixels, attempt.pixels()), psnr(pixels, unrounded[:height, :width]))


def table(rows: dict[float, list[tuple[Concentration, Fidelity]]]) -> str:
    """Markdown, a line a quality: means over the photographs."""
    groups = len(next(iter(rows.values()))[0][0].shares) - 1
    names = ["quality", "bpp", "zeros", "within ±1", "mean magnitude", "hyper-latent"]
    names += [f"group {index}" for index in range(groups)]
    names += ["coded / estimate", "PSNR", "nothing rounded"]
    lines = []
    for quality, measured in rows.items():
        found, pictures = zip(*measured, strict=True)
        coded, unrounded = np.mean(pictures, axis=0)
        mean = {
            name: float(np.mean([getattr(one, name) for one in found]))
            for name in ("bpp", "zeros", "within_one", "magnitude", "excess")
        }
        shares = np.mean([one.shares for one in found], axis=0)
        cells = [
            f"{quality:g}", f"{mean['bpp']:.3f}", f"{mean['zeros']:.1%}",
            f"{mean['within_one']:.1%}", f"{mean['magnitude']:.3f}",
            *(f"{share:.1%}" for share in shares), f"{mean['excess']:+.2%}",
            f"{coded:.2f}", f"{unrounded:.2f}",
        ]  # fmt: skip
        lines.append(cells)
    return report.table(names, lines).rstrip("\n")


@click.command()
@click.option("--data", required=True, help="A folder of photographs.")
@click.option("--model", default="vae", show_default=True)
@click.option("--quality", "qualities", type=float, multiple=True, default=QUALITIES)
def main(data: str, model: str, qualities: tuple[float, ...]) -> None:
    """Where the bits of a vae go."""
    codec = neurocodec.load(model)
    if not isinstance(codec, VAECodec):
        raise InvalidArgument(f"model {model} is no vae: name one that is")
    rows: dict[float, list[tuple[Concentration, Fidelity]]] = {q: [] for q in qualities}
    for path in find_images(Path(data)):
        prepared = codec.prepare(open_photo(path))
        for quality in qualities:
            attempt = codec.attempt(prepared, container.snap_quality(quality))
            found = concentration(codec, attempt.data), fidelity(codec, prepared, attempt)
            rows[quality].append(found)
    click.echo(table(rows))


if __name__ == "__main__":
    main()
