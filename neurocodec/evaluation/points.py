"""Points of a rate-distortion curve: means over the images at each quality."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from neurocodec.evaluation.curves import Curve
from neurocodec.evaluation.rows import Row


@dataclass(frozen=True)
class Point:
    """One codec at one quality, every value but the counts a mean over images."""

    codec: str
    quality: float
    images: int
    ms_ssim_images: int
    """How many of the images were large enough for MS-SSIM."""
    bytes: float
    bpp: float
    psnr: float
    ms_ssim: float
    encode_s: float
    decode_s: float


def mean_points(rows: Iterable[Row]) -> list[Point]:
    """Points in the order of their codecs, and by rate within a codec.

    MS-SSIM is averaged over the images that have one; it is nan where none has.
    """
    points = []
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.quality), []).append(row)
    for (codec, quality), group in groups.items():
        similar = [row.ms_ssim for row in group if not math.isnan(row.ms_ssim)]
        points.append(
            Point(
                codec=codec,
                quality=quality,
                images=len(group),
                ms_ssim_images=len(similar),
                bytes=fmean(row.bytes for row in group),
                bpp=fmean(row.bpp for row in group),
                psnr=fmean(row.psnr for row in group),
                ms_ssim=fmean(similar) if similar else math.nan,
                encode_s=fmean(row.encode_s for row in group),
                decode_s=fmean(row.decode_s for row in group),
            )
        )
    codecs = list(dict.fromkeys(point.codec for point in points))
    return sorted(points, key=lambda point: (codecs.index(point.codec), point.bpp))


def curves_of(points: Iterable[Point]) -> list[Curve]:
    """One curve a codec; without MS-SSIM where the images were too small for it."""
    curves = []
    for codec, group in groupby(points, key=lambda point: point.codec):
        own = list(group)
        similar = tuple(point.ms_ssim for point in own)
        curves.append(
            Curve(
                name=codec,
                bpp=tuple(point.bpp for point in own),
                psnr=tuple(point.psnr for point in own),
                ms_ssim=None if any(map(math.isnan, similar)) else similar,
            )
        )
    return curves
