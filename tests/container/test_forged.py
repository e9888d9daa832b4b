"""Files with a right checksum and a wrong content: every rule of the format, broken once."""

from dataclasses import replace
from math import factorial

import pytest

from neurocodec.container import (
    Arrangement,
    ComRecHeader,
    Group,
    Inner,
    lengths,
    read,
    sizes,
    write,
)
from neurocodec.container.lengths import put, take
from neurocodec.container.permutation import rank_bytes
from neurocodec.container.wire import Cursor
from neurocodec.errors import (
    ImageTooLarge,
    MalformedHeader,
    NczError,
    TrailingData,
    Truncated,
    UnknownCodec,
)

from .samples import body, comrec_body, seal, section


def refused(data: bytes, error: type[NczError], message: str) -> None:
    for reader in (read, sizes):
        with pytest.raises(error, match=message) as caught:
            reader(data)
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)


def test_the_default_body_is_valid() -> None:
    assert read(seal(body())).streams == (b"x",)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("00 01 00000000 40 40 01", UnknownCodec, "codec 0, this release knows 1 .cvqn."),
        ("04 01 00000000 40 40 01", UnknownCodec, "codec 4, .* 3 .vae.: install"),
        ("01 808004 00000000 40 40 01", MalformedHeader, "model is 65536, .* 0 to 65535"),
        ("01 8100 00000000 40 40 01", MalformedHeader, "model is padded"),
        ("01 01 00000000 00 40 01", MalformedHeader, "width is 0"),
        ("01 01 00000000 40 00 01", MalformedHeader, "height is 0"),
        ("01 01 00000000 8080808008 40 01", MalformedHeader, "width is 2147483648"),
        ("01 01 00000000 c000 40 01", MalformedHeader, "width is padded"),
        ("01 01 00000000 ffffffffffffffffff01 40 01", MalformedHeader, "longer than 9 bytes"),
        ("01 01 00000000 40 40 02", MalformedHeader, "mode is 2"),
    ],
)
def test_image_fields(image: str, error: type[NczError], message: str) -> None:
    refused(seal(body(image=image)), error, message)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ff00 00 01 0305", "quality is 0.996094, the format allows 1 to 100"),
        ("0164 00 01 0305", "quality is 100.004"),
        ("0032 00 00", "number of groups is 0"),
        ("0032 00 09" + "0305" * 9, "number of groups is 9"),
        ("0032 00 01 0005", "group size is 0"),
        ("0032 00 01 810805", "group size is 1025"),
        ("0032 00 01 0301", "group levels is 1,"),
        ("0032 00 01 038108", "group levels is 1025"),
        ("0032 00 02 8004 05 8104 05", "1025 channels"),
    ],
)
def test_header_fields(header: str, message: str) -> None:
    refused(seal(body(header=header)), MalformedHeader, message)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ff00 00 01 0305", "quality is 0.996094, the format allows 1 to 100"),
        ("0032 00 01 0300", "group levels is 1, the format allows 3 to 1023"),
        ("0032 00 02 0302 038004", "group levels is 1025,"),
        ("0032 00 02 8004 02 8104 02", "1025 channels"),
    ],
)
def test_vae_header_fields(header: str, message: str) -> None:
    image = "03 01 00000000 40 40 01"
    assert read(seal(body(image=image, streams=b"\x01\0"))).header.groups == (Group(3, 11),)
    refused(seal(body(image=image, header=header)), MalformedHeader, message)


@pytest.mark.parametrize(
    ("tail", "streams"),
    [
        ("01", ("",)),
        ("01 77", ("77",)),
        ("02 ffff00 77", ("", "77")),  # no bits, 8 fewer than expected: 16 ones and a zero
        ("02 ff3f 77 78", ("77", "78")),  # one bit, which is not stored: 14 ones and a zero
        ("03 ff8f 616263 646566", ("6162", "636465", "66")),  # 12 ones, 0 and 0; 0 and 1
        ("03 ff8f 616263 6465", ("6162", "636465", "")),
        ("02 00 " + "61" * 128 + "78", ("61" * 128, "78")),  # eight bits, as expected
        ("02 01 00" + "61" * 256 + "78", ("61" * 256, "78")),  # one more: a one and a zero
    ],
)
@pytest.mark.parametrize(
    ("image", "header"),
    [
        ("01 01 00000000 40 40 01", "0032 00 01 0305"),
        ("03 01 00000000 40 40 01", "0032 00 01 0302"),
    ],
)
def test_lengths(image: str, header: str, tail: str, streams: tuple[str, ...]) -> None:
    data = seal(body(image=image, header=header, streams=bytes.fromhex(tail)))
    assert read(data).streams == tuple(map(bytes.fromhex, streams))
    assert write(read(data)) == data


@pytest.mark.parametrize("lengths", [[2**30, 0], [0, 2**31 - 1, 0, 1, 2**30]])
def test_lengths_as_far_apart_as_they_can_be(lengths: list[int]) -> None:
    packed = put([*lengths, 0])
    assert take(Cursor(packed), len(lengths) + 1) == [*lengths, 0]


@pytest.mark.parametrize(
    ("tail", "error", "message"),
    [
        ("02", Truncated, "lengths of the streams"),
        ("02 ffff", Truncated, "lengths of the streams"),
        ("02 ffff02 77", MalformedHeader, "bits are set after the lengths"),
        ("02 ffff03 77", MalformedHeader, "a stream length has -1 bits, the format allows 0 to 31"),
        ("02 ffffffffffff01 77", MalformedHeader, "has 33 bits, the format allows 0 to 31"),
        ("02 ffffffffffffffff 77", MalformedHeader, "more than 62 ones"),
        ("02 ff3f", Truncated, "a coded stream needs 1 bytes, 0 are left"),
        ("03 ff8f 61626364", Truncated, "a coded stream needs 3 bytes, 2 are left"),
    ],
)
def test_lengths_that_lie(tail: str, error: type, message: str) -> None:
    refused(seal(body(streams=bytes.fromhex(tail))), error, message)


def test_the_default_body_of_comrec_is_valid() -> None:
    header = read(seal(comrec_body())).header
    assert header == ComRecHeader(50.0, Arrangement.BOTH, Inner.JPEG, 50.0)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ff00 00 01 0032 00", "quality is 0.996094, the format allows 1 to 100"),
        ("0164 00 01 0032 00", "quality is 100.004"),
        ("0032 03 01 0032 00", "arrangement is 3, the format allows 0 to 2"),
        ("0032 00 06 0032 00", "inner is 6, the format allows 0 to 5"),
        ("0032 00 01 ff00 00", "inner_quality is 0.996094, the format allows 1 to 100"),
        ("0032 00 01 0164 00", "inner_quality is 100.004"),
        ("0032 00 01 0032 01", "grid_offset is 1, the format allows only 0 where the inner codec"),
        ("0032 01 05 0032 ff", "grid_offset is 255, the format allows only 0"),
    ],
)
def test_comrec_header_fields(header: str, message: str) -> None:
    refused(seal(comrec_body(header=header)), MalformedHeader, message)


@pytest.mark.parametrize("inner", [1, 2, 3, 4, 5])
def test_a_foreign_inner_codec_has_one_stream(inner: int) -> None:
    header = f"0032 00 {inner:02x} 0032 00"
    assert read(seal(comrec_body(header=header))).streams == (b"x",)
    for count in (2, 16):
        streams = bytes([count]) + lengths.put([1] * count) + b"x" * count
        message = f"number of streams is {count}, the format allows only 1 where the inner codec"
        refused(seal(comrec_body(header=header, streams=streams)), MalformedHeader, message)
        whole = comrec_body(header="0032 00 00 0032 00", streams=streams)
        assert read(seal(whole)).streams == (b"x",) * count


@pytest.mark.parametrize("id_", [1, 2])
def test_sections_of_another_codec(id_: int) -> None:
    data = seal(comrec_body(sections=section(id_, b"\0")))
    refused(data, MalformedHeader, f"section {id_} does not exist in codec comrec")


def test_every_cut_of_a_body_of_comrec_is_refused() -> None:
    """Of the streams only the file's length tells where the last one ends."""
    whole = comrec_body(sections=section(3, b"a"), streams=b"\x01")
    assert read(seal(whole)).alpha == b"a"
    for length in range(len(whole)):
        with pytest.raises(Truncated):
            read(seal(whole[:length]))


@pytest.mark.parametrize(
    ("streams", "error", "message"),
    [
        (b"\x00", MalformedHeader, "number of streams is 0"),
        (b"\x11" + b"\x00" * 17, MalformedHeader, "number of streams is 17"),
        (b"", Truncated, "number of streams needs 1 bytes, 0 are left"),
    ],
)
def test_streams(streams: bytes, error: type[NczError], message: str) -> None:
    refused(seal(body(streams=streams)), error, message)


def test_every_cut_of_a_body_is_refused() -> None:
    whole = body(sections=section(1, b"\4"), streams=b"\x02\xff\x3fx")
    assert read(seal(whole)).header.channel_order == (2, 0, 1)
    for length in range(len(whole)):
        with pytest.raises(Truncated):
            read(seal(whole[:length]))


def test_a_body_of_fewer_bytes_than_the_checksum_is_refused() -> None:
    refused(b"\x89NCZ\x05\x03abc", MalformedHeader, "too few for a checksum")


# Sections.


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        (section(3, b"a") * 2, MalformedHeader, "section 3 follows section 3"),
        (section(3, b"a") + section(1, b"\0"), MalformedHeader, "section 1 follows section 3"),
        (section(200, b"a") * 2, MalformedHeader, "section 200 follows section 200"),
        (section(4, b"a"), MalformedHeader, "section 4 does not exist"),
        (section(127, b""), MalformedHeader, "section 127 does not exist"),
        (b"\x03\x7f", Truncated, "alpha needs 127 bytes"),
        (b"\x83\x7f", Truncated, "skipped needs 127 bytes"),
        (b"\x03\x81\x00a", MalformedHeader, "length of alpha is padded"),
    ],
)
def test_sections(sections: bytes, error: type[NczError], message: str) -> None:
    refused(seal(body(sections=sections)), error, message)


def test_unknown_skippable_sections_are_skipped() -> None:
    unknown = section(131, b"from the future") + section(255, b"")
    data = seal(body(sections=section(129, b"\0Exif") + unknown))
    assert read(data) == replace(read(seal(body())), exif=b"Exif")
    assert sizes(data)["skipped"] == len(unknown)
    assert sum(sizes(data).values()) == len(data)


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [
        (b"", Truncated, "channel_order needs 1 bytes"),
        (b"\x06", MalformedHeader, "no permutation of the 3 channels"),
        (b"\x04\x00", TrailingData, "1 bytes too many after channel_order"),
    ],
)
def test_channel_order(payload: bytes, error: type[NczError], message: str) -> None:
    refused(seal(body(sections=section(1, payload))), error, message)


def test_the_rank_of_1024_channels_is_bounded() -> None:
    header = "0032 00 01 800805"
    size = rank_bytes(1024)
    last = (factorial(1024) - 1).to_bytes(size, "little")
    file = read(seal(body(header=header, sections=section(1, last))))
    assert file.header.channel_order == tuple(range(1023, -1, -1))
    beyond = factorial(1024).to_bytes(size, "little")
    refused(seal(body(header=header, sections=section(1, beyond))), MalformedHeader, "permutation")


# Limits of the reader.


def test_the_pixel_limit_is_the_readers() -> None:
    data = seal(body())
    assert read(data, max_pixels=64 * 64).width == 64
    with pytest.raises(ImageTooLarge, match="64 x 64 = 4096 pixels, 4095 are allowed"):
        read(data, max_pixels=64 * 64 - 1)


def test_the_default_pixel_limit() -> None:
    image = "01 01 00000000 808001 {} 01"
    assert read(seal(body(image=image.format("808001")))).height == 2**14
    with pytest.raises(ImageTooLarge):
        read(seal(body(image=image.format("818001"))))
    assert sum(sizes(seal(body(image=image.format("818001")))).values()) > 0
