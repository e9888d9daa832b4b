"""Where a vae's bits go, quality by quality, and whether the prior's estimate is what is paid.

    python -m benchmarks.latents --data KODAK --model vae --quality 10 --quality 50 --quality 90

Prints a Markdown table, means over all photographs: how concentrated the latent is (the share of
its integers that are zero, of those within ±1, and the mean magnitude), the share of the coded
bytes that each stream's group takes (the hyper-latent first), and coded bits over the estimate of
the float mixtures, which holds the costs of snapping, of integer tables and of the coder's ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

import neurocodec
from neurocodec import container
from neurocodec.codecs.vae import VAECodec
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.images import find_images
from neurocodec.image import open_photo
from neurocodec.nets.passes import pass_numbers


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


def table(rows: dict[float, list[Concentration]]) -> str:
    """Markdown, a line a quality: means over the photographs."""
    groups = len(next(iter(rows.values()))[0].shares) - 1
    names = ["quality", "bpp", "zeros", "within ±1", "mean magnitude", "hyper-latent"]
    names += [f"group {index}" for index in range(groups)] + ["coded / estimate"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --: |" * len(names)]
    for quality, found in rows.items():
        mean = {
            name: float(np.mean([getattr(one, name) for one in found]))
            for name in ("bpp", "zeros", "within_one", "magnitude", "excess")
        }
        shares = np.mean([one.shares for one in found], axis=0)
        cells = [
            f"{quality:g}", f"{mean['bpp']:.3f}", f"{mean['zeros']:.1%}",
            f"{mean['within_one']:.1%}", f"{mean['magnitude']:.3f}",
            *(f"{share:.1%}" for share in shares), f"{mean['excess']:+.2%}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--data", required=True, help="A folder of photographs.")
@click.option("--model", default="vae", show_default=True)
@click.option("--quality", "qualities", type=float, multiple=True, default=(10, 30, 50, 70, 90))
def main(data: str, model: str, qualities: tuple[float, ...]) -> None:
    """Where the bits of a vae go."""
    codec = neurocodec.load(model)
    if not isinstance(codec, VAECodec):
        raise InvalidArgument(f"model {model} is no vae: name one that is")
    rows: dict[float, list[Concentration]] = {quality: [] for quality in qualities}
    for path in find_images(Path(data)):
        prepared = codec.prepare(open_photo(path))
        for quality in qualities:
            attempt = codec.attempt(prepared, container.snap_quality(quality))
            rows[quality].append(concentration(codec, attempt.data))
    click.echo(table(rows))


if __name__ == "__main__":
    main()
