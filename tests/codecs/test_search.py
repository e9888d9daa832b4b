"""Bisection on quality, with a measure that is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocodec.codecs import search
from neurocodec.errors import InvalidArgument


class Curve:
    """Attempts are their quality; the measure grows as quality ** power. Both are counted."""

    def __init__(self, power: float = 1.0) -> None:
        self.power, self.tried, self.measured = power, [], []

    def attempt(self, quality: float) -> float:
        self.tried.append(quality)
        return quality

    def measure(self, quality: float) -> float:
        self.measured.append(quality)
        return quality**self.power


@given(st.floats(0.1, 3), st.floats(1, 100))
def test_the_lowest_quality_that_reaches_the_target(power, quality):
    curve = Curve(power)
    target = quality**power
    found = search.lowest_reaching(curve.attempt, curve.measure, target, "score")
    assert target <= found**power
    assert found - search.STEP <= quality or found**power <= target * (1 + 1e-4)
    assert sorted(curve.measured) == sorted(curve.tried)  # once each
    assert len(curve.tried) <= 2 + 15


@given(st.floats(0.1, 3), st.floats(1, 100))
def test_the_highest_quality_within_the_limit(power, quality):
    curve = Curve(power)
    limit = quality**power
    found = search.highest_within(curve.attempt, curve.measure, limit, "size")
    assert found**power <= limit
    assert found + search.STEP >= quality or found**power >= limit * (1 - 1e-3)
    assert len(curve.tried) <= 2 + 15


def test_a_sample_without_a_measure_is_no_guide():
    """A sample of one colour is decoded exactly: its PSNR is infinite."""
    curve = Curve()
    found = search.lowest_reaching(
        curve.attempt, curve.measure, 40.0, "score", lambda quality: float("inf")
    )
    assert 40 <= found <= 40 + search.STEP


def test_targets_out_of_reach_say_what_can_be_had():
    curve = Curve()
    with pytest.raises(InvalidArgument, match="score 101 is out of reach: quality 100 gives 100;"):
        search.lowest_reaching(curve.attempt, curve.measure, 101, "score")
    with pytest.raises(InvalidArgument, match=r"size 0\.5 is out of reach: quality 1 gives 1;"):
        search.highest_within(curve.attempt, curve.measure, 0.5, "size")
