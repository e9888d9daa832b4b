"""Time to encode and decode a photograph, beside networks of CompressAI with its own coder:

    python -m benchmarks.compressai --image photo.png --threads 2

All in one process, networks loaded and warm, from pixels in memory to coded bytes and back. The
codecs take turns, every other time in the opposite order. CompressAI's networks are untrained, as
their weights would have to be downloaded: that changes nothing of the networks' own work, but they
leave little to its coder. Their rate is therefore not shown.

kMAC/px are thousands of multiply-accumulates of the networks, a pixel. Each peak of memory is that
of a fresh process that loads one codec, encodes and decodes once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import click

from benchmarks import fresh, speed
from neurocodec.cli.options import comma_list
from neurocodec.errors import NczError

NETWORKS = {
    "bmshj2018-hyperprior, N=128, M=192": ("bmshj2018-hyperprior", 128, 192),
    "bmshj2018-hyperprior, N=192, M=320": ("bmshj2018-hyperprior", 192, 320),
    "mbt2018-mean, N=128, M=192": ("mbt2018-mean", 128, 192),
    "mbt2018-mean, N=192, M=320": ("mbt2018-mean", 192, 320),
}
"""Architectures and their numbers of channels: CompressAI's for lower and for higher rates."""

NOTE = (
    "CompressAI's networks have random weights: their bytes mean nothing, and their coder has "
    "other symbols to code than with trained ones, so these times are only about right."
)


class System(Protocol):
    """What is timed: pixels (H, W, 3) uint8 to something coded, and back to pixels."""

    def encode(self, pixels: Any) -> Any: ...

    def decode(self, coded: Any) -> Any: ...

    def size(self, coded: Any) -> int | None:
        """Bytes; None where they mean nothing."""


@click.command(help="Time to encode and decode, beside networks of CompressAI with its own coder.")
@click.option("--image", type=click.Path(exists=True, dir_okay=False), help="A photograph.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--models", default="vae,cvqn", show_default=True, callback=comma_list)
@click.option(
    "--quality",
    type=click.FloatRange(1, 100),
    default=50.0,
    show_default=True,
    help="Of the models.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too, as TSV.")
@click.option("--worker", hidden=True)  # this file's own fresh processes
def main(
    image: str | None,
    threads: int,
    repeats: int,
    models: tuple[str, ...],
    quality: float,
    out: Path | None,
    worker: str | None,
) -> None:
    if worker:
        try:
            click.echo(json.dumps(run(json.loads(worker))))
        except NczError as error:
            sys.exit(str(error))  # one line, which the parent shows
        return
    if image is None:
        raise click.UsageError("--image is needed: name a photograph")
    names = [*models, *NETWORKS]
    job = {"image": image, "threads": threads, "repeats": repeats, "quality": quality}
    try:
        found = _worker(job | {"task": "time", "codecs": names})
        for name, row in zip(names, found["rows"], strict=True):
            row |= _worker(job | {"task": "peak", "codecs": [name]})
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    from benchmarks import timings

    click.echo(f"{timings.markdown(found['facts'], found['rows'])}\n{NOTE}")
    if out:
        timings.save(out, found["facts"], found["rows"])


def _worker(job: dict[str, Any]) -> dict[str, Any]:
    return fresh.answer("benchmarks.compressai", job, job["threads"])


# What follows runs in the fresh processes.


def run(job: dict[str, Any]) -> dict[str, Any]:
    """The result of one job, see `TASKS`."""
    from neurocodec.evaluation.images import read_rgb
    from neurocodec.threads import torch_threads

    with torch_threads(job["threads"]):
        systems = {name: _system(name, job["quality"]) for name in job["codecs"]}
        return TASKS[job["task"]](job, read_rgb(Path(job["image"])), systems)


def _time(job: dict[str, Any], pixels: Any, systems: dict[str, System]) -> dict[str, Any]:
    """The machine, and a row a system: verified first, which also warms it up, then timed."""
    from neurocodec.evaluation.hardware import describe

    area = pixels.shape[0] * pixels.shape[1]
    rows: list[dict[str, str]] = []
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, system in systems.items():
        encode = partial(system.encode, pixels)
        coded, encoding = _counted(encode)
        decode = partial(system.decode, coded)
        decoded, decoding = _counted(decode)
        if decoded.shape != pixels.shape or (decoded != decode()).any():
            raise RuntimeError(f"{name}: the picture has another size, or two decodes differ")
        size = system.size(coded)
        rows.append({
            "codec": name,
            "bpp": "–" if size is None else f"{8 * size / area:.3f}",
            "encode kMAC/px": f"{encoding / area / 1000:.1f}",
            "decode kMAC/px": f"{decoding / area / 1000:.1f}",
        })  # fmt: skip
        calls |= {(name, "encode"): encode, (name, "decode"): decode}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for number in range(job["repeats"]):
        for key in list(calls)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            calls[key]()
            times[key].append(time.perf_counter() - start)
    for row in rows:
        for verb in ("encode", "decode"):
            taken = times[row["codec"], verb]
            row |= {f"{verb} s": f"{median(taken):.3f}", f"best {verb} s": f"{min(taken):.3f}"}
    return {"facts": _facts(job, pixels) | describe(threads=job["threads"]), "rows": rows}


def _peak(job: dict[str, Any], pixels: Any, systems: dict[str, System]) -> dict[str, Any]:
    for system in systems.values():
        system.decode(system.encode(pixels))
    return {"peak MB": f"{speed.peak()['peak_mb']:.0f}"}


TASKS = {"time": _time, "peak": _peak}


def _facts(job: dict[str, Any], pixels: Any) -> dict[str, str]:
    return {
        "image": f"{Path(job['image']).name}, {pixels.shape[1]}x{pixels.shape[0]}",
        "quality": f"{job['quality']:g}",
        "repeats": str(job["repeats"]),
    }


def _counted(call: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the multiply-accumulates of its networks."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result = call()
    return result, counter.get_total_flops() / 2


def _system(name: str, quality: float) -> System:
    if name in NETWORKS:
        return Theirs(_network(*NETWORKS[name]))
    from neurocodec import zoo

    return Ours(zoo.load(name), quality)


class Ours:
    """A codec of the zoo at one quality."""

    def __init__(self, codec: Any, quality: float) -> None:
        self.codec, self.quality = codec, quality

    def encode(self, pixels: Any) -> bytes:
        data: bytes = self.codec.encode(pixels, self.quality)
        return data

    def decode(self, coded: bytes) -> Any:
        from neurocodec.evaluation.images import to_rgb

        return to_rgb(self.codec.decode(coded))

    def size(self, coded: bytes) -> int:
        return len(coded)


class Theirs:
    """A network of CompressAI through its own ``compress`` and ``decompress``."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def encode(self, pixels: Any) -> Any:
        import torch

        from neurocodec.codecs.base import pad, to_tensor
        from neurocodec.image import open_photo

        x = pad(to_tensor(open_photo(pixels), torch.device("cpu")), 64)
        with torch.no_grad():
            return self.network.compress(x) | {"size": pixels.shape[:2]}

    def decode(self, coded: Any) -> Any:
        import torch

        from neurocodec.codecs.base import to_pixels

        with torch.no_grad():
            x = self.network.decompress(coded["strings"], coded["shape"])["x_hat"]
        height, width = coded["size"]
        return to_pixels(x[:, :, :height, :width])

    def size(self, coded: Any) -> None:
        return None


def _network(architecture: str, *channels: int) -> Any:
    """With random weights, and the tables of its coder filled."""
    import torch

    from neurocodec.interop.compressai import require_models

    require_models()
    from compressai.registry import MODELS

    torch.manual_seed(0)
    network = MODELS[architecture](*channels).eval()
    network.update()
    return network


if __name__ == "__main__":
    main()
