"""What is written is read, for any file and at the edges of every width."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.container import (
    Arrangement,
    CVQNHeader,
    Group,
    ImportanceMap,
    Inner,
    Mode,
    NczFile,
    lengths,
    read,
    sizes,
    snap_quality,
    write,
)
from neurocodec.container.permutation import rank, rank_bytes, unrank
from neurocodec.container.wire import Cursor, varint
from neurocodec.errors import InvalidArgument

from .samples import COMPACT, FOREIGN, FULL, MIXED, PLAIN, files


@given(files())
@settings(max_examples=150, deadline=None)
def test_round_trip(file: NczFile) -> None:
    data = write(file)
    assert read(data) == file
    assert write(file) == data
    assert sum(sizes(data).values()) == len(data)
    assert sizes(data)["streams"] == sum(map(len, file.streams))


@pytest.mark.parametrize("model", [0, 127, 128, 0x3FFF, 0x4000, 0xFFFF])
@pytest.mark.parametrize("side", [1, 127, 128, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000, 2**31 - 1])
def test_edges_of_the_image_fields(model: int, side: int) -> None:
    for width, height in ((side, 1), (1, side), (side, side)):
        file = replace(PLAIN, model=model, width=width, height=height)
        assert read(write(file), max_pixels=2**62) == file


@pytest.mark.parametrize("quality", [1.0, 1 + 1 / 256, 50.0, 100 - 1 / 256, 100.0])
@pytest.mark.parametrize("grid_offset", [0, 1, 127, 128, 255])
def test_edges_of_the_header_fields(quality: float, grid_offset: int) -> None:
    header = replace(PLAIN.header, quality=quality, grid_offset=grid_offset)
    assert read(write(replace(PLAIN, header=header))).header == header


@pytest.mark.parametrize("quality", [1.0, 1 + 1 / 256, 50.0, 100 - 1 / 256, 100.0])
@pytest.mark.parametrize("grid_offset", [0, 1, 127, 128, 255])
def test_edges_of_the_header_fields_of_comrec(quality: float, grid_offset: int) -> None:
    for inner_quality in (1.0, 100.0):
        header = replace(
            COMPACT.header, quality=quality, inner_quality=inner_quality, grid_offset=grid_offset
        )
        assert read(write(replace(COMPACT, header=header))).header == header


@pytest.mark.parametrize("inner", Inner)
@pytest.mark.parametrize("arrangement", Arrangement)
def test_every_inner_codec_in_every_arrangement(inner: Inner, arrangement: Arrangement) -> None:
    header = replace(FOREIGN.header, inner=inner, arrangement=arrangement)
    found = read(write(replace(FOREIGN, header=header))).header
    assert found == header
    assert (found.inner, found.arrangement) == (inner, arrangement)
    assert (type(found.inner), type(found.arrangement)) == (Inner, Arrangement)


@pytest.mark.parametrize(
    "groups",
    [
        (Group(1, 2),),
        (Group(1024, 1024),),
        (Group(127, 127), Group(128, 128)),
        (Group(1, 2),) * 8,
        (Group(128, 129),) * 8,
    ],
)
def test_edges_of_the_groups(groups: tuple[Group, ...]) -> None:
    file = replace(PLAIN, header=replace(PLAIN.header, groups=groups))
    assert read(write(file)).header.groups == groups


@pytest.mark.parametrize("channels", [1, 2, 5, 32, 1024])
def test_edges_of_the_channel_order(channels: int) -> None:
    for order in (tuple(range(channels)), tuple(reversed(range(channels)))):
        header = CVQNHeader(2.0, 0, (Group(channels, 3),), channel_order=order)
        assert read(write(replace(PLAIN, header=header))).header.channel_order == order


@pytest.mark.parametrize(
    ("width", "height", "rows", "cols"), [(1, 1, 8, 8), (64, 65, 16, 15), (768, 512, 71, 103)]
)
def test_the_largest_importance_map(width: int, height: int, rows: int, cols: int) -> None:
    importance = ImportanceMap(rows, cols, 16, bytes(i % 16 for i in range(rows * cols)))
    file = replace(PLAIN, width=width, height=height)
    file = replace(file, header=replace(file.header, importance=importance))
    assert read(write(file)) == file


@pytest.mark.parametrize("length", [0, 1, 127, 128, 0x3FFF, 0x4000, 0x200000])
def test_edges_of_stream_lengths(length: int) -> None:
    for streams in ((bytes(length),), (b"ab", bytes(length), b"c"), (bytes(length),) * 2):
        for file in (PLAIN, MIXED):
            assert read(write(replace(file, streams=streams))).streams == streams


def test_edges_of_the_number_of_streams() -> None:
    for count in (1, 2, 15, 16):
        for file in (PLAIN, MIXED):
            assert read(write(replace(file, streams=(b"ab",) * count))).streams == (b"ab",) * count


@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000])
def test_metadata_is_deflated_only_where_that_is_shorter(size: int) -> None:
    compressible, noise = bytes(size), bytes((i * i * 31 >> 3) % 251 for i in range(size))
    for profile in (compressible, noise):
        file = replace(PLAIN, icc=profile)
        assert read(write(file)) == file
        assert sizes(write(file))["icc"] <= size + 6
    assert sizes(write(replace(PLAIN, icc=bytes(70_000))))["icc"] < 200


def test_a_file_of_the_usual_shape_spends_47_bytes_on_the_container() -> None:
    header = CVQNHeader(quality=50.0, grid_offset=0, groups=(Group(48, 7),) * 4)
    file = replace(PLAIN, header=header, streams=(bytes(1250),) * 8)
    assert len(write(file)) - 8 * 1250 == 47


def test_a_file_of_vae_at_the_highest_quality_spends_63_bytes_on_the_container() -> None:
    """Levels and lengths of kodim13 at quality 100; DESIGN 4 allows 64."""
    levels = ((3, 359), (21, 331), (48, 111), (72, 59), (112, 37))
    header = replace(MIXED.header, groups=tuple(Group(*pair) for pair in levels))
    counts = [849, 242, 230, 441, 870, 1624, 4434, 3996, 7510, 14649, 14329, 18512, 18352, 47807]
    file = replace(MIXED, header=header, streams=tuple(map(bytes, counts)))
    assert len(write(file)) - sum(counts) == 63


def test_a_file_of_comrec_spends_31_bytes_on_the_container() -> None:
    assert len(write(replace(COMPACT, streams=(bytes(1250),)))) - 1250 == 31


@given(st.lists(st.integers(0, 31).flatmap(lambda w: st.integers(0, 2**w - 1)), max_size=16))
def test_lengths(stored: list[int]) -> None:
    """All but the last, which is what is left; each costs its bits and what it jumps."""
    data = lengths.put([*stored, 300])
    body = Cursor(data + bytes(300))
    assert lengths.take(body, len(stored) + 1) == [*stored, max(0, 300 - sum(stored))]
    assert body.position == len(data)
    widths = [8, *(length.bit_length() for length in stored)]
    jumps = sum(abs(b - a) for a, b in pairwise(widths))
    assert 8 * len(data) <= sum(widths[1:]) + 2 * jumps + len(stored) + 7


def test_a_length_of_more_than_31_bits_is_not_written() -> None:
    with pytest.raises(InvalidArgument, match="2147483648 bytes, the format allows 2147483647"):
        lengths.put([2**31, 1])
    assert lengths.put([2**31]) == b""  # the last one is not stored


def test_a_map_costs_its_gzip_member_and_a_few_bytes() -> None:
    importance = ImportanceMap(32, 48, 4, bytes(32 * 48))
    file = replace(PLAIN, header=replace(PLAIN.header, importance=importance))
    assert sizes(write(file))["importance"] < 45


@given(st.integers(0, 2**63 - 1))
def test_varints(value: int) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    cursor = Cursor(data)
    assert cursor.varint("value") == value
    assert cursor.left == 0


def test_ranks_count_the_permutations_in_lexicographic_order() -> None:
    for position, permutation in enumerate(permutations(range(4))):
        assert rank(permutation) == position
        assert unrank(position, 4) == permutation
    assert [rank_bytes(n) for n in (1, 2, 5, 6, 32, 192)] == [0, 1, 1, 2, 15, 149]


def test_quality_snaps_to_what_a_file_can_store() -> None:
    assert snap_quality(33.3) == 8525 / 256
    header = replace(PLAIN.header, quality=snap_quality(33.3))
    assert read(write(replace(PLAIN, header=header))).header.quality == 33.30078125


def test_modes() -> None:
    assert read(write(FULL)).mode is Mode.L
    assert read(write(PLAIN)).mode is Mode.RGB


def test_the_container_imports_neither_torch_nor_numpy() -> None:
    script = (
        "import sys, neurocodec.container, neurocodec.errors;"
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
