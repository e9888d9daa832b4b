import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.bdrate import bd_rate, rate_span

RATES = [0.1, 0.2, 0.4, 0.8, 1.5]
QUALITIES = [27.0, 29.5, 32.5, 36.0, 40.0]


def scaled(factor, rates=RATES):
    return [factor * rate for rate in rates]


def test_half_the_rate_everywhere_is_minus_fifty():
    result = bd_rate((RATES, QUALITIES), (scaled(0.5), QUALITIES), rate_range=(0.01, 10))
    assert result.percent == pytest.approx(-50)
    assert (result.low, result.high) == (27, 40)
    assert (result.reference_points, result.points) == (5, 5)


def test_shifted_lines_have_a_closed_form():
    """Log-rate a + bq against c + dq over 30..36 dB: the mean difference is at 33 dB."""
    rates = [math.exp(0.2 * q - 8) for q in (28, 30, 33, 36)]
    others = [math.exp(0.15 * q - 6) for q in (30, 34, 37)]
    result = bd_rate((rates, (28, 30, 33, 36)), (others, (30, 34, 37)), rate_range=(0.01, 10))
    assert (result.low, result.high) == (30, 36)
    assert result.percent == pytest.approx(100 * math.expm1(-0.05 * 33 + 2))


def test_curved_interpolation_is_pchip():
    """Fritsch-Carlson by hand: slopes 1 and 3, three-point end slopes, weighted harmonic mean."""
    log_rates = np.array([0.0, 1.0, 4.0]) - 2  # over q = 0, 1, 2: steps 1, secants 1 and 3
    middle = 2 / (1 / 1 + 1 / 3)
    first, last = (3 * 1 - 3) / 2, (3 * 3 - 1) / 2
    area = sum(  # of a cubic Hermite piece: mean of its ends plus (m0 - m1)/12
        (y0 + y1) / 2 + (m0 - m1) / 12
        for y0, y1, m0, m1 in ((-2, -1, first, middle), (-1, 2, middle, last))
    )
    flat = np.exp([-2.0, -2.0 + 1e-9]), (0, 2)
    result = bd_rate(flat, (np.exp(log_rates), (0, 1, 2)), rate_range=(0.01, 10))
    assert result.percent == pytest.approx(100 * math.expm1((area + 4) / 2), rel=1e-6)


def test_points_outside_the_range_are_dropped_before_the_fit():
    rates, qualities = [0.089, *RATES, 1.601], [20.0, *QUALITIES, 90.0]
    inside = bd_rate((RATES, QUALITIES), (scaled(0.9), QUALITIES))
    with_far = bd_rate((rates, qualities), (scaled(0.9), QUALITIES))
    assert with_far == inside
    assert (inside.reference_points, inside.points) == (5, 5)  # 0.9 * 0.1 = 0.09 is in


def test_ends_of_the_range_count():
    ends = [0.09, 0.3, 1.6]
    assert bd_rate((ends, (1, 2, 3)), (ends, (1, 2, 3))).points == 3


def test_order_and_lossless_points_do_not_matter():
    straight = bd_rate((RATES, QUALITIES), (scaled(1.05), QUALITIES))
    shuffled = bd_rate(
        (RATES[::-1], QUALITIES[::-1]), ([1.58, *scaled(1.05)], [math.inf, *QUALITIES])
    )
    assert shuffled == straight


@given(st.floats(0.5, 2), st.floats(0.5, 2))
def test_exchanging_the_curves_inverts_the_ratio(factor, bend):
    test = scaled(factor), [27 + (q - 27) * bend for q in QUALITIES]
    there = bd_rate((RATES, QUALITIES), test, rate_range=(0.01, 10)).percent
    back = bd_rate(test, (RATES, QUALITIES), rate_range=(0.01, 10)).percent
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (([0.1], [30]), "the tested curve has 1 points within 0.09..1.6 bpp"),
        (([0.01, 2.0], [30, 31]), "has 0 points"),
        (([0.1, 0.2], [50, 60]), "share no quality: 27.00..40.00 dB and 50.00..60.00 dB"),
        (([0.1, 0.2], [40, 50]), "share no quality"),
        (([0.1, 0.2], [31, 30]), "not increasing: 0.1000 bpp gives 31.000 dB"),
        (([0.1, 0.1], [30, 31]), "not increasing"),
        (([0.1, 0.2], [30, 30]), "not increasing"),
        (([0.1, 0.2], [30]), "2 rates and 1 qualities"),
    ],
)
def test_curves_that_cannot_be_compared(test, message):
    with pytest.raises(InvalidArgument, match=message):
        bd_rate((RATES, QUALITIES), test)


def test_the_reference_is_named_where_it_is_at_fault():
    with pytest.raises(InvalidArgument, match=r"^the reference has 1 points"):
        bd_rate(([0.1], [30]), (RATES, QUALITIES))


def test_the_span_of_a_constant_change_is_a_point():
    span = rate_span((RATES, QUALITIES), (scaled(0.8), QUALITIES), rate_range=(0.01, 10))
    assert (span.lowest, span.highest) == pytest.approx((-20, -20))
    assert (span.low, span.high) == (27, 40)


def test_extremes_at_the_ends_of_the_overlap():
    """Between two points each, log-rate is a line: extremes are where the common range ends."""
    reference = [math.exp(0.2 * q - 8) for q in (28, 36)], (28, 36)
    test = [math.exp(0.15 * q - 6) for q in (30, 37)], (30, 37)
    span = rate_span(reference, test, rate_range=(0.01, 10))
    assert (span.low, span.high, span.lowest_at, span.highest_at) == (30, 36, 36, 30)
    assert span.lowest == pytest.approx(100 * math.expm1(-0.05 * 36 + 2))
    assert span.highest == pytest.approx(100 * math.expm1(-0.05 * 30 + 2))


def test_an_extreme_at_a_measured_point_is_found_exactly():
    rates = scaled(1.0)
    rates[2] *= 0.6
    span = rate_span((RATES, QUALITIES), (rates, QUALITIES), rate_range=(0.01, 10))
    assert span.lowest <= -40 + 1e-9
    assert abs(span.lowest_at - QUALITIES[2]) < 1
    swapped = rate_span((rates, QUALITIES), (RATES, QUALITIES), rate_range=(0.01, 10))
    assert swapped.highest == pytest.approx(100 / (1 + span.lowest / 100) - 100)
    assert swapped.highest_at == span.lowest_at


@given(st.lists(st.floats(0.75, 1.2), min_size=5, max_size=5))
def test_the_mean_change_lies_within_the_span(factors):
    rates = [f * rate for f, rate in zip(factors, RATES, strict=True)]
    span = rate_span((RATES, QUALITIES), (rates, QUALITIES), rate_range=(0.01, 10))
    mean = bd_rate((RATES, QUALITIES), (rates, QUALITIES), rate_range=(0.01, 10)).percent
    assert span.lowest - 1e-9 <= mean <= span.highest + 1e-9
    changes = [100 * (f - 1) for f in factors]
    assert span.lowest <= min(changes) + 1e-9
    assert span.highest >= max(changes) - 1e-9


def test_spans_respect_the_range_of_rates():
    test = [0.05, 0.1, 0.2, 0.4, 1.5], QUALITIES
    span = rate_span((RATES, QUALITIES), test)
    assert (span.low, span.high) == (29.5, 40)
    assert span.highest == pytest.approx(0)
    with pytest.raises(InvalidArgument, match="share no quality"):
        rate_span((RATES, QUALITIES), ([0.1, 0.2], [50, 60]))
    with pytest.raises(InvalidArgument, match="the reference has 1 points"):
        rate_span(([0.1], [30]), (RATES, QUALITIES))
