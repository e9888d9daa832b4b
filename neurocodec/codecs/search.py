"""Quality that reaches a target: bisection on a rate or a score that grows with quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from neurocodec.errors import InvalidArgument

T = TypeVar("T")
LOW, HIGH, STEP = 1.0, 100.0, 1 / 256


def lowest_reaching(
    attempt: Callable[[float], T], measure: Callable[[T], float], target: float, name: str
) -> T:
    """The attempt at the lowest quality whose measure is at least ``target``.

    Each attempt is measured once: to score a picture takes as long as to code it.
    """
    best = attempt(HIGH)
    reached = measure(best)
    if reached < target:
        raise InvalidArgument(
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
    attempt: Callable[[float], T], measure: Callable[[T], float], limit: float, name: str
) -> T:
    """The attempt at the highest quality whose measure is at most ``limit``."""
    best = attempt(LOW)
    if measure(best) > limit:
        raise InvalidArgument(
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
