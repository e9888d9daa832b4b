"""Memory, time, rate and seams of pictures of many megapixels:

    python -m benchmarks.large --data DIR --model cvqn --megapixels 1 4 16 64 100 --out large.tsv

A picture of each size is put together from the photographs of a folder, each also mirrored, in
cells whose edges do not fall on those of tiles. ``ncz encode`` and ``ncz decode`` run in processes
of their own; of each are measured the seconds of processor time, which other work on the machine
stretches little, and the peak of resident memory. PSNR is that of a band of 16 pixels along the
borders of the tiles and that of the rest. Up to ``--whole`` megapixels the picture is also coded
without tiles, for the rate and for the PSNR in the same places. Rows are added to the table.

This process imports neither torch nor numpy: on Linux a child's peak memory starts from its
parent's.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import fresh

HALF_BAND = 8
COLUMNS = (
    "model", "quality", "width", "height", "tiles", "bytes", "encode_cpu_s", "decode_cpu_s",
    "encode_peak_mb", "decode_peak_mb", "psnr_borders", "psnr_rest", "whole_bytes",
    "whole_psnr_borders", "whole_psnr_rest",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.worker:
        job = json.loads(options.worker)
        print(json.dumps(TASKS[job.pop("task")](**job)))
        return 0
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            row = measure(options, megapixels, Path(folder))
        print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)
        if options.out:
            _add(options.out, row)
    return 0


def measure(options: argparse.Namespace, megapixels: float, folder: Path) -> dict[str, Any]:
    """One row of the table, by the names in `COLUMNS`; empty where not measured."""
    side = round((megapixels * 1e6) ** 0.5)
    picture, coded, decoded = folder / "in.ppm", folder / "coded.ncz", folder / "out.ppm"
    _worker("make", folder=str(options.data), side=side, target=str(picture))
    encoding = ["encode", str(picture), str(coded), "--model", options.model]
    encoding += ["-q", f"{options.quality:g}", "--threads", str(options.threads)]
    decoding = ["decode", str(coded), str(decoded), "--threads", str(options.threads)]
    runs = {"encode": _ncz(*encoding), "decode": _ncz(*decoding)}
    info = json.loads(_ncz("info", "--json", str(coded))["out"])
    tiles = len(info["tiles"])
    job = {
        "original": str(picture), "decoded": str(decoded),
        "tile_width": info["tile_width"] or side, "tile_height": info["tile_height"] or side,
    }  # fmt: skip
    row = dict.fromkeys(COLUMNS, "") | {
        "model": options.model, "quality": f"{options.quality:g}", "width": side, "height": side,
        "tiles": tiles or 1, "bytes": coded.stat().st_size, **_worker("score", **job),
    }  # fmt: skip
    for name, run in runs.items():
        row |= {f"{name}_cpu_s": f"{run['cpu_s']:.1f}", f"{name}_peak_mb": f"{run['peak_mb']:.0f}"}
    if tiles and megapixels <= options.whole:
        _ncz(*encoding, "--tile-size", "0")
        _ncz(*decoding)
        score = {f"whole_{name}": value for name, value in _worker("score", **job).items()}
        row |= {"whole_bytes": coded.stat().st_size, **score}
    return row


def _ncz(*arguments: str) -> dict[str, Any]:
    """``ncz`` in a process of its own: its output, processor seconds, and peak in 10^6 bytes."""
    return _call([sys.executable, "-m", "neurocodec", *arguments])


def _worker(task: str, **job: Any) -> dict[str, Any]:
    """The result of a task of this file, in a fresh process."""
    try:
        return fresh.answer("benchmarks.large", {"task": task, **job})
    except RuntimeError as error:
        raise SystemExit(f"large: error: {error}") from error


def _call(command: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"large: error: {' '.join(command[1:4])} failed, see above")
        out.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "out": out.read().decode(),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss * unit / 1e6,
        }


def _add(path: Path, row: dict[str, Any]) -> None:
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="photographs")
    parser.add_argument("--model", default="cvqn")
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16, 64, 100])
    parser.add_argument("--whole", type=float, default=4, metavar="MP")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="FILE", help="table to add to")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="for pictures meanwhile")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # this file's own fresh processes
    options = parser.parse_args(arguments)
    if not options.worker and options.data is None:
        parser.error("--data is needed: a folder of photographs")
    return options


# What follows runs in the fresh processes.


def _make(folder: str, side: int, target: str) -> dict[str, Any]:
    """A picture of side × side pixels, in cells of 720×464."""
    import itertools

    import numpy as np
    from PIL import Image

    from neurocodec.evaluation.images import find_images
    from neurocodec.image import open_photo

    paths = find_images(Path(folder))
    width, height = 720, 464
    pixels = np.empty((side, side, 3), np.uint8)
    corners = itertools.product(range(0, side, height), range(0, side, width))
    for number, (y, x) in enumerate(corners):
        again, index = divmod(number, len(paths))
        photo = Image.fromarray(open_photo(paths[index]).pixels)
        cell = np.asarray(photo.resize((width, height), box=_middle(photo.size, width / height)))
        cell = cell[:: (-1) ** (again % 2), :: (-1) ** (again // 2 % 2)]
        pixels[y : y + height, x : x + width] = cell[: side - y, : side - x]
    Image.fromarray(pixels).save(target)
    return {}


def _middle(size: tuple[int, int], shape: float) -> tuple[float, float, float, float]:
    """The largest box of this shape in the middle of a photograph."""
    width, height = min(size[0], size[1] * shape), min(size[1], size[0] / shape)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _score(original: str, decoded: str, tile_width: int, tile_height: int) -> dict[str, Any]:
    """PSNR along the borders of tiles and of the rest, in dB; empty where there are no pixels."""
    import math

    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(original) as first, Image.open(decoded) as second:
        a, b = np.asarray(first), np.asarray(second)
    height, width = a.shape[:2]
    near = [
        np.isin(np.arange(side) // HALF_BAND + 1, np.arange(size, side, size) // HALF_BAND)
        | np.isin(np.arange(side) // HALF_BAND, np.arange(size, side, size) // HALF_BAND)
        for side, size in ((height, tile_height), (width, tile_width))
    ]
    squares, counts = {True: 0, False: 0}, {True: 0, False: 0}
    for y in range(height):
        error = np.square(a[y].astype(np.int32) - b[y]).sum(axis=1)
        band = near[1] | near[0][y]
        for inside in (True, False):
            squares[inside] += int(error[band == inside].sum())
            counts[inside] += 3 * int((band == inside).sum())
    psnr = {
        inside: f"{10 * math.log10(255**2 * counts[inside] / squares[inside]):.3f}"
        if counts[inside] and squares[inside]
        else ""
        for inside in counts
    }
    return {"psnr_borders": psnr[True], "psnr_rest": psnr[False]}


TASKS = {"make": _make, "score": _score}


if __name__ == "__main__":
    sys.exit(main())
