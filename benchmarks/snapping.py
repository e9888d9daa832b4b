"""What exact probabilities cost: the rate from float probabilities to snapped ones to coded bytes.

    python -m benchmarks.snapping --data KODAK --model vae --model cvqn --out snapping.tsv

A row a model and quality, sums over all photographs, each small enough for one tile. "estimate" is
the cross-entropy of the symbols under the networks' probabilities in float64; "tables" that under
the integer tables made of the snapped ones, which make a file readable everywhere and may cost
0.3 %; "coded" is what the coder wrote, the ends of the streams included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np
from numpy.typing import NDArray

import neurocodec
from benchmarks import timings
from neurocodec import coding, container
from neurocodec.codecs.base import Codec
from neurocodec.evaluation import hardware
from neurocodec.evaluation.images import find_images
from neurocodec.image import open_photo


@dataclass(frozen=True)
class Rates:
    """Bits of the symbols of one file, or of several together."""

    estimate: float
    tables: float
    coded: float

    def __add__(self, other: Rates) -> Rates:
        return Rates(
            self.estimate + other.estimate, self.tables + other.tables, self.coded + other.coded
        )


def rates(codec: Codec, data: bytes) -> Rates:
    """Of a file of this codec."""
    decode_symbols = coding.decode_symbols
    found: list[float] = []

    def watched(cdf: NDArray[np.int16], stream: bytes) -> NDArray[np.int16]:
        symbols = decode_symbols(cdf, stream)
        found.append(coding.entropy_bits(cdf, symbols))
        return symbols

    file = container.read(data)
    with patch.object(coding, "decode_symbols", watched):
        estimate = codec.estimate(file)
    return Rates(estimate, sum(found), 8.0 * sum(map(len, file.streams)))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Photographs.")
@click.option("--model", "models", multiple=True, default=("vae",), show_default=True)
@click.option("--quality", "qualities", type=float, multiple=True, default=(10, 50, 90))
@click.option("--out", type=click.Path(path_type=Path), help="TSV to write.")
def main(data: Path, models: tuple[str, ...], qualities: tuple[float, ...], out: Path) -> None:
    """Measure, and print the table."""
    rows = []
    for model in models:
        codec = neurocodec.load(model)
        totals = dict.fromkeys(qualities, Rates(0, 0, 0))
        for path in find_images(data):
            prepared = codec.prepare(open_photo(path))
            for quality in qualities:
                attempt = codec.attempt(prepared, container.snap_quality(quality))
                totals[quality] += rates(codec, attempt.data)
        rows += [row(model, quality, total) for quality, total in totals.items()]
    facts = hardware.describe()
    click.echo(timings.markdown(facts, rows))
    if out:
        timings.save(out, facts, rows)


def row(model: str, quality: float, total: Rates) -> dict[str, str]:
    return {
        "model": model,
        "quality": f"{quality:g}",
        "estimate, bits": f"{total.estimate:.0f}",
        "tables": f"{total.tables / total.estimate - 1:+.3%}",
        "coded": f"{total.coded / total.estimate - 1:+.3%}",
    }


if __name__ == "__main__":
    main()
