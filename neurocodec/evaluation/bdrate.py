"""Bjøntegaard delta rate: how many more bytes for the same quality, on average or at worst.

DESIGN 9: log-rate as a piecewise-cubic Hermite interpolant (PCHIP) of quality, its mean difference
over the qualities that both curves cover. Points outside :data:`RATE_RANGE` are dropped *before*
the fit, so that no far-away point bends or lengthens a curve; nothing is ever extrapolated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from neurocodec.errors import InvalidArgument
from neurocodec.extras import require

RATE_RANGE = (0.09, 1.6)
"""Rates that count, in bits per pixel, both ends included."""


@dataclass(frozen=True)
class BdRate:
    """Result of :func:`bd_rate`."""

    percent: float
    """Mean change of rate against the reference; negative is better."""
    low: float
    """Lower end of the common range of quality, in dB."""
    high: float
    """Upper end of the common range of quality, in dB."""
    reference_points: int
    points: int


@dataclass(frozen=True)
class RateSpan:
    """Result of :func:`rate_span`."""

    lowest: float
    """Change of rate in percent where the tested curve does best; negative is better."""
    lowest_at: float
    """The quality, in dB, where that is."""
    highest: float
    """The change where it does worst."""
    highest_at: float
    low: float
    """Lower end of the common range of quality, in dB."""
    high: float


def bd_rate(
    reference: tuple[Sequence[float], Sequence[float]],
    test: tuple[Sequence[float], Sequence[float]],
    *,
    rate_range: tuple[float, float] = RATE_RANGE,
) -> BdRate:
    """BD-rate of ``test`` against ``reference``, each (rates in bpp, qualities in dB).

    Points may come in any order; those without a finite quality (lossless) are dropped. Raises
    :class:`InvalidArgument` where a curve has fewer than two points in ``rate_range``, where its
    quality does not grow with its rate, or where the two share no quality.

    >>> base = [0.1, 0.2, 0.4, 0.8], [28.0, 31.0, 34.0, 37.0]
    >>> half = [0.05, 0.1, 0.2, 0.4], [28.0, 31.0, 34.0, 37.0]
    >>> round(bd_rate(base, half, rate_range=(0, 2)).percent, 6)
    -50.0
    """
    a = _clean(*reference, rate_range, "the reference")
    b = _clean(*test, rate_range, "the tested curve")
    low, high = _overlap(a, b)
    difference = (_area(b, low, high) - _area(a, low, high)) / (high - low)
    return BdRate(100 * math.expm1(difference), low, high, len(a), len(b))


def rate_span(
    reference: tuple[Sequence[float], Sequence[float]],
    test: tuple[Sequence[float], Sequence[float]],
    *,
    rate_range: tuple[float, float] = RATE_RANGE,
) -> RateSpan:
    """The smallest and largest change of rate at equal quality, over the common qualities.

    Curves, interpolation and errors as in :func:`bd_rate`; looked at in every measured point of
    either curve and at a thousand qualities between.

    >>> base = [0.1, 0.2, 0.4, 0.8], [28.0, 31.0, 34.0, 37.0]
    >>> test = [0.05, 0.1, 0.2, 0.6], [28.0, 31.0, 34.0, 37.0]
    >>> span = rate_span(base, test, rate_range=(0, 2))
    >>> round(span.highest, 6), span.highest_at
    (-25.0, 37.0)
    """
    a = _clean(*reference, rate_range, "the reference")
    b = _clean(*test, rate_range, "the tested curve")
    low, high = _overlap(a, b)
    places = {low + (high - low) * i / 1000 for i in range(1000)}  # low, and never beyond high
    places |= {q for _, q in (*a, *b) if low <= q <= high}
    qualities = sorted(places)
    logs = _curve(b)(qualities) - _curve(a)(qualities)
    best, worst = int(logs.argmin()), int(logs.argmax())
    return RateSpan(
        lowest=100 * math.expm1(logs[best]),
        lowest_at=qualities[best],
        highest=100 * math.expm1(logs[worst]),
        highest_at=qualities[worst],
        low=low,
        high=high,
    )


def _overlap(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> tuple[float, float]:
    """The range of quality that both curves cover."""
    low, high = max(a[0][1], b[0][1]), min(a[-1][1], b[-1][1])
    if not low < high:
        raise InvalidArgument(
            f"the curves share no quality: {a[0][1]:.2f}..{a[-1][1]:.2f} dB "
            f"and {b[0][1]:.2f}..{b[-1][1]:.2f} dB; measure points of closer quality"
        )
    return low, high


def _clean(
    rates: Sequence[float], qualities: Sequence[float], limits: tuple[float, float], name: str
) -> list[tuple[float, float]]:
    """The (rate, quality) points that count, by rate."""
    if len(rates) != len(qualities):
        raise InvalidArgument(
            f"{name} has {len(rates)} rates and {len(qualities)} qualities: give one of each"
        )
    low, high = limits
    points = sorted(
        (r, q)
        for r, q in zip(rates, qualities, strict=True)
        if low <= r <= high and math.isfinite(q)
    )
    if len(points) < 2:
        raise InvalidArgument(
            f"{name} has {len(points)} points within {low:g}..{high:g} bpp: measure at least two"
        )
    for (r0, q0), (r1, q1) in pairwise(points):
        if not (0 < r0 < r1 and q0 < q1):
            raise InvalidArgument(
                f"{name} is not increasing: {r0:.4f} bpp gives {q0:.3f} dB, "
                f"{r1:.4f} bpp gives {q1:.3f} dB; leave out the dominated setting"
            )
    return points


def _area(points: list[tuple[float, float]], low: float, high: float) -> float:
    """Integral of log-rate over quality from ``low`` to ``high``."""
    return float(_curve(points).integrate(low, high))


def _curve(points: list[tuple[float, float]]) -> Any:
    """Log-rate as a function of quality."""
    pchip = require("scipy.interpolate").PchipInterpolator
    return pchip([q for _, q in points], [math.log(r) for r, _ in points])
