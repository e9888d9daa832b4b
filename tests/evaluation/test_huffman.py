"""The count of benchmarks.huffman against files that libjpeg wrote, by way of a small parser."""

import heapq
import io
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.huffman import ac_symbols, code_lengths, dc_symbols, huffman_size
from neurocodec.errors import InvalidArgument

from .conftest import photo


class Parsed:
    """A baseline JPEG of one interleaved scan without subsampling, read as T.81 says.

    planes: coefficients (rows, cols, 64) in zigzag order. bits: of its entropy-coded segment,
    padding and stuffing left out. table_bytes: of its DHT segments. lengths: of the codes.
    """

    def __init__(self, data):
        self.table_bytes, tables, self.lengths, at = 0, {}, {}, 2
        while True:
            assert data[at] == 0xFF
            marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            body = data[at + 4 : at + 2 + size]
            if marker == 0xC4:
                self.table_bytes += 2 + size
                while body:
                    key, counts, symbols = body[0], body[1:17], body[17 : 17 + sum(body[1:17])]
                    tables[key] = canonical(counts, symbols)
                    self.lengths[key] = {s: n for (n, _), s in tables[key].items()}
                    body = body[17 + len(symbols) :]
            elif marker == 0xC0:
                height, width = (int.from_bytes(body[i : i + 2], "big") for i in (1, 3))
                assert all(s == 0x11 for s in body[7::3])
            at += 2 + size
            if marker == 0xDA:
                ids = body[2 : 1 + 2 * body[0] : 2]
                break
        segment = data[at : data.rindex(b"\xff\xd9")].replace(b"\xff\0", b"\xff")
        self.stream = "".join(f"{byte:08b}" for byte in segment)
        self.bits = 0
        rows, cols = -(-height // 8), -(-width // 8)
        self.planes = np.zeros((len(ids), rows * cols, 64), np.int64)
        last = [0] * len(ids)
        for block in range(rows * cols):
            for i, choice in enumerate(ids):
                last[i] += self.value(self.symbol(tables[choice >> 4]))
                self.planes[i, block, 0] = last[i]
                place = 1
                while place < 64:
                    symbol = self.symbol(tables[0x10 | choice & 15])
                    if symbol == 0:
                        break
                    place += symbol >> 4
                    self.planes[i, block, place] = self.value(symbol & 15)
                    place += 1
        self.planes = list(self.planes.reshape(len(ids), rows, cols, 64))
        rest = self.stream[self.bits :]
        assert len(rest) < 8
        assert set(rest) <= {"1"}

    def symbol(self, table):
        for length in range(1, 17):
            code = int(self.stream[self.bits : self.bits + length], 2)
            if (length, code) in table:
                self.bits += length
                return table[length, code]
        raise AssertionError("no such code")

    def value(self, size):
        text = self.stream[self.bits : self.bits + size]
        self.bits += size
        value = int(text or "0", 2)
        return value if not text or text[0] == "1" else value - 2**size + 1


def canonical(counts, symbols):
    codes, code, rest = {}, 0, iter(symbols)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            codes[length, code] = next(rest)
            code += 1
        code *= 2
    return codes


def jpeg(pixels, quality):
    file = io.BytesIO()
    options = {} if pixels.ndim == 2 else {"subsampling": 0}
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [5, 30, 75, 95, 100])
@pytest.mark.parametrize("grey", [False, True])
def test_the_count_is_that_of_libjpeg(quality, grey):
    pixels = photo(quality, 83, 70)
    parsed = Parsed(jpeg(pixels[..., 1] if grey else pixels, quality))
    assert len(parsed.planes) == (1 if grey else 3)
    assert any(plane.any() for plane in parsed.planes)
    size = huffman_size(parsed.planes)
    assert (size.bits, size.table_bytes) == (parsed.bits, parsed.table_bytes)
    assert size.bytes == -(-parsed.bits // 8) + parsed.table_bytes


def test_codes_are_as_long_as_those_of_libjpeg():
    """Photographs with wide statistics, so that the longest codes meet the limit of 16 bits."""
    random = np.random.default_rng(1)
    pixels = photo(2, 400, 304)[..., 0].astype(float)
    pixels[:16] += random.normal(0, 60, (16, 400))
    parsed = Parsed(jpeg(pixels.clip(0, 255).astype(np.uint8), 97))
    plane = parsed.planes[0]
    assert max(parsed.lengths[0x10].values()) == 16
    for key, symbols in ((0x00, dc_symbols), (0x10, ac_symbols)):
        values, counts = np.unique(symbols(plane)[0], return_counts=True)
        ours = code_lengths(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        assert ours == parsed.lengths[key]


def test_blocks_by_hand():
    """Every length here can be counted on paper."""
    plane = np.zeros((1, 2, 64), np.int64)
    plane[0, :, 0] = 5, 3  # differences 5 and -2: categories 3 and 2
    plane[0, 0, 20] = -1  # a run of 19: one ZRL, then run 3 of category 1; then an end of block
    plane[0, 1, 63] = 4  # a run of 62: three ZRL, then run 14 of category 3; no end
    symbols, extra = dc_symbols(plane)
    assert (symbols.tolist(), extra) == ([3, 2], 5)
    symbols, extra = ac_symbols(plane)
    assert sorted(symbols.tolist()) == [0x00, 0x31, 0xE3, 0xF0, 0xF0, 0xF0, 0xF0]
    assert extra == 4
    # Among {00, 31, E3} and the reserved symbol once each, and F0 four times: 1 bit for F0,
    # 3 bits each for the others. For DC: two symbols and the reserved one, of 1 and 2 bits.
    size = huffman_size([plane])
    assert size.bits == 5 + (1 + 2) + 4 + (4 * 1 + 3 * 3)
    assert size.table_bytes == (21 + 2) + (21 + 4)
    assert size.bytes == 4 + 48


def test_chroma_planes_share_tables_and_predict_their_own_dc():
    random = np.random.default_rng(3)
    luma, cb, cr = random.integers(-9, 10, (3, 4, 5, 64))
    colour, grey = huffman_size([luma, cb, cr]), huffman_size([luma])
    twice = huffman_size([cb, cb])
    assert huffman_size([luma, cb, cb]).bits == grey.bits + 2 * huffman_size([cb]).bits
    assert twice.bits == 2 * huffman_size([cb]).bits
    assert colour.table_bytes > grey.table_bytes
    assert huffman_size([luma, cr, cb]) == colour


def test_one_symbol_still_takes_a_bit():
    """The code of all ones is never given away."""
    assert code_lengths({7: 1000}) == {7: 1}
    size = huffman_size([np.zeros((3, 4, 64), np.int8)])
    assert (size.bits, size.table_bytes) == (12 + 12, 2 * 22)


def test_lengths_beyond_sixteen_are_shortened():
    counts = {symbol: 2**symbol for symbol in range(24)}  # would take 24 bits for the rarest
    lengths = code_lengths(counts)
    assert max(lengths.values()) == 16
    assert set(lengths) == set(counts)
    assert sum(2.0**-n for n in lengths.values()) == 1 - 2.0**-16
    assert all(lengths[s] >= lengths[s + 1] for s in range(23))
    # Annex K promises no optimum under the limit; it comes close.
    best = limited_optimum(counts.values())
    assert best <= cost(counts, lengths) + 16 <= 1.001 * best


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 255), st.integers(1, 500), min_size=1, max_size=40))
def test_codes_are_optimal_with_one_code_reserved(counts):
    lengths = code_lengths(counts)
    weights = [*counts.values(), 1]
    assert sum(2.0**-n for n in lengths.values()) < 1
    longest = max(lengths.values())
    # The reserved symbol has one of the longest codes, and counts once.
    assert cost(counts, lengths) + longest == huffman_cost(weights)


def cost(counts, lengths):
    return sum(counts[symbol] * lengths[symbol] for symbol in counts)


def huffman_cost(weights):
    """Sum of count times length of an optimal code: of all inner nodes' weights."""
    heap, total = sorted(weights), 0
    while len(heap) > 1:
        node = heapq.heappop(heap) + heapq.heappop(heap)
        total += node
        heapq.heappush(heap, node)
    return total


def limited_optimum(counts):
    """Package-merge (Larmore, Hirschberg 1990) over the counts and one reserved code."""
    leaves = sorted([*counts, 1])
    row = leaves
    for _ in range(15):
        packages = [a + b for a, b in zip(row[::2], row[1::2], strict=False)]
        row = sorted([*leaves, *packages])
    return list(accumulate(row))[2 * len(leaves) - 3]


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        ([], "no blocks"),
        ([np.zeros((0, 4, 64), int)], "no blocks"),
        ([np.zeros((2, 2, 8, 8), int)], r"\(rows, cols, 64\), got int64 \(2, 2, 8, 8\)"),
        ([np.zeros((2, 2, 63), int)], r"\(rows, cols, 64\)"),
        ([np.zeros((2, 2, 64))], "float64"),
        ([np.full((1, 1, 64), 2**15)], "DC differences of 16 bits are too large for JPEG"),
        ([np.full((1, 1, 64), -(2**14))], "AC coefficients of 15 bits are too large for JPEG"),
    ],
)
def test_what_cannot_be_coded(planes, message):
    with pytest.raises(InvalidArgument, match=message):
        huffman_size(planes)


def test_the_largest_that_can():
    plane = np.full((1, 1, 64), 2**14 - 1)
    assert huffman_size([plane]).bits == 64 * 14 + 1 + 63
