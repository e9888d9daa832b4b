"""The writer makes no file that the reader would refuse."""

from dataclasses import replace
from typing import Any

import pytest

from neurocodec.container import Group, ImportanceMap, Inner, write
from neurocodec.errors import InvalidArgument, UnknownCodec

from .samples import COMPACT, FOREIGN, FULL, MIXED, PLAIN


def refused(message: str, file: Any) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        write(file)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", -1, "model is -1, the format allows 0 to 65535"),
        ("model", 0x10000, "model is 65536"),
        ("model_digest", b"abc", "model_digest has 3 bytes, the format has 4"),
        ("width", 0, "width is 0"),
        ("width", 2**31, "width is 2147483648"),
        ("height", 0, "height is 0"),
        ("height", -5, "height is -5"),
        ("mode", 2, "mode is 2"),
        ("streams", (), "number of streams is 0"),
        ("streams", (b"",) * 17, "number of streams is 17"),
    ],
)
def test_image(name: str, value: Any, message: str) -> None:
    refused(message, replace(PLAIN, **{name: value}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("quality", 0.5, "quality is 0.5, the format allows 1 to 100"),
        ("quality", 100.5, "quality is 100.5"),
        ("quality", 33.3, "quality is 33.3, no multiple of 1/256"),
        ("quality", float("nan"), "quality is nan"),
        ("quality", float("inf"), "quality is inf"),
        ("grid_offset", -1, "grid_offset is -1"),
        ("grid_offset", 256, "grid_offset is 256"),
        ("groups", (), "number of groups is 0"),
        ("groups", (Group(1, 2),) * 9, "number of groups is 9"),
        ("groups", (Group(0, 2),), "group size is 0"),
        ("groups", (Group(1025, 2),), "1025 channels"),
        ("groups", (Group(512, 2), Group(513, 2)), "1025 channels"),
        ("groups", (Group(4, 1),), "group levels is 1"),
        ("groups", (Group(4, 1025),), "group levels is 1025"),
        ("channel_order", (0, 1), "no permutation of the 3 channels"),
        ("channel_order", (0, 1, 1), "no permutation"),
        ("channel_order", (1, 2, 3), "no permutation"),
        ("importance", ImportanceMap(2, 3, 4, bytes(5)), "has 5 values, not 2 . 3"),
        ("importance", ImportanceMap(2, 3, 4, bytes([4] * 6)), "holds the value 4"),
        ("importance", ImportanceMap(0, 3, 4, b""), "rows is 0"),
        ("importance", ImportanceMap(2, 3, 1, bytes(6)), "levels is 1,"),
        ("importance", ImportanceMap(2, 3, 17, bytes(6)), "levels is 17"),
        ("importance", ImportanceMap(11, 1, 4, bytes(11)), "11 x 1 positions"),
    ],
)
def test_header(name: str, value: Any, message: str) -> None:
    refused(message, replace(FULL, header=replace(FULL.header, **{name: value})))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("quality", 0.5, "quality is 0.5, the format allows 1 to 100"),
        ("quality", 33.3, "quality is 33.3, no multiple of 1/256"),
        ("arrangement", 3, "arrangement is 3, the format allows 0 to 2"),
        ("arrangement", -1, "arrangement is -1"),
        ("inner", 6, "inner is 6, the format allows 0 to 5"),
        ("inner", -1, "inner is -1"),
        ("inner_quality", 0.0, "inner_quality is 0, the format allows 1 to 100"),
        ("inner_quality", 100.5, "inner_quality is 100.5"),
        ("inner_quality", 33.3, "inner_quality is 33.3, no multiple of 1/256"),
        ("inner_quality", float("nan"), "inner_quality is nan"),
        ("grid_offset", 1, "grid_offset is 1, the format allows only 0 where the inner codec"),
    ],
)
def test_comrec_header(name: str, value: Any, message: str) -> None:
    refused(message, replace(FOREIGN, header=replace(FOREIGN.header, **{name: value})))


@pytest.mark.parametrize("grid_offset", [-1, 256])
def test_grid_offset_of_comrec(grid_offset: int) -> None:
    header = replace(COMPACT.header, grid_offset=grid_offset)
    refused(f"grid_offset is {grid_offset}, .* 0 to 255", replace(COMPACT, header=header))


@pytest.mark.parametrize("inner", [inner for inner in Inner if inner is not Inner.DCT])
@pytest.mark.parametrize("count", [0, 2, 17])
def test_a_foreign_inner_codec_has_one_stream(inner: Inner, count: int) -> None:
    file = replace(FOREIGN, header=replace(FOREIGN.header, inner=inner), streams=(b"x",) * count)
    refused(f"number of streams is {count}, the format allows only 1 where the inner codec", file)


def test_dct_has_1_to_16_streams() -> None:
    for count in (0, 17):
        refused(
            f"number of streams is {count}, .* 1 to 16", replace(COMPACT, streams=(b"",) * count)
        )


def test_each_codec_has_its_own_header() -> None:
    message = "header is a ComRecHeader, codec cvqn has a CVQNHeader"
    refused(message, replace(PLAIN, header=COMPACT.header))
    message = "header is a CVQNHeader, codec comrec has a ComRecHeader"
    refused(message, replace(COMPACT, header=PLAIN.header))
    message = "header is a CVQNHeader, codec vae has a VAEHeader"
    refused(message, replace(MIXED, header=PLAIN.header))


def test_levels_of_vae_are_odd() -> None:
    header = replace(MIXED.header, groups=(Group(3, 4),))
    refused("group levels is 4, an odd number is needed", replace(MIXED, header=header))


@pytest.mark.parametrize("name", ["icc", "exif", "xmp"])
def test_metadata_is_limited(name: str) -> None:
    refused(f"{name} size is 67108865", replace(PLAIN, **{name: bytes(2**26 + 1)}))


def test_unknown_codec() -> None:
    with pytest.raises(UnknownCodec, match="codec 4"):
        write(replace(PLAIN, codec=4))


def test_a_float_is_no_size() -> None:
    with pytest.raises(TypeError):
        write(replace(PLAIN, width=64.0))  # type: ignore[arg-type]
