"""Mixtures of Gaussians as integer tables, against the normal distribution itself."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.coding import (
    cdf_from_mixture,
    centres,
    decode_symbols,
    encode_symbols,
    grid_units,
    intervals_from_mixture,
)
from neurocodec.coding import mixture as module
from neurocodec.coding.cdf import check_cdf, exp_table, frequencies
from neurocodec.coding.grid import snap
from neurocodec.errors import InvalidArgument

GOLDEN_CENTRES = [1, -1]
GOLDEN = [
    [0, 11473, 19831, 32445, 43978, 50471, 53181, 0],
    [0, 16280, 16332, 16333, 49150, 49151, 49203, 0],
]
GOLDEN_NORMAL = "656be1ba98581bcf2fa691485b5bfb997586a8d4f69a6e79ceab36aea1b4b489"


def row(*components):
    """(log-weight, mean, log σ) a component, in natural units -> grid indices (1, 3K) int32."""
    values = np.array([components], np.float64).transpose(0, 2, 1).reshape(1, -1)
    return snap(values * grid_units(len(components)))


def below(x, components):
    """The mixture's probability of lying below x."""
    weights = np.exp([weight for weight, _, _ in components])
    shares = [
        0.5 * math.erfc(-(x - mean) / math.exp(scale) / math.sqrt(2))
        for _, mean, scale in components
    ]
    return float(np.dot(weights, shares) / weights.sum())


def test_grids_are_those_of_the_specification():
    assert row((1.0, -2.5, 0.5), (0.0, 3.0625, -0.125)).tolist() == [[8, 0, -40, 49, 4, -1]]


@pytest.mark.parametrize(
    "components",
    [
        [(0.0, 0.0, 0.0)],
        [(0.0, 0.25, -1.5)],
        [(0.0, -3.0, 1.0), (-1.0, 5.5, 0.25)],
        [(0.0, 100.0, 0.0), (0.5, 101.0, 2.0), (-2.0, 90.0, 3.0)],
    ],
)
def test_counts_are_the_mixture(components):
    indices = row(*components)
    centre = centres(indices)
    levels = 31
    counts = frequencies(
        np.repeat(cdf_from_mixture(indices, centre, levels), levels, 0),
        np.arange(levels, dtype=np.int16),
    )
    edges = centre[0] + np.arange(levels + 1) - levels // 2 - 0.5
    ideal = np.diff([0, *(below(edge, components) for edge in edges[1:-1]), 1])
    # One count each for every symbol, the rest as the mixture has it; tables of σ/256.
    assert np.abs(counts - (1 + ideal * (2**16 - levels))).max() < 2**16 / 256 / 2


def test_the_centre_is_the_rounded_mean():
    mean = (3.0 * 1 + 1.0 * 8) / 4
    assert centres(row((math.log(3), 1.0, 0.0), (0.0, 8.0, 0.0)))[0] == round(mean)
    assert centres(row((0.0, -0.5625, 0.0))).tolist() == [-1]
    assert centres(row((0.0, 0.5, 0.0), (0.0, 0.5, 1.0))).tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 511).map(lambda n: 2 * n + 1), st.integers(0, 2**32 - 1))
def test_every_row_keeps_the_contract_and_codes(components, levels, seed):
    rng = np.random.default_rng(seed)
    wild = rng.choice([30, 1000, 2**15], (3, 1, 1))
    parts = rng.integers(-wild, wild, (3, 40, components), endpoint=True)
    indices = np.concatenate(list(parts), axis=1).astype(np.int32)
    centre = centres(indices)
    cdf = cdf_from_mixture(indices, centre, levels)
    check_cdf(cdf)
    symbols = rng.integers(0, levels, 40).astype(np.int16)
    data = encode_symbols(cdf, symbols)
    assert decode_symbols(cdf, data).tolist() == symbols.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 511).map(lambda n: 2 * n + 1), st.integers(0, 2**32 - 1))
def test_intervals_give_the_bytes_of_the_whole_table(components, levels, seed):
    rng = np.random.default_rng(seed)
    wild = rng.choice([30, 1000, 2**15], (3, 1, 1))
    parts = rng.integers(-wild, wild, (3, 40, components), endpoint=True)
    indices = np.concatenate(list(parts), axis=1).astype(np.int32)
    centre = centres(indices)
    symbols = rng.choice([0, levels - 1, levels // 2, int(rng.integers(levels))], 40)
    cdf, chosen = intervals_from_mixture(indices, centre, levels, symbols)
    check_cdf(cdf)
    whole = cdf_from_mixture(indices, centre, levels)
    assert np.array_equal(frequencies(cdf, chosen), frequencies(whole, symbols.astype(np.int16)))
    expected = encode_symbols(whole, symbols.astype(np.int16))
    assert encode_symbols(cdf, chosen) == expected


def test_intervals_of_blocks_of_rows():
    rng = np.random.default_rng(0)
    indices = rng.integers(-50, 50, (module._BLOCK // 4, 6)).astype(np.int32)
    centre = centres(indices)
    symbols = rng.integers(0, 5, len(indices))
    cdf, chosen = intervals_from_mixture(indices, centre, 5, symbols)
    counts = frequencies(cdf_from_mixture(indices, centre, 5), symbols.astype(np.int16))
    assert np.array_equal(frequencies(cdf, chosen), counts)
    with pytest.raises(InvalidArgument, match="expected an odd number"):
        intervals_from_mixture(indices, centre, 4, symbols)


def test_blocks_of_rows_do_not_show():
    rng = np.random.default_rng(0)
    indices = rng.integers(-50, 50, (module._BLOCK // 4, 6)).astype(np.int32)
    centre = centres(indices)
    whole = cdf_from_mixture(indices, centre, 5)
    last = slice(module._BLOCK // 5 - 2, None)
    assert np.array_equal(whole[last], cdf_from_mixture(indices[last], centre[last], 5))
    assert np.array_equal(centre[last], centres(indices[last]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 511).map(lambda n: 2 * n + 1), st.integers(0, 2**32 - 1))
def test_entries_are_those_of_the_specification(components, levels, seed):
    rng = np.random.default_rng(seed)
    wild = rng.choice([30, 1000, 2**15], (3, 1, 1))
    parts = rng.integers(-wild, wild, (3, 4, components), endpoint=True)
    indices = np.concatenate(list(parts), axis=1).astype(np.int32)
    centre = centres(indices)
    cdf = cdf_from_mixture(indices, centre, levels).view(np.uint16)
    for row, middle, entries in zip(indices.tolist(), centre.tolist(), cdf.tolist(), strict=True):
        assert specified(row, levels) == (middle, entries)


def specified(row, levels):
    """SPEC.md, "From mixtures to a CDF", word for word: centre and CDF of one symbol."""
    count = len(row) // 3
    a, m, b = row[:count], row[count : 2 * count], row[2 * count :]
    share = [int(exp_table()[min(4 * (max(a) - one), 533)]) // 4096 for one in a]
    v = [4096 * one // sum(share) for one in share]
    v[share.index(max(share))] += 4096 - sum(v)
    r = [round(2**24 * math.exp(-min(max(one, -20), 48) / 8)) for one in b]
    centre = (sum(one * mean for one, mean in zip(v, m, strict=True)) + 32768) // 65536
    cdf = [0]
    for j in range(1, levels):
        edge = 16 * (centre + j - (levels - 1) // 2) - 8
        below = sum(
            one * normal((edge - mean) * scale // 2**20)
            for one, mean, scale in zip(v, m, r, strict=True)
        )
        cdf.append(j + ((65536 - levels) * (below // 2**14) // 2**16))
    return centre, [*cdf, 0]


def normal(t):
    if abs(t) >= 1536:
        return 2**18 * (t > 0)
    return round(2**18 * 0.5 * math.erfc(-t / 256 / math.sqrt(2)))


def test_tables_do_not_hang_on_the_last_digits_of_erfc_and_exp():
    normal = [2**18 * 0.5 * math.erfc(-t / 256 / math.sqrt(2)) for t in range(-1535, 1536)]
    scales = [2**24 * math.exp(-b / 8) for b in range(-20, 49)]
    for value in normal + scales:
        assert abs(value - math.floor(value) - 0.5) > 1e-6
    assert np.array_equal(module.normal_table()[1:-1], np.rint(normal))
    assert np.array_equal(module.reciprocal_scales(), np.rint(scales))


def test_golden_table():
    """The integers of the specification: they may never change."""
    indices = np.array([[0, -3, 5, 40, 2, 17], [8, 8, -16, -17, -20, 48]], np.int32)
    centre = centres(indices)
    cdf = cdf_from_mixture(indices, centre, 7)
    assert centre.tolist() == GOLDEN_CENTRES
    assert cdf.view(np.uint16).tolist() == GOLDEN
    table = module.normal_table().astype("<u4").tobytes()
    assert hashlib.sha256(table).hexdigest() == GOLDEN_NORMAL


@pytest.mark.parametrize("levels", [0, 1, 4, 1024, 1025])
def test_windows_that_no_file_has(levels):
    with pytest.raises(InvalidArgument, match="expected an odd number"):
        cdf_from_mixture(np.zeros((1, 3), np.int32), np.zeros(1, np.int64), levels)


@pytest.mark.parametrize(
    "indices", [np.zeros((1, 3)), np.zeros((1, 4), np.int32), np.zeros(3, np.int32)]
)
def test_parameters_of_another_form(indices):
    with pytest.raises(InvalidArgument, match=r"expected int32 \(N, 3K\)"):
        centres(indices)
