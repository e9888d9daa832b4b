"""The sweep: every codec on every image at every quality, one row each, resumable."""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from neurocodec.errors import InvalidArgument, NczError
from neurocodec.evaluation.images import read_rgb, to_rgb
from neurocodec.evaluation.rows import Row, RowLog
from neurocodec.metrics import (
    MS_SSIM_MIN_SIDE,
    SSIM_MIN_SIDE,
    Pixels,
    Plane,
    luma,
    ms_ssim,
    psnr,
    ssim,
)


@dataclass(frozen=True)
class Entrant:
    """A codec as it enters the sweep.

    ``codec`` has ``encode(image, quality) -> bytes`` and ``decode(data) -> image``, both callable
    from several threads. With ``rate_report(data)``, an object of ``estimated_bits``,
    ``coded_bits`` and ``file_bits``, its three rates are put side by side.
    """

    name: str
    codec: Any
    qualities: tuple[float, ...]
    version: str = ""
    """Rows on disk are used again only where this agrees."""


class _Task(NamedTuple):
    entrant: Entrant
    path: Path
    crc32: str
    quality: float

    @property
    def key(self) -> tuple[str, str, float]:
        return self.entrant.name, self.path.name, self.quality


def sweep(
    entrants: Sequence[Entrant], images: Sequence[Path], table: Path, *, jobs: int = 1
) -> list[Row]:
    """Measure what the CSV ``table`` does not hold yet; return the rows asked for.

    They come by codec, then image, then quality, each in the order given.

    Each row reaches the disk before the next is measured, so an interrupted sweep continues where
    it stopped. With ``jobs`` > 1, that many threads share the work: faster, but the times of rows
    then include waiting for each other. Every codec is warmed up before its first row.
    """
    _check(entrants, images, jobs)
    log = RowLog(table)
    read = lru_cache(jobs + 1)(read_rgb)  # not the whole folder: photographs are large
    grid = [
        _Task(entrant, path, crc32, float(quality))
        for path in images
        for crc32 in [f"{zlib.crc32(read(path).tobytes()):08x}"]
        for entrant in entrants
        for quality in dict.fromkeys(entrant.qualities)
    ]
    todo = [task for task in grid if not _is_known(task, log)]
    for entrant in {task.entrant.name: task.entrant for task in todo}.values():
        _warm_up(entrant, read(images[0]))

    def call(task: _Task) -> Row:
        return measure(task.entrant, task.path.name, read(task.path), task.crc32, task.quality)

    progress = tqdm(total=len(grid), initial=len(grid) - len(todo), unit="row", disable=None)
    with progress:
        for row in _run(call, todo, jobs):
            log.append(row)
            progress.set_postfix_str(f"{row.codec} {row.image}")
            progress.update()
    order = [entrant.name for entrant in entrants]
    return sorted((log.rows[task.key] for task in grid), key=lambda row: order.index(row.codec))


def measure(entrant: Entrant, image: str, pixels: Pixels, crc32: str, quality: float) -> Row:
    """Encode and decode ``pixels`` once, and judge the result.

    Whatever the codec raises becomes an :class:`NczError` that names codec, image and quality.
    """
    height, width = pixels.shape[:2]
    photo = Image.fromarray(pixels)
    try:
        start = time.perf_counter()
        data = entrant.codec.encode(photo, quality)
        encoded = time.perf_counter()
        decoded = entrant.codec.decode(data)
        decoded.load()  # Pillow puts the work off until somebody looks
        done = time.perf_counter()
        copy = to_rgb(decoded)
        grey = luma(pixels), luma(copy)
        report = getattr(entrant.codec, "rate_report", None)
        bits = report(data) if report else None
        return Row(
            codec=entrant.name,
            image=image,
            quality=quality,
            width=width,
            height=height,
            bytes=len(data),
            bpp=round(8 * len(data) / (width * height), 6),
            psnr=round(psnr(pixels, copy), 4),
            ms_ssim=_ms_ssim_or_nan(pixels, copy),
            encode_s=round(encoded - start, 4),
            decode_s=round(done - encoded, 4),
            estimated_bits=round(float(bits.estimated_bits), 1) if bits else None,
            coded_bits=float(bits.coded_bits) if bits else None,
            file_bits=float(bits.file_bits) if bits else None,
            version=entrant.version,
            image_crc32=crc32,
            psnr_luma=round(psnr(*grey), 4),
            ssim=_ssim_or_nan(pixels, copy),
            ssim_luma=_ssim_or_nan(*grey),
        )
    except Exception as error:
        raise NczError(
            f"{entrant.name} failed on {image} at quality {quality:g}: {error}; "
            "leave it out, or mend it and run again to continue"
        ) from error


def _ms_ssim_or_nan(a: Pixels, b: Pixels) -> float:
    if a.shape == b.shape and min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        return float("nan")
    return round(ms_ssim(a, b), 7)


def _ssim_or_nan(a: Pixels | Plane, b: Pixels | Plane) -> float:
    return float("nan") if min(a.shape[:2]) < SSIM_MIN_SIDE else round(ssim(a, b), 7)


def _run(call: Callable[[_Task], Row], tasks: Sequence[_Task], jobs: int) -> Iterator[Row]:
    """Rows of the tasks: in order in this thread, or as they come from ``jobs`` threads."""
    if jobs == 1:
        yield from map(call, tasks)
        return
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(call, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _is_known(task: _Task, log: RowLog) -> bool:
    row = log.rows.get(task.key)
    return row is not None and (row.version, row.image_crc32) == (task.entrant.version, task.crc32)


def _warm_up(entrant: Entrant, pixels: Pixels) -> None:
    """Loading of libraries, compilation and first allocations belong to no row."""
    crop = Image.fromarray(np.ascontiguousarray(pixels[:256, :256]))
    try:
        entrant.codec.decode(entrant.codec.encode(crop, entrant.qualities[0]))
    except Exception as error:
        raise NczError(
            f"{entrant.name} failed on a small crop: {error}; leave it out or mend it"
        ) from error


def _check(entrants: Sequence[Entrant], images: Sequence[Path], jobs: int) -> None:
    if jobs < 1:
        raise InvalidArgument(f"jobs is {jobs}: give 1 or more")
    for what, names in (
        ("codecs", [entrant.name for entrant in entrants]),
        ("images", [path.name for path in images]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InvalidArgument(f"two {what} are called {min(twice)}: give each its own name")
    for entrant in entrants:
        if not entrant.qualities:
            raise InvalidArgument(f"{entrant.name} has no qualities: give at least one")
