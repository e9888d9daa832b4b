"""Time and memory of one codec on one photograph, its round trip verified first:

    python -m benchmarks.speed --codec cvqn --image photo.png --threads 2

Times are medians of 5 with the networks loaded and warm. Each peak of memory belongs to a fresh
process that loads the codec and encodes, or decodes, once. The cold start is ``ncz decode`` beside
``python -c 'import torch'``. Without ``--image``, a synthetic one of 768x512. ``--check`` compares
with the limits of the project and exits with 1 where one is missed.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import fresh

REPEATS = 5
LIMITS = {
    "encode_s": 1.0,
    "decode_s": 1.0,
    "encode_peak_mb": 1500.0,
    "decode_peak_mb": 1500.0,
    "cold_start_s": 2.0,
    "streams": 16,
}
"""What 768x512 on two threads may take; cold_start_s is what ``ncz decode`` adds to torch."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.worker:
        job = json.loads(options.worker)
        print(json.dumps(TASKS[job["task"]](job)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = measure(options, Path(folder))
        except RuntimeError as error:
            print(f"speed: error: {error}", file=sys.stderr)
            return 1
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    missed = [name for name, limit in LIMITS.items() if (result.get(name) or 0) > limit]
    for name, value in result.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        mark = f"   over the limit of {LIMITS[name]:g}" if name in missed else ""
        print(f"{name:16} {'not measured' if value is None else shown}{mark}")
    return 1 if options.check and missed else 0


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures by name: seconds, megabytes (10^6 bytes), counts; None for what cannot be had."""
    result = warm(options, folder)
    return result | _cold_start(options, folder, bool(result["streams"]))


def warm(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures but those of a cold start; leaves photo.ncz in the folder."""
    payload, picture = folder / "photo.ncz", folder / "photo.png"
    result = _worker("time", options, payload, picture)
    for verb in ("encode", "decode"):
        result[f"{verb}_peak_mb"] = _worker(verb, options, payload, picture)["peak_mb"]
    return result


def _cold_start(options: argparse.Namespace, folder: Path, is_ncz: bool) -> dict[str, float | None]:
    """Medians of three alternating runs of ``ncz decode`` and of an import of torch."""
    beside = Path(sys.executable).with_name("ncz")
    ncz = str(beside) if beside.exists() else shutil.which("ncz")
    if not is_ncz or ncz is None:
        return {"ncz_decode_s": None, "import_torch_s": None, "cold_start_s": None}
    payload, out = str(folder / "photo.ncz"), str(folder / "out.png")
    decode = [ncz, "decode", payload, out, "--device", options.device]
    decode += ["--threads", str(options.threads)] if options.threads else []
    torch = [sys.executable, "-c", "import torch"]
    times: dict[str, list[float]] = {"decode": [], "torch": []}
    for _ in range(3):
        for name, command in (("torch", torch), ("decode", decode)):
            start = time.perf_counter()
            fresh.output(command, options.threads)
            times[name].append(time.perf_counter() - start)
    with_ncz, alone = median(times["decode"]), median(times["torch"])
    return {"ncz_decode_s": with_ncz, "import_torch_s": alone, "cold_start_s": with_ncz - alone}


def _worker(task: str, options: argparse.Namespace, payload: Path, picture: Path) -> dict[str, Any]:
    """Run ``task`` of this file in a fresh process; what it prints last is its result."""
    job = {
        "task": task,
        "codec": options.codec,
        "quality": options.quality,
        "device": options.device,
        "threads": options.threads,
        "image": str(options.image) if options.image else None,
        "payload": str(payload),
        "picture": str(picture),
    }
    return fresh.answer("benchmarks.speed", job, options.threads)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", default="cvqn", help="a shipped model, or a peer such as jpeg")
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--image", type=Path, metavar="FILE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 over a limit")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # this file's own fresh processes
    return parser.parse_args(arguments)


# What follows runs in the fresh processes.


def _time(job: dict[str, Any]) -> dict[str, Any]:
    """Verify the round trip, warm up by it, then time; leaves the file for the other tasks."""
    from PIL import Image

    from neurocodec.evaluation.hardware import describe
    from neurocodec.evaluation.images import read_rgb, to_rgb
    from neurocodec.metrics import psnr

    codec = _codec(job)
    pixels = read_rgb(Path(job["image"])) if job["image"] else _synthetic()
    photo = Image.fromarray(pixels)
    data = codec.encode(photo, job["quality"])
    first, second = to_rgb(codec.decode(data)), to_rgb(codec.decode(data))
    if first.shape != pixels.shape or (first != second).any():
        raise RuntimeError("the decoded image has another size, or differs between two decodes")
    if codec.encode(photo, job["quality"]) != data:
        raise RuntimeError("two encodes of one image differ")
    Path(job["payload"]).write_bytes(data)
    photo.save(job["picture"])
    return {
        **describe(job["device"], job["threads"]),
        "codec": job["codec"],
        "quality": job["quality"],
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "bytes": len(data),
        "psnr": psnr(pixels, first),
        "streams": _streams(data),
        "encode_s": _median(lambda: codec.encode(photo, job["quality"])),
        "decode_s": _median(lambda: codec.decode(data).load()),  # Pillow may be lazy
    }


def _encode(job: dict[str, Any]) -> dict[str, Any]:
    from PIL import Image

    codec = _codec(job)
    with Image.open(job["picture"]) as photo:
        codec.encode(photo.convert("RGB"), job["quality"])
    return peak()


def _decode(job: dict[str, Any]) -> dict[str, Any]:
    _codec(job).decode(Path(job["payload"]).read_bytes()).load()
    return peak()


TASKS = {"time": _time, "encode": _encode, "decode": _decode}


def _codec(job: dict[str, Any]) -> Any:
    from neurocodec.evaluation.peers import PEERS, select

    if job["codec"] in {peer.name for peer in PEERS}:
        return select([job["codec"]])[0]
    import torch

    from neurocodec import zoo

    if job["threads"]:
        torch.set_num_threads(job["threads"])
    return zoo.load(job["codec"], job["device"])


def _streams(data: bytes) -> int | None:
    """Coded streams of an .ncz file; None for other formats."""
    from neurocodec import container
    from neurocodec.errors import BadMagic

    try:
        return len(container.read(data).streams)
    except BadMagic:
        return None


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def peak() -> dict[str, Any]:
    """Of this process's resident memory, so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose getrusage begins with the peak of the parent
        kibibytes = int(status.read_text().partition("VmHWM:")[2].split()[0])
        return {"peak_mb": kibibytes * 1024 / 1e6}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6}


def _synthetic() -> Any:
    """(512, 768, 3) uint8: noise at four scales, so that there is something to code everywhere."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    image = np.zeros((512, 768, 3))
    for scale, weight in ((128, 60), (32, 30), (8, 15), (2, 5)):
        small = random.integers(0, 256, (512 // scale, 768 // scale, 3), dtype=np.uint8)
        layer = Image.fromarray(small).resize((768, 512), Image.Resampling.BICUBIC)
        image += weight * (np.asarray(layer) / 127.5 - 1)
    return (128 + image).clip(0, 255).round().astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
