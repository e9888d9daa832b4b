"""Quality that reaches a target: bisection on a rate or a score that grows with quality."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from neurocodec.container import snap_quality
from neurocodec.errors import InvalidArgument

T = TypeVar("T")
LOW, HIGH, STEP = 1.0, 100.0, 1 / 256
ROUNDS = 4
"""Attempts that a search guided by a sample makes before it does without."""


class OutOfReach(InvalidArgument):
    """No quality gives what is asked for."""


def lowest_reaching(
    attempt: Callable[[float], T],
    measure: Callable[[T], float],
    target: float,
    name: str,
    rough: Callable[[float], float] | None = None,
) -> T:
    """The attempt at the lowest quality whose measure is at least ``target``, or one that exceeds
    it by 0.01 % at most; with ``rough`` by 0.05 %, if that is soon found.

    Each attempt is measured once: to score a picture takes as long as to code it.
    rough: what the measure will be like at a quality, for where an attempt takes long.
    """
    if rough is not None:
        near = _by_sample(attempt, measure, rough, target, below=False, close=5e-4)
        if near is not None:
            return near
    best = attempt(HIGH)
    reached = measure(best)
    if reached < target:
        raise OutOfReach(
            f"{name} {target:g} is out of reach: quality 100 gives {reached:.4g}; lower it"
        )
    low, high = LOW, HIGH
    first = attempt(LOW)
    if measure(first) >= target:
        return first
    while high - low > STEP and reached > target * (1 + 1e-4):
        middle = (low + high) / 2
        tried = attempt(middle)
        found = measure(tried)
        if found >= target:
            best, reached, high = tried, found, middle
        else:
            low = middle
    return best


def highest_within(
    attempt: Callable[[float], T],
    measure: Callable[[T], float],
    limit: float,
    name: str,
    rough: Callable[[float], float] | None = None,
) -> T:
    """The attempt at the highest quality whose measure is at most ``limit``, or one that stays
    below it by 0.1 % at most; with ``rough`` by 0.5 %, if that is soon found.

    rough: as for `lowest_reaching`.
    """
    if rough is not None:
        near = _by_sample(attempt, measure, rough, limit, below=True, close=5e-3)
        if near is not None:
            return near
    best = attempt(LOW)
    if measure(best) > limit:
        raise OutOfReach(
            f"{name} {limit:g} is out of reach: quality 1 gives {measure(best):.4g}; raise it"
        )
    last = attempt(HIGH)
    if measure(last) <= limit:
        return last
    low, high = LOW, HIGH
    while high - low > STEP and measure(best) < limit * (1 - 1e-3):
        middle = (low + high) / 2
        tried = attempt(middle)
        if measure(tried) <= limit:
            best, low = tried, middle
        else:
            high = middle
    return best


def _by_sample(
    attempt: Callable[[float], T],
    measure: Callable[[T], float],
    rough: Callable[[float], float],
    target: float,
    below: bool,
    close: float,
) -> T | None:
    """An attempt on the right side of the target and near it, or the best of a few on that side.

    Each tells what ``rough`` has to be multiplied by. None where none came out on that side.
    """
    rough = cache(rough)
    factor, best, distance = 1.0, None, float("inf")
    for _ in range(ROUNDS):
        quality = _crossing(rough, target / factor, below)
        if not 0 < rough(quality) < float("inf"):  # a sample of one colour has no PSNR
            break
        tried = attempt(quality)
        value = measure(tried)
        missed = abs(value / target - 1)
        fits = value <= target if below else value >= target
        if fits and missed < distance:
            best, distance = tried, missed
        if fits and (missed < close or quality == (HIGH if below else LOW)):
            break
        if not fits and quality == (LOW if below else HIGH):
            break
        # One that has just failed should not do so again by a hair.
        nudge = 1.0 if fits else (1 + close / 4) ** (1 if below else -1)
        factor = value / rough(quality) * nudge
    return best


def _crossing(rough: Callable[[float], float], target: float, below: bool) -> float:
    """The highest quality at most, or the lowest at least, at the target; else the nearest end."""
    low, high = LOW, HIGH
    if rough(high) <= target:
        return high
    if rough(low) >= target:
        return low
    while high - low > 4 * STEP:
        middle = snap_quality((low + high) / 2)
        if rough(middle) <= target:
            low = middle
        else:
            high = middle
    return low if below else high
