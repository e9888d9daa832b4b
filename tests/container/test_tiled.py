"""Files of tiles: what is written is read; damage and forgery of head and tiles are refused."""

from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.container import (
    MAGIC,
    Group,
    ImportanceMap,
    NczFile,
    Tiling,
    VAEHeader,
    read,
    shared,
    sizes,
    tile,
    write,
    write_tile,
)
from neurocodec.container.wire import varint
from neurocodec.errors import (
    ChecksumMismatch,
    InvalidArgument,
    MalformedHeader,
    NczError,
    TrailingData,
    Truncated,
)

from .samples import FULL, PLAIN, TILED, TILED_HEAD, TILES, files


def all_of(data: bytes) -> list[NczFile]:
    """Every tile of a file."""
    file = read(data)
    return [tile(file, number) for number in range(len(file.tiling.parts))]


# What is written is read.


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    whole = data.draw(files())
    units = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    cols, rows = data.draw(st.sampled_from([(2, 1), (1, 2), (2, 2), (3, 1)]))
    width = data.draw(st.integers(64 * units[0] * (cols - 1) + 1, 64 * units[0] * cols))
    height = data.draw(st.integers(64 * units[1] * (rows - 1) + 1, 64 * units[1] * rows))
    whole = replace(whole, width=width, height=height)
    if whole.codec == 1:  # its map could be too large for a tile
        whole = replace(whole, header=replace(whole.header, importance=None))
    empty = shared(whole, Tiling(64 * units[0], 64 * units[1], ()))
    tiles = []
    for number in range(len(empty.grid)):
        box = empty.grid.box(number)
        streams = (*whole.streams[:-1], bytes([number]) * number)
        alone = replace(whole, width=box.width, height=box.height, streams=streams)
        tiles.append(replace(alone, icc=None, exif=None, xmp=None))
    parts = tuple(write_tile(number, part) for number, part in enumerate(tiles))
    file = replace(empty, tiling=replace(empty.tiling, parts=parts))
    written = write(file)
    assert written[4] == 6
    assert read(written) == file
    assert all_of(written) == tiles
    assert sum(sizes(written).values()) == len(written)
    assert sizes(written)["tiles"] == sum(map(len, parts))


def test_sections_are_where_they_belong() -> None:
    importance = ImportanceMap(rows=1, cols=1, levels=4, values=b"\1")
    header = replace(FULL.header, importance=importance)
    full = replace(FULL, width=64, height=17, header=header)
    tiles = (full, replace(full, width=3))
    parts = tuple(write_tile(number, part) for number, part in enumerate(tiles))
    data = write(replace(shared(full, Tiling(64, 64, parts)), width=67))
    file = read(data)
    assert (file.icc, file.exif, file.xmp) == (FULL.icc, FULL.exif, FULL.xmp)
    assert file.alpha is file.header.importance is file.header.channel_order is None
    first = tile(file, 0)
    assert (first.icc, first.exif, first.xmp) == (None, None, None)
    assert (first.alpha, first.header) == (FULL.alpha, header)
    flat = tile(file, 0, inflate=False)
    assert flat == replace(first, header=replace(header, channel_order=None, importance=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"streams": (b"x",)}, "outside of the tiles"),
        ({"alpha": b"x"}, "outside of the tiles"),
        ({"header": replace(TILED_HEAD.header, grid_offset=1)}, "outside of the tiles"),
        ({"tiling": replace(TILED.tiling, parts=TILED.tiling.parts[:1])}, "1 tiles, .* has 2"),
        ({"width": 64}, "a picture of 1 tiles, the format allows 2 to 65536"),
        ({"width": 2**23, "height": 64}, "a picture of 131072 tiles"),
        ({"tiling": replace(TILED.tiling, width=65)}, "tile width is 65, no multiple of 64"),
        ({"tiling": replace(TILED.tiling, width=0)}, "tile width is 0, .* allows 64 to 65536"),
        ({"tiling": replace(TILED.tiling, height=65600)}, "tile height is 65600"),
    ],
)
def test_what_cannot_be_written(changes: dict, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        write(replace(TILED, **changes))


# Damage.


def test_every_flip_of_a_byte_is_refused_or_costs_one_tile() -> None:
    data = write(TILED)
    tiles = len(data) - sum(map(len, TILED.tiling.parts))
    second = len(data) - len(TILED.tiling.parts[1])
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flip
            if position < tiles:
                for best_effort in (False, True):
                    with pytest.raises(NczError):
                        read(damaged, best_effort=best_effort)
                continue
            file = read(damaged)
            lost = int(position >= second)
            with pytest.raises(ChecksumMismatch, match=f"tile {lost} of 2"):
                tile(file, lost)
            assert tile(file, 1 - lost) == TILES[1 - lost]


def test_every_cut_is_refused_as_a_cut() -> None:
    data = write(TILED)
    head = len(data) - sum(map(len, TILED.tiling.parts))
    for length in range(len(data)):
        with pytest.raises(Truncated):
            read(data[:length])
        if length < head:
            with pytest.raises(NczError):
                read(data[:length], best_effort=True)
            continue
        file = read(data[:length], best_effort=True)
        with pytest.raises(ChecksumMismatch):
            tile(file, 1)


def test_levels_of_codec_3_are_each_tiles_own() -> None:
    header = VAEHeader(quality=50.0, grid_offset=3, groups=(Group(8, 129), Group(4, 5)))
    first = replace(TILES[0], codec=3, header=header)
    other = replace(header, grid_offset=0, groups=(Group(8, 7), Group(4, 1023)))
    second = replace(first, width=2, header=other)
    parts = tuple(write_tile(number, part) for number, part in enumerate((first, second)))
    file = replace(shared(first, Tiling(64, 64, parts)), width=66)
    assert [group.levels for group in file.header.groups] == [3, 3]
    data = write(file)
    assert all_of(data) == [first, second]
    neutral = "0032 00 02 0801 0401"
    assert data.count(bytes.fromhex(neutral)) == 1
    with pytest.raises(InvalidArgument, match="outside of the tiles"):
        write(replace(file, header=replace(header, grid_offset=0)))
    lengths = bytes(map(len, parts)).hex()
    image = "03 01 c0dec0de 42 40 01"
    assert all_of(forged(head(image, neutral, lengths=lengths), *parts)) == [first, second]
    with pytest.raises(MalformedHeader, match="levels of its own"):
        read(forged(head(image, "0032 00 02 0802 0401", lengths=lengths), *parts))
    for levels, message in (("00 01", "levels is 1,"), ("01 8004", "1025")):
        part = sealed(f"00 {levels} 00 01 78")
        lengths = bytes([len(parts[0]), len(part)]).hex()
        made = read(forged(head(image, neutral, lengths=lengths), parts[0], part))
        with pytest.raises(MalformedHeader, match=message):
            tile(made, 1)


def test_what_was_appended_is_refused_and_ignored_at_best_effort() -> None:
    data = write(TILED)
    with pytest.raises(TrailingData, match="something was appended"):
        read(data + b"x")
    assert read(data + b"x", best_effort=True) == TILED


def test_a_tile_does_not_pass_for_another() -> None:
    part = write_tile(0, TILES[0])
    alike = replace(TILED_HEAD, width=128, tiling=Tiling(64, 64, (part, part)))
    file = read(write(alike))
    assert tile(file, 0) == TILES[0]
    with pytest.raises(ChecksumMismatch, match="tile 1 of 2"):
        tile(file, 1)


# Forgery, behind right checksums.


def forged(head: bytes, *parts: bytes, length: int | None = None) -> bytes:
    """A file with this head, its checksum made right, and these tiles."""
    size = varint(len(head) + 4 if length is None else length)
    rest = varint(len(size) + len(head) + 4 + sum(map(len, parts)))
    start = MAGIC + b"\x06" + rest + size + head
    return start + crc32(start).to_bytes(4, "little") + b"".join(parts)


def head(
    image: str = "01 01 c0dec0de 42 40 01",
    header: str = "8032 00 03 0803 1003 c80103",
    size: str = "01 01",
    sections: str = "00",
    lengths: str = "18 14",
) -> bytes:
    return bytes.fromhex(image + header + size + sections + lengths)


def test_the_default_head_is_valid() -> None:
    assert read(forged(head(), *TILED.tiling.parts)) == replace(TILED, icc=None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"size": "00 01"}, MalformedHeader, "tile width is 0, the format allows 64 to 65536"),
        ({"size": "01 00"}, MalformedHeader, "tile height is 0"),
        ({"size": "8108 01"}, MalformedHeader, "tile width is 65600"),
        ({"size": "ffffffffffffffff7f 01"}, MalformedHeader, "tile width is"),
        ({"size": "02 01"}, MalformedHeader, "a picture of 1 tiles"),
        ({"image": "01 01 c0dec0de 40 40 01"}, MalformedHeader, "a picture of 1 tiles"),
        (
            {"image": "01 01 c0dec0de ffffffff07 ffffffff07 01"},
            MalformedHeader,
            "a picture of 1125899906842624 tiles, the format allows 2 to 65536",
        ),
        ({"image": "01 01 c0dec0de 808080 01 40 01"}, Truncated, "length of a tile"),
        ({"lengths": "18"}, Truncated, "length of a tile"),
        ({"lengths": "18 14 00"}, TrailingData, "the last length of a tile"),
        ({"lengths": "18 15"}, MalformedHeader, "45 bytes together, the file leaves 44"),
        ({"lengths": "18 13"}, MalformedHeader, "43 bytes together"),
        ({"lengths": "18 ffffffffffffffff7f"}, MalformedHeader, "bytes together"),
        ({"lengths": "18 ffffffffffffffffff01"}, MalformedHeader, "longer than 9 bytes"),
        (
            {"header": "8032 07 03 0803 1003 c80103"},
            MalformedHeader,
            "a grid_offset or levels of its own",
        ),
        (
            {"header": "8032 00 03 0803 1003 c80105"},
            MalformedHeader,
            "a grid_offset or levels of its own",
        ),
        ({"sections": "03 01 00 00"}, MalformedHeader, "section 3 does not exist in the head"),
        ({"sections": "02 01 00 00"}, MalformedHeader, "section 2 does not exist in the head"),
        ({"sections": "82 01 00 80 01 00 00"}, MalformedHeader, "section 128 follows section 130"),
    ],
)
def test_heads(changes: dict, error: type[NczError], message: str) -> None:
    data = forged(head(**changes), *TILED.tiling.parts)
    for reader in (read, sizes):
        with pytest.raises(error, match=message) as caught:
            reader(data)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 3, 80, 2**62])
def test_a_length_of_the_head_that_lies(length: int) -> None:
    with pytest.raises(MalformedHeader, match="a head of"):
        read(forged(head(), *TILED.tiling.parts, length=length))


def test_many_tiles_of_no_bytes() -> None:
    """65,536 tiles in as many bytes: none is looked at unless it is asked for."""
    lengths = "00" * 2**16
    data = forged(head(image="01 01 c0dec0de 80 80 80 02 40 01", lengths=lengths))
    file = read(data)
    assert len(file.grid) == 2**16
    with pytest.raises(ChecksumMismatch):
        tile(file, 2**16 - 1)


def sealed(contents: str, number: int = 1) -> bytes:
    """A tile with these contents and the right checksum."""
    body = bytes.fromhex(contents)
    return body + crc32(body, crc32(number.to_bytes(4, "little"))).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("contents", "error", "message"),
    [
        ("", Truncated, "grid_offset"),
        ("07", Truncated, "levels"),
        ("07 03 05", Truncated, "levels"),
        ("07 03 05 01 00 01 78", MalformedHeader, "levels is 1,"),
        ("07 03 05 03", Truncated, "a section"),
        ("07 03 05 03 00", Truncated, "number of streams"),
        ("07 03 05 03 00 00", MalformedHeader, "number of streams is 0"),
        ("07 03 05 03 00 11", MalformedHeader, "number of streams is 17"),
        ("07 03 05 03 00 02 ff 0b 00", Truncated, "a coded stream needs 5 bytes"),
        ("07 03 05 03 00 02 ff", Truncated, "lengths of the streams"),
        ("07 03 05 03 00 02 ff ff 02 00", MalformedHeader, "bits are set after the lengths"),
        ("07 03 05 03 05 01 00 00 01 00", MalformedHeader, "section 5 does not exist in a tile"),
        ("07 03 05 03 80 01 00 00 01 00", MalformedHeader, "section 128 does not exist in a tile"),
        ("07 03 05 03 82 01 00 00 01 00", MalformedHeader, "section 130 does not exist in a tile"),
        ("07 03 05 03 02 02 0101 00 01 00", Truncated, "levels"),
        ("07 03 05 03 02 03 090104 00 01 00", MalformedHeader, "importance map of 9 x 1 positions"),
        ("07 03 05 03 03 01 00 02 01 00 00 01 00", MalformedHeader, "section 2 follows section 3"),
    ],
)
def test_tiles(contents: str, error: type[NczError], message: str) -> None:
    part = sealed(contents)
    tiling = Tiling(64, 64, (TILED.tiling.parts[0], part))
    file = read(write(replace(TILED_HEAD, width=66, height=1, tiling=tiling)))
    with pytest.raises(error, match=message):
        tile(file, 1)


def test_an_unknown_section_that_may_be_skipped_is() -> None:
    part = sealed("07 03 05 03 c8 01 00 00 01 78")
    tiling = Tiling(64, 64, (TILED.tiling.parts[0], part))
    file = read(write(replace(TILED_HEAD, tiling=tiling)))
    assert tile(file, 1).streams == (b"x",)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_edits_of_head_and_tiles(data: st.DataObject) -> None:
    """Forged heads and tiles are refused, or read and written again."""
    start = bytearray(head())
    second = bytearray(TILED.tiling.parts[1][:-4])
    for edited in (start, second):
        for _ in range(data.draw(st.integers(0, 2))):
            place = data.draw(st.integers(0, len(edited)))
            edited[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    mutant = forged(bytes(start), TILED.tiling.parts[0], sealed(second.hex()))
    try:
        file = read(mutant)
        found = all_of(mutant)
    except NczError:
        return
    assert read(write(file)) == file
    parts = tuple(write_tile(number, part) for number, part in enumerate(found))
    assert all_of(write(replace(file, tiling=replace(file.tiling, parts=parts)))) == found


def test_one_picture_is_no_file_of_tiles() -> None:
    assert (write(PLAIN)[4], write(TILED)[4]) == (5, 6)
    assert read(write(PLAIN)).tiling is None
    assert len(read(write(PLAIN)).grid) == 1
