import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurocodec.coding import cdf_from_grid, entropy_bits
from neurocodec.coding.cdf import exp_table, frequencies
from neurocodec.errors import InvalidArgument

INT32 = np.iinfo(np.int32)


def indices(*rows):
    return np.array(rows, dtype=np.int32)


def counts(cdf):
    """Frequencies (N, L) of a CDF, its last entry read as 2**16."""
    entries = cdf.view(np.uint16).astype(np.int64)
    assert not entries[:, 0].any()
    assert not entries[:, -1].any()
    entries[:, -1] = 2**16
    return np.diff(entries)


def softmax_counts(row):
    """The formula of the specification, in Python's own integers."""
    levels = len(row)
    weights = [int(exp_table()[min(max(row) - i, 533)]) for i in row]
    result = [1 + w * (2**16 - levels) // sum(weights) for w in weights]
    result[row.index(max(row))] += 2**16 - sum(result)
    return result


GRIDS = st.integers(2, 40).flatmap(
    lambda levels: arrays(
        np.int32,
        st.tuples(st.integers(1, 5), st.just(levels)),
        elements=st.one_of(st.integers(-600, 600), st.integers(-(2**15), 2**15)),
    )
)


def test_exp_table_is_pinned():
    table = exp_table()
    assert table[:3].tolist() == [16777216, 16261035, 15760735]
    assert (len(table), table[-2], table[-1]) == (534, 1, 0)
    assert hashlib.sha256(table.astype("<i8").tobytes()).hexdigest() == (
        "a2d83ea0b85d8a031910ac48cf9067a42985e36a756489470010bdcbbf09006e"
    )
    for distance, weight in enumerate(table.tolist()):
        assert weight == pytest.approx(2**24 * math.exp(-distance / 32), abs=1.001)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0, 0], [32768, 32768]),
        ([5, 5, 5], [21846, 21845, 21845]),
        ([0, 10000], [1, 65535]),
        ([10000, 0], [65535, 1]),
        ([0, 7, 0], [20199, 25138, 20199]),
        ([-3, 20, 20, -3], [10737, 22032, 22030, 10737]),
        ([INT32.min, INT32.max, 0], [1, 65534, 1]),
    ],
)
def test_known_rows(row, expected):
    assert counts(cdf_from_grid(indices(row))).tolist() == [expected]


@given(GRIDS)
@settings(max_examples=100, deadline=None)
def test_contract_and_formula(grid):
    cdf = cdf_from_grid(grid)
    assert cdf.dtype == np.int16
    assert cdf.flags.c_contiguous
    frequency = counts(cdf)
    assert (frequency >= 1).all()
    assert (frequency.sum(axis=1) == 2**16).all()
    assert frequency.tolist() == [softmax_counts(row) for row in grid.tolist()]


@given(GRIDS, st.integers(-1000, 1000))
@settings(max_examples=50, deadline=None)
def test_only_differences_matter(grid, shift):
    assert np.array_equal(cdf_from_grid(grid + np.int32(shift)), cdf_from_grid(grid))


@given(GRIDS, st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_impossible_symbols_cost_one_count_each(grid, extra):
    """The same probabilities for any L: symbols of no weight take one count each, no more."""
    padding = np.full((len(grid), extra), -(2**17), dtype=np.int32)
    before = counts(cdf_from_grid(grid))
    after = counts(cdf_from_grid(np.concatenate([grid, padding], axis=1)))
    levels = grid.shape[1]
    assert (after[:, levels:] == 1).all()
    assert (abs(after[:, :levels] - before) <= extra + levels).all()


@pytest.mark.parametrize("levels", [2, 7, 129, 300, 1024])
def test_rows_do_not_depend_on_their_neighbours(levels):
    rng = np.random.default_rng(levels)
    count = 3 * (2**16 // levels) + 5  # several blocks
    grid = (rng.normal(0, 2, (count, levels)) * 32).astype(np.int32)
    cdf = cdf_from_grid(grid)
    for row in (0, 1, count // 2, count - 6, count - 1):
        assert counts(cdf[row : row + 1]).tolist() == [softmax_counts(grid[row].tolist())]
    assert np.array_equal(cdf_from_grid(np.asfortranarray(grid)), cdf)
    assert (counts(cdf).sum(axis=1) == 2**16).all()


def test_close_to_softmax():
    grid = (np.random.default_rng(1).normal(0, 2, (500, 9)) * 32).astype(np.int32)
    exact = np.exp(grid / 32)
    exact /= exact.sum(axis=1, keepdims=True)
    assert abs(counts(cdf_from_grid(grid)) - exact * 2**16).max() < 10


def test_no_rows():
    assert cdf_from_grid(np.empty((0, 7), np.int32)).shape == (0, 8)
    assert entropy_bits(np.empty((0, 8), np.int16), np.empty(0, np.int16)) == 0


def test_entropy_bits_values():
    cdf = cdf_from_grid(indices([0, 0], [0, 10000], [0, 10000], [5, 5, 5][:2]))
    symbols = np.array([1, 1, 0, 0], np.int16)
    assert frequencies(cdf, symbols).tolist() == [32768, 65535, 1, 32768]
    assert entropy_bits(cdf, symbols) == pytest.approx(1 - math.log2(65535 / 65536) + 16 + 1)


@pytest.mark.parametrize(
    "grid",
    [
        np.zeros((3, 4)),
        np.zeros((3, 4), np.int64),
        np.zeros(4, np.int32),
        np.zeros((3, 1), np.int32),
        np.zeros((3, 1025), np.int32),
    ],
)
def test_bad_grids(grid):
    with pytest.raises(InvalidArgument):
        cdf_from_grid(grid)


@pytest.mark.parametrize(
    ("cdf", "message"),
    [
        ([[0, 5, 0]], "list"),
        (np.array([[0, 5, 0]], np.int32), "int32"),
        (np.array([0, 5, 0], np.int16), r"\(3,\)"),
        (np.array([[0, 0]], np.int16), "alphabet of 1 "),
        (np.zeros((1, 1026), np.int16), "alphabet of 1025 "),
        (np.array([[1, 5, 0]], np.int16), "from 0"),
        (np.array([[0, 5, 9]], np.int16), "from 0"),
        (np.array([[0, 5, 5, 0]], np.int16), "strictly"),
        (np.array([[0, -5, 5, 0]], np.int16), "strictly"),
        (np.array([[0, 0, 0]], np.int16), "strictly"),
    ],
)
def test_bad_cdfs(cdf, message):
    with pytest.raises(InvalidArgument, match=message):
        entropy_bits(cdf, np.zeros(1, np.int16))


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([0], "list"),
        (np.zeros(1, np.int64), "int64"),
        (np.zeros((1, 1), np.int16), r"\(1, 1\)"),
        (np.zeros(2, np.int16), "2 symbols"),
        (np.array([-1], np.int16), "-1..-1"),
        (np.array([3], np.int16), "0..2"),
    ],
)
def test_bad_symbols(symbols, message):
    with pytest.raises(InvalidArgument, match=message):
        entropy_bits(cdf_from_grid(indices([1, 2, 3])), symbols)
