"""What the encoder's own choices cost or save: weight of the context, importance map.

    python -m benchmarks.encoder_choices --data DIR [--model cvqn] [--weight W]...

On photographs held out of the training (never Kodak), whole files; BD-rates against the plain
quantizer without a map.
"""

from __future__ import annotations

import click
import numpy as np

from neurocodec import metrics
from neurocodec.codecs import weights
from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.evaluation.bdrate import bd_rate
from neurocodec.training import data, recipe
from neurocodec.training.run import VALIDATION_CROP
from neurocodec.zoo import WEIGHTS, by_name

QUALITIES = (8, 25, 50, 75, 95)


@click.command()
@click.option("--data", "folders", multiple=True, required=True, help="Folders of the training.")
@click.option("--photos", default=6, show_default=True)
@click.option("--model", default="cvqn", show_default=True)
@click.option(
    "--weight", "tried", multiple=True, type=float, default=(0.03, 0.05, 0.1, 0.2),
    show_default=True, help="`rate_aware` of the codec; 0, the plain quantizer, comes first.",
)  # fmt: skip
def main(folders: tuple[str, ...], photos: int, model: str, tried: tuple[float, ...]) -> None:
    """Print a line a choice: weight of the symbols' probability, map, BD-rates."""
    folder = by_name(model).folder
    smallest = recipe.load(folder / "recipe.yaml").data.crop
    # The trainer holds out the first that are large enough, in this order.
    decoded = data.decode(data.list_photos(folders)[: 10 * photos], smallest)
    held_out = [p for p in decoded if min(p.shape[1:]) >= VALIDATION_CROP][:photos]
    pictures = [p[:, :384, :512].permute(1, 2, 0).numpy() for p in held_out]
    codec = weights.codec_from_bytes((folder / WEIGHTS).read_bytes())
    reference = None
    choices = [(weight, False) for weight in (0.0, *tried)]
    if isinstance(codec, CVQNCodec):
        choices.insert(1, (0.0, True))
    for weight, use_map in choices:
        codec.rate_aware = weight
        rows = []
        for quality in QUALITIES:
            scores = []
            for pixels in pictures:
                coded = codec.encode(pixels, quality, importance=use_map)
                decoded_pixels = np.asarray(codec.decode(coded))
                scores.append(
                    (
                        8 * len(coded) / (pixels.shape[0] * pixels.shape[1]),
                        metrics.psnr(pixels, decoded_pixels),
                        metrics.ms_ssim(pixels, decoded_pixels),
                    )
                )
            bpp, psnr, similarity = np.mean(scores, axis=0)
            rows.append((bpp, psnr, metrics.ms_ssim_db(similarity)))
        rates, psnrs, similarities = zip(*rows, strict=True)
        curves = (rates, psnrs), (rates, similarities)
        reference = reference or curves
        changes = [
            bd_rate(a, b, rate_range=(0.0, 9.0)).percent
            for a, b in zip(reference, curves, strict=True)
        ]
        click.echo(
            f"weight {weight:g}, map {'on' if use_map else 'off'}: "
            f"PSNR {changes[0]:+.2f} %, MS-SSIM {changes[1]:+.2f} %"
        )


if __name__ == "__main__":
    main()
