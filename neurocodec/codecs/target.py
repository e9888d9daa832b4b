"""What an encoding may be asked for instead of a quality: a rate, a size, or a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neurocodec import metrics
from neurocodec.codecs import search
from neurocodec.codecs.attempt import Attempt
from neurocodec.codecs.tiles import Tiled
from neurocodec.errors import InvalidArgument
from neurocodec.image import Photo, as_mode

BPP, SIZE, PSNR, MS_SSIM = "target bpp", "target size", "target PSNR", "target MS-SSIM"


class Target(NamedTuple):
    """``name``: one of those above. ``value``: in file bits a pixel, bytes, dB, or of (0, 1)."""

    name: str
    value: float


def only(targets: dict[str, float | None]) -> Target | None:
    """The one that is given, by name. Raises InvalidArgument for two, and for none above zero."""
    given = [Target(name, value) for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise InvalidArgument(f"{given[0].name} and {given[1].name} exclude each other: give one")
    if given and not given[0].value > 0:
        raise InvalidArgument(f"{given[0].name} {given[0].value} must be positive")
    return given[0] if given else None


def meet(
    target: Target, photo: Photo, attempt: Callable[[float], Attempt], tiled: Tiled | None
) -> bytes:
    """The file of the lowest quality that reaches a score, of the highest that keeps to a rate.

    attempt: ``photo`` coded at a quality. tiled: where that is done in tiles, whose sample then
    guides the search. Raises InvalidArgument where no quality gives what is asked for.
    """
    found = _within if target.name in (BPP, SIZE) else _reaching
    return found(target, photo, attempt, tiled).data


def _within(
    target: Target, photo: Photo, attempt: Callable[[float], Attempt], tiled: Tiled | None
) -> Attempt:
    pixels = _count(photo.pixels)

    def measure(size: float) -> float:
        return size if target.name == SIZE else 8 * size / pixels

    def rough(quality: float) -> float:
        assert tiled is not None
        return measure(len(tiled.sample(quality).data) * pixels / _count(tiled.original))

    try:
        return search.highest_within(
            attempt, lambda tried: measure(len(tried.data)), target.value, target.name,
            rough if tiled is not None else None,
        )  # fmt: skip
    except search.OutOfReach as error:
        carried = sum(map(len, filter(None, (photo.icc, photo.exif, photo.xmp))))
        if not carried:
            raise
        raise InvalidArgument(
            f"{error}, or leave out metadata (--metadata none), up to {carried} bytes"
        ) from error


def _reaching(
    target: Target, photo: Photo, attempt: Callable[[float], Attempt], tiled: Tiled | None
) -> Attempt:
    metric = metrics.psnr if target.name == PSNR else metrics.ms_ssim

    def score(original: np.ndarray, coded: Attempt) -> float:
        return metric(original, as_mode(coded.pixels(), photo.mode))

    def rough(quality: float) -> float:
        assert tiled is not None
        return score(tiled.original, tiled.sample(quality))

    # Tiles too small for the metric say nothing of it: the picture itself is searched.
    smallest = metrics.MS_SSIM_MIN_SIDE if target.name == MS_SSIM else 1
    guided = tiled is not None and min(tiled.original.shape[:2]) >= smallest
    return search.lowest_reaching(
        attempt, lambda tried: score(photo.pixels, tried), target.value, target.name,
        rough if guided else None,
    )  # fmt: skip


def _count(pixels: np.ndarray) -> int:
    return pixels.shape[0] * pixels.shape[1]
