import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.coding import LOGIT_STEP, boundary_distance, cdf_from_grid, choose_offset, snap
from neurocodec.coding.grid import guard_for
from neurocodec.errors import InvalidArgument, NczError


def logits(*values):
    return np.array([values], dtype=np.float64)


def boundary(cell, offset):
    """The logit at which the index becomes `cell`."""
    return (cell - 0.5 - offset / 256) * LOGIT_STEP


def test_snap_values():
    steps = logits(0, 0.49, 0.5, -0.5, -0.51, 3.2, -7.9) * LOGIT_STEP
    assert snap(steps).tolist() == [[0, 0, 1, 0, -1, 3, -8]]
    assert snap(steps, 128).tolist() == [[0 + 1, 1, 1, 0, 0, 4, -7]]
    assert snap(steps).dtype == np.int32


def test_snap_clips():
    assert snap(logits(1e300, -1e300, np.inf, -np.inf)).tolist() == [
        [2**15, -(2**15), 2**15, -(2**15)]
    ]


@pytest.mark.parametrize("function", [snap, boundary_distance])
@pytest.mark.parametrize(
    ("values", "offset"),
    [
        (np.zeros((1, 2), np.float32), 0),
        (np.zeros(2), 0),
        (logits(0, 1), 256),
        (logits(0, 1), -1),
        (logits(0, np.nan), 0),
    ],
)
def test_bad_arguments(function, values, offset):
    with pytest.raises(InvalidArgument):
        function(values, offset)


def test_snap_leaves_its_input_alone():
    values = logits(0.1, 0.2)
    snap(values)
    boundary_distance(values)
    assert values.tolist() == [[0.1, 0.2]]


def test_boundary_distance_values():
    assert boundary_distance(logits(0, LOGIT_STEP)) == LOGIT_STEP / 2
    assert boundary_distance(logits(0, boundary(5, 0))) == 0
    assert boundary_distance(logits(0, boundary(5, 0) + 1e-7)) == pytest.approx(1e-7, rel=1e-5)
    assert boundary_distance(logits(0, boundary(5, 0) - 1e-7)) == pytest.approx(1e-7, rel=1e-5)
    assert boundary_distance(logits(boundary(-3, 77)), 77) == 0
    assert boundary_distance(np.empty((0, 5))) == LOGIT_STEP / 2


def test_clipped_logits_have_no_boundary():
    assert boundary_distance(logits(1e20, -1e20, 1e300, np.inf)) == LOGIT_STEP / 2
    assert boundary_distance(logits(boundary(2**15, 0))) == 0
    assert boundary_distance(logits(boundary(2**15 + 1, 0))) == LOGIT_STEP / 2
    assert boundary_distance(logits(boundary(-(2**15) + 1, 0))) == 0
    assert boundary_distance(logits(boundary(-(2**15), 0))) == LOGIT_STEP / 2


def test_choose_offset_is_zero_without_cause():
    values = np.random.default_rng(0).normal(0, 5, (1000, 7))
    assert choose_offset([values, values]) == 0
    assert choose_offset([]) == 0


@pytest.mark.parametrize("error", [0, 5e-10, -5e-10])
def test_choose_offset_avoids_planted_boundaries(error):
    clear = logits(0.1, 0.2)
    for planted in range(4):
        values = logits(*(boundary(7, offset) + error for offset in range(planted + 1)))
        assert choose_offset([clear, values]) == planted + 1


def test_choose_offset_respects_the_guard():
    values = logits(0, boundary(7, 0) + 1e-6)
    assert choose_offset([values], guard=1e-7) == 0
    assert choose_offset([values], guard=1e-5) == 1


def test_guard_narrows_with_the_number_of_logits():
    assert guard_for(0) == guard_for(4_000_000) == 1e-9
    assert guard_for(132_000_000) == pytest.approx(1.18e-10, rel=0.01)
    # About one logit in `count` lies within the guard: 256 offsets leave many that are clear.
    count = 200_000
    values = np.random.default_rng(1).normal(0, 5, (count // 10, 10))
    wide = LOGIT_STEP / (2 * count)
    assert 0 <= choose_offset([values], guard=wide) < 20
    with pytest.raises(NczError):
        choose_offset([values], guard=100 * wide)


def test_choose_offset_gives_up():
    with pytest.raises(NczError, match="quality"):
        choose_offset([logits(*(boundary(0, offset) for offset in range(256)))])


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
@settings(max_examples=50, deadline=None)
def test_offset_absorbs_noise_and_shifts_by_one_step_at_most(seed, offset):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 4, (50, 7))
    base, shifted = snap(values), snap(values, offset)
    assert set(np.unique(shifted - base)) <= {0, 1}
    if boundary_distance(values, offset) > 1e-9:
        noise = rng.uniform(-1e-10, 1e-10, values.shape)
        assert np.array_equal(snap(values + noise, offset), shifted)
    # One step either way in every logit: probabilities change by 2 * LOGIT_STEP of themselves.
    before = np.diff(cdf_from_grid(base).view(np.uint16)[:, :-1].astype(int))
    after = np.diff(cdf_from_grid(shifted).view(np.uint16)[:, :-1].astype(int))
    assert (abs(after - before) <= before * np.expm1(2 * LOGIT_STEP) + 8).all()
