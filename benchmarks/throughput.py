"""Megapixels a second of worker processes that encode and decode the photographs of a folder,
beside Pillow's WebP and AVIF in the same run:

    python -m benchmarks.throughput --data KODAK --processes 1,2

Every worker has one thread, holds the pixels and the networks, and has coded a photograph with
every codec before the clock starts. What is timed goes from pixels in memory to files in memory, or
back. The codecs take turns, every other time in the opposite order; the median of the repeats
counts. All are asked for the same quality, each on its own scale: compare times of codecs only
together with their bpp and PSNR.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from threading import Barrier, BrokenBarrierError
from typing import Any, NamedTuple

import click
from PIL import AvifImagePlugin, Image

from benchmarks import timings
from neurocodec import metrics, zoo
from neurocodec.cli.options import comma_list, number_list
from neurocodec.errors import MissingDependency, NczError
from neurocodec.evaluation import hardware
from neurocodec.evaluation.images import find_images, read_rgb, to_rgb
from neurocodec.evaluation.peers import Peer, through_pillow

# As Pillow has them by default, other than in the comparisons of rate and distortion.
PEERS = {
    "webp": Peer(
        "webp",
        "WebP (method 4)",
        (),
        **through_pillow("WEBP", lambda q: {"quality": q, "method": 4}),
        feature="webp",
    ),
    "avif": Peer(
        "avif",
        "AVIF 4:2:0 (speed 6)",
        (),
        **through_pillow("AVIF", lambda q: {"quality": int(q), "speed": 6}),
        feature="avif",
    ),
}


def _process_counts(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[int, ...]:
    counts = number_list(context, parameter, value) or ()
    if not counts or any(count < 1 or count % 1 for count in counts):
        raise click.BadParameter(f"{value!r} is no list of numbers of processes: write 1,2")
    return tuple(map(int, counts))


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Photographs.")
@click.option("--models", default="vae,cvqn", show_default=True, callback=comma_list)
@click.option("--processes", default="1,2", show_default=True, callback=_process_counts)
@click.option("--photos", type=click.IntRange(min=1), help="As many, the first by name.")
@click.option("--quality", type=click.FloatRange(1, 100), default=50.0, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too, as TSV.")
def main(
    data: Path,
    models: tuple[str, ...],
    processes: tuple[int, ...],
    photos: int | None,
    quality: float,
    repeats: int,
    out: Path | None,
) -> None:
    """Megapixels a second of worker processes, beside Pillow's WebP and AVIF."""
    names = [*models, *PEERS]
    try:
        titles = [zoo.by_name(name).name for name in models]
        titles += [_available(peer).title for peer in PEERS.values()]
        paths = find_images(data)[:photos]
        found = [measure(paths, names, quality, count, repeats) for count in processes]
    except NczError as error:
        raise click.ClickException(str(error)) from error
    facts = {
        "photographs": f"{len(paths)} of {data.name}",
        "quality": f"{quality:g}",
        "repeats": str(repeats),
        **hardware.describe(threads=1),
    }
    rows = [
        {"codec": title, **row}
        for title, *of_codec in zip(titles, *found, strict=True)
        for row in of_codec
    ]
    click.echo(timings.markdown(facts, rows), nl=False)
    if out:
        timings.save(out, facts, rows)


def measure(
    paths: Sequence[Path], names: Sequence[str], quality: float, count: int, repeats: int
) -> list[dict[str, str]]:
    """A row a codec, with ``count`` processes."""
    with _workers(paths, names, quality, count) as pool:

        def each(call: Callable[..., Any], name: str, *inputs: Iterable[Any]) -> list[Any]:
            return list(pool.map(partial(call, name), *inputs))

        numbers = range(len(paths))
        files = {name: each(_encode, name, numbers) for name in names}
        scores = {name: each(_score, name, numbers, files[name]) for name in names}
        seconds: dict[tuple[str, str], list[float]] = {}
        for repeat in range(repeats):
            for name in names[:: -1 if repeat % 2 else 1]:
                for verb, call, inputs in (
                    ("encode", _encode, numbers),
                    ("decode", _decode, files[name]),
                ):
                    start = time.perf_counter()
                    each(call, name, inputs)
                    seconds.setdefault((name, verb), []).append(time.perf_counter() - start)
    rows = []
    for name in names:
        pixels = sum(score.pixels for score in scores[name])
        speeds = {
            f"{verb} MP/s": f"{pixels / 1e6 / median(seconds[name, verb]):.3g}"
            for verb in ("encode", "decode")
        }
        bits = 8 * sum(map(len, files[name]))
        psnr = fmean(score.psnr for score in scores[name])
        rows.append(
            {
                "processes": str(count),
                **speeds,
                "bpp": f"{bits / pixels:.3f}",
                "PSNR": f"{psnr:.2f}",
            }
        )
    return rows


@contextmanager
def _workers(
    paths: Sequence[Path], names: Sequence[str], quality: float, count: int
) -> Iterator[ProcessPoolExecutor]:
    """Processes that are all ready. Raises what went wrong in one of them."""
    context = get_context("spawn")  # torch's own threads do not survive a fork
    together = context.Barrier(count)
    with ProcessPoolExecutor(count, context, _join, (together,)) as pool:
        ready = [pool.submit(_prepare, paths, names, quality) for _ in range(count)]
        errors = [future.exception() for future in ready]
        for error in sorted(filter(None, errors), key=lambda e: isinstance(e, BrokenBarrierError)):
            raise error
        yield pool


def _available(peer: Peer) -> Peer:
    if reason := peer.missing():
        raise MissingDependency(f"{peer.title} cannot run: {reason}")
    return peer


# What follows runs in the workers.


class Score(NamedTuple):
    pixels: int
    psnr: float


_together: Barrier
_photos: list[Image.Image]
_codecs: dict[str, Any]
_quality: float


def _join(together: Barrier) -> None:
    global _together
    _together = together


def _prepare(paths: Sequence[Path], names: Sequence[str], quality: float) -> None:
    """Returns when every worker has come this far, so that each does it once."""
    import torch

    global _photos, _codecs, _quality
    try:
        torch.set_num_threads(1)
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # else as many as there are cores
        _photos, _quality = [Image.fromarray(read_rgb(path)) for path in paths], quality
        _codecs = {name: PEERS.get(name) or zoo.load(name) for name in names}
        for name in names:
            _decode(name, _encode(name, 0))
    except BaseException:
        _together.abort()  # the others would wait for ever
        raise
    _together.wait()


def _encode(name: str, number: int) -> bytes:
    data: bytes = _codecs[name].encode(_photos[number], _quality)
    return data


def _decode(name: str, data: bytes) -> None:
    _codecs[name].decode(data).load()  # Pillow may be lazy


def _score(name: str, number: int, data: bytes) -> Score:
    """Raises InvalidArgument where the picture has another size."""
    original, decoded = to_rgb(_photos[number]), to_rgb(_codecs[name].decode(data))
    return Score(original.shape[0] * original.shape[1], metrics.psnr(original, decoded))


if __name__ == "__main__":
    main()
