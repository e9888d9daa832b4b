"""The writer makes no file that the reader would refuse."""

from dataclasses import replace
from typing import Any

import pytest

from neurocodec.container import Group, ImportanceMap, write
from neurocodec.errors import InvalidArgument, UnknownCodec

from .samples import FULL, PLAIN


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


@pytest.mark.parametrize("name", ["icc", "exif", "xmp"])
def test_metadata_is_limited(name: str) -> None:
    refused(f"{name} size is 67108865", replace(PLAIN, **{name: bytes(2**26 + 1)}))


def test_unknown_codec() -> None:
    with pytest.raises(UnknownCodec, match="codec 2"):
        write(replace(PLAIN, codec=2))


def test_a_float_is_no_size() -> None:
    with pytest.raises(TypeError):
        write(replace(PLAIN, width=64.0))  # type: ignore[arg-type]
