"""Streams: golden bytes, the two backends against each other, size, damage, arguments."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neurocodec.coding import (
    cdf_from_grid,
    check_size,
    decode_symbols,
    encode_symbols,
    entropy_bits,
    python_backend,
)
from neurocodec.coding.coder import _check_length
from neurocodec.errors import CorruptStream, InvalidArgument, NczError

BACKENDS = ["python", "torchac"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "torchac":
        request.getfixturevalue("torchac")
    return request.param


def table(*rows):
    """A CDF from rows of inner boundaries."""
    return np.array([[0, *row, 0] for row in rows], dtype=np.uint16).view(np.int16)


def symbols_of(*values):
    return np.array(values, dtype=np.int16)


HALF = table([0x8000])
NEAR_HALF = table([0x7FFF, 0x8001])

GOLDEN = {
    "one even bit, 0": (HALF, symbols_of(0), "20"),
    "one even bit, 1": (HALF, symbols_of(1), "a0"),
    "eight even bits": (HALF.repeat(8, 0), symbols_of(1, 0, 1, 1, 0, 0, 1, 0), "b240"),
    "near certain": (table([0xFFFF]).repeat(40, 0), symbols_of(*[0] * 40), "40"),
    "unlikely": (table([0xFFFF]).repeat(4, 0), symbols_of(1, 1, 0, 1), "fffffffffffe40"),
    "pending bits end low": (
        NEAR_HALF.repeat(9, 0),
        symbols_of(*[1] * 8, 0),
        "7fffffffffffffffffffffffffffffa0",
    ),
    "pending bits end high": (
        NEAR_HALF.repeat(9, 0),
        symbols_of(*[1] * 8, 2),
        "80000000000000000000000000000020",
    ),
    "five levels": (
        cdf_from_grid(np.arange(40, dtype=np.int32).reshape(8, 5) * 37 % 101),
        symbols_of(0, 1, 2, 3, 4, 3, 2, 1),
        "045ad560",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name, backend):
    cdf, symbols, expected = GOLDEN[name]
    assert encode_symbols(cdf, symbols, backend).hex() == expected
    assert decode_symbols(cdf, bytes.fromhex(expected), backend).tolist() == symbols.tolist()


def extreme_case(seed, count, levels, kind):
    """A CDF of random cuts, and symbols drawn without regard to their probabilities."""
    rng = np.random.default_rng(seed)
    if kind == "cuts":
        rows = [np.sort(rng.choice(2**16 - 1, levels - 1, replace=False) + 1) for _ in range(count)]
    elif kind == "first":  # all but the least goes to the first symbol
        rows = [np.arange(2**16 - levels + 1, 2**16)] * count
    elif kind == "last":
        rows = [np.arange(1, levels)] * count
    else:  # the least for symbols that straddle the middle: long runs of pending bits
        rows = [np.arange(levels - 1) + 2**15 - levels // 2] * count
    symbols = rng.integers(0, levels, count)
    if rng.random() < 0.5:
        symbols[: count - 1] = levels // 2
    return table(*rows), symbols.astype(np.int16)


CASES = st.builds(
    extreme_case,
    st.integers(0, 2**32 - 1),
    st.integers(1, 400),
    st.sampled_from([2, 3, 7, 65, 300]),
    st.sampled_from(["cuts", "first", "last", "middle"]),
)


@given(CASES)
@example(extreme_case(0, 1, 1024, "cuts"))
@example(extreme_case(1, 400, 2, "middle"))
@settings(max_examples=150, deadline=None)
def test_torchac_and_python_write_the_same(torchac, case):
    cdf, symbols = case
    data = encode_symbols(cdf, symbols, "torchac")
    assert encode_symbols(cdf, symbols, "python") == data
    # That these do not raise says too that the check of the length refuses no genuine stream.
    assert np.array_equal(decode_symbols(cdf, data, "torchac"), symbols)
    assert np.array_equal(decode_symbols(cdf, data, "python"), symbols)


@pytest.mark.parametrize("last", [0, 2])
def test_a_carry_runs_through_a_thousand_pending_bits(backend, last):
    """The exact middle stays undecided until the last symbol, and then every bit flips."""
    cdf = table([0x4000, 0xC000]).repeat(1001, 0)
    symbols = symbols_of(*[1] * 1000, last)
    data = encode_symbols(cdf, symbols, backend)
    bits = "".join(f"{byte:08b}" for byte in data)
    assert bits.startswith("0" + "1" * 1000 if last == 0 else "1" + "0" * 1000)
    assert np.array_equal(decode_symbols(cdf, data, backend), symbols)


@given(CASES, st.binary(max_size=60), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_decode_alike(torchac, case, data, genuine):
    """Damage: never a crash, the same symbols or the same refusal on both backends."""
    cdf, symbols = case
    if genuine:
        stream = bytearray(encode_symbols(cdf, symbols, "torchac"))
        for position in data:
            stream[position % len(stream)] ^= 1 << position % 8
        data = bytes(stream)
    decoded = python_backend.decode(cdf, data)
    assert np.array_equal(torchac.decode(cdf, data), decoded)
    assert decoded.min() >= 0
    assert decoded.max() < cdf.shape[1] - 1
    outcomes = []
    for backend in BACKENDS:
        try:
            outcomes.append(decode_symbols(cdf, data, backend).tolist())
        except CorruptStream as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("levels", [2, 7, 129])
def test_size_is_the_entropy(torchac, draw, levels):
    rng = np.random.default_rng(levels)
    cdf = cdf_from_grid((rng.normal(0, 2, (50_000, levels)) * 32).astype(np.int32))
    symbols = draw(cdf, rng)
    data = encode_symbols(cdf, symbols)
    bits = entropy_bits(cdf, symbols)
    assert bits < 8 * len(data) < bits * 1.001 + 16
    assert np.array_equal(decode_symbols(cdf, data), symbols)
    assert encode_symbols(cdf, symbols, "python") == data


def test_strided_and_read_only_arrays(backend, recwarn):
    rng = np.random.default_rng(0)
    cdf = cdf_from_grid(rng.integers(-50, 50, (40, 6), dtype=np.int32))
    symbols = rng.integers(0, 6, 40).astype(np.int16)
    data = encode_symbols(cdf, symbols, backend)
    strided, read_only = np.asfortranarray(cdf), cdf.copy()
    read_only.flags.writeable = False
    for same in (strided, read_only, cdf.repeat(2, 0)[::2]):
        assert encode_symbols(same, symbols.repeat(2)[::2], backend) == data
        assert decode_symbols(same, memoryview(data), backend).tolist() == symbols.tolist()
    assert not recwarn.list


def test_no_symbols(backend):
    empty = np.empty((0, 4), np.int16)
    assert encode_symbols(empty, symbols_of(), backend) == b""
    decoded = decode_symbols(empty, b"", backend)
    assert decoded.shape == (0,)
    assert decoded.dtype == np.int16
    with pytest.raises(CorruptStream):
        decode_symbols(empty, b"\0", backend)


@pytest.fixture
def stream(draw):
    rng = np.random.default_rng(5)
    cdf = cdf_from_grid((rng.normal(0, 1, (500, 5)) * 32).astype(np.int32))
    symbols = draw(cdf, rng)
    return cdf, encode_symbols(cdf, symbols, "python")


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-2],
        lambda data: data + b"\0\0",
        lambda data: data[50:] + data[:50],
    ],
)
def test_damage_is_noticed_by_length(stream, backend, harm):
    cdf, data = stream
    with pytest.raises(CorruptStream, match="500 symbols"):
        decode_symbols(cdf, harm(data), backend)


def test_foreign_probabilities_are_noticed(stream, backend):
    cdf, data = stream
    with pytest.raises(CorruptStream):
        decode_symbols(np.roll(cdf, 1, axis=0), data, backend)


def test_length_check_is_tight():
    cdf, symbols = HALF.repeat(80, 0), np.zeros(80, np.int16)  # 80 bits: 10 bytes and 2 bits
    _check_length(cdf, symbols, bytes(11))
    for size in (0, 9, 12):
        with pytest.raises(CorruptStream):
            _check_length(cdf, symbols, bytes(size))


@pytest.mark.parametrize("levels", [2, 3, 127, 1024])
@pytest.mark.parametrize("count", [1, 9, 5000])
@pytest.mark.parametrize("symbol", ["likeliest", "least likely"])
def test_the_shortest_and_the_longest_stream_are_within_what_is_expected(levels, count, symbol):
    """Of symbols as certain, and as improbable, as a CDF allows."""
    cdf = table(*[range(0x10000 - levels + 1, 0x10000)] * count)
    chosen = 0 if symbol == "likeliest" else levels - 1
    size = len(encode_symbols(cdf, np.full(count, chosen, np.int16), "python"))
    check_size(count, levels, size)
    information = entropy_bits(cdf, np.full(count, chosen, np.int16))
    if symbol == "likeliest":
        too_short = int(information / 8) - 1
        if too_short >= 0:
            with pytest.raises(CorruptStream, match=f"{too_short} bytes cannot hold {count} sym"):
                check_size(count, levels, too_short)
    else:
        with pytest.raises(CorruptStream, match="cannot hold"):
            check_size(count, levels, 2 * count + 3)


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 0), (2**22, 40), (2**25 - 1, 5700)])
def test_sizes_that_no_stream_has(count, size):
    with pytest.raises(CorruptStream, match=f"{size} bytes cannot hold {count} symbols"):
        check_size(count, 63, size)


def test_tables_too_large_for_one_call_are_refused_before_they_are_made():
    with pytest.raises(InvalidArgument, match="a CDF of 2147483648 entries is too large"):
        check_size(2**25, 63, 2**22)


def test_no_symbols_have_no_bytes():
    check_size(0, 63, 0)


def test_bad_arguments(backend):
    cdf = table([10, 20])
    with pytest.raises(InvalidArgument, match=r"0\.\.2"):
        encode_symbols(cdf, symbols_of(3), backend)
    with pytest.raises(InvalidArgument, match="2 symbols"):
        encode_symbols(cdf, symbols_of(0, 1), backend)
    with pytest.raises(InvalidArgument, match="strictly"):
        encode_symbols(table([20, 20]), symbols_of(0), backend)
    with pytest.raises(InvalidArgument, match="strictly"):
        decode_symbols(table([20, 10]), b"\0", backend)
    with pytest.raises(InvalidArgument, match="must be bytes, not str"):
        decode_symbols(cdf, "00", backend)
    with pytest.raises(InvalidArgument, match="too large"):
        encode_symbols(FakeHuge(cdf), symbols_of(0), backend)


class FakeHuge(np.ndarray):
    """An array that says it has 2**31 entries, which would take 4 GB."""

    def __new__(cls, values):
        return values.view(cls)

    @property
    def size(self):
        return 2**31


@pytest.mark.parametrize("call", [encode_symbols, decode_symbols])
def test_unknown_backend(call):
    with pytest.raises(NczError, match="'cuda' is unknown"):
        call(HALF, symbols_of(0) if call is encode_symbols else b"\0", "cuda")
