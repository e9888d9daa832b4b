"""Ideas for abusing the format, each as code that makes the files, with the outcome it must have.

    python bitstream/attacks/attacks.py            tries them all, says how each went
    python bitstream/attacks/attacks.py --table    the table of README.md

No checksum stops an attack: it is easily forged. A refusal is an `NczError` of one line, before
memory or time is spent that the size of the image does not justify.
"""

from __future__ import annotations

import functools
import io
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import factorial
from pathlib import Path

import forge
import numpy as np
import small
from forge import Parts, forged, seal, take_apart
from PIL import Image

import neurocodec
from neurocodec import container, errors, zoo
from neurocodec.codecs.inner import INNERS
from neurocodec.container import Group, ImportanceMap
from neurocodec.container.permutation import rank_bytes
from neurocodec.container.wire import varint

DECODED = None
"""The outcome of what is harmless."""


@dataclass(frozen=True)
class Attack:
    """idea: what is tried, and why it might work. outcome: the error, or DECODED. message: a
    regular expression that the error's line matches. build: makes the files. decode: what is done
    with them. mebibytes: the most that it may take."""

    number: int
    chapter: str
    idea: str
    outcome: type[errors.NczError] | None
    message: str
    build: Callable[[], Iterable[bytes]]
    decode: Callable[[bytes], object]
    mebibytes: int

    @property
    def name(self) -> str:
        return self.build.__name__


ATTACKS: list[Attack] = []


def attack(
    idea: str, outcome: type[errors.NczError] | None, message: str = "", chapter: str = "", *,
    decode: Callable[[bytes], object] = neurocodec.decode, mebibytes: int = 256,
) -> Callable[[Callable[[], Iterable[bytes]]], Callable[[], Iterable[bytes]]]:  # fmt: skip
    """Numbers a builder of files. A chapter lasts until the next."""

    def enter(build: Callable[[], Iterable[bytes]]) -> Callable[[], Iterable[bytes]]:
        last = chapter or ATTACKS[-1].chapter
        number = len(ATTACKS) + 1
        ATTACKS.append(Attack(number, last, idea, outcome, message, build, decode, mebibytes))
        return build

    return enter


@functools.cache
def valid() -> dict[str, bytes]:
    """Files to begin with, of small models and shipped ones."""
    return small.files()


def parts(name: str) -> Parts:
    return take_apart(valid()[name])


def with_section(name: str, number: int, payload: bytes) -> bytes:
    """A file with this section, in its place."""
    whole = parts(name)
    whole.sections = sorted({**dict(whole.sections), number: payload}.items())
    return whole.seal()


def with_levels(name: str, levels: bytes) -> bytes:
    """That file, whose first tile says that its groups have these levels, as they are stored."""
    whole = parts(name)
    whole.tiles[0].header = b"\0" + levels
    return whole.seal()


def with_streams(name: str, *streams: bytes) -> bytes:
    whole = parts(name)
    whole.streams = list(streams)
    return whole.seal()


# Damage that is no attack comes first.


@attack("Flip any byte.", errors.NczError, chapter="Damage")
def flipped_bytes() -> Iterable[bytes]:
    for data in (valid()["cvqn-map"], valid()["cvqn-tiles"]):
        for place in range(len(data)):
            yield data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :]


@attack("Cut the file anywhere. It knows its length.", errors.Truncated)
def cut_files() -> Iterable[bytes]:
    for data in (valid()["cvqn-map"], valid()["cvqn-tiles"]):
        yield from (data[:length] for length in range(len(data)))


@attack(
    "Append a byte, or a second file, to hide a payload behind the image.",
    errors.TrailingData, "something was appended",
)  # fmt: skip
def appended() -> Iterable[bytes]:
    for data in (valid()["cvqn"], valid()["cvqn-tiles"]):
        yield from (data + b"\0", data + data)


# Structure, behind a right length and checksum.


@attack(
    "Cut the contents anywhere before the last stream and mend length and checksum, to make a read "
    "go past the end.",
    errors.Truncated, chapter="Structure",
)  # fmt: skip
def cut_bodies() -> Iterable[bytes]:
    body = forge.unseal(valid()["cvqn-map"])
    last = len(parts("cvqn-map").streams[-1])
    return [seal(body[:length]) for length in range(len(body) - last)]


@attack(
    "A length too small to hold the checksum, so that the checksum overlaps the header.",
    errors.MalformedHeader, "too few for a checksum",
)  # fmt: skip
def no_room_for_the_checksum() -> Iterable[bytes]:
    return [forge.HEAD + b"\3abc", forge.HEAD + b"\0"]


@attack(
    "A section of 2^63 − 1 bytes, to overflow an offset or to be allocated.",
    errors.Truncated, r"needs 9223372036854775807 bytes, \d+ are left",
)  # fmt: skip
def a_length_that_lies() -> Iterable[bytes]:
    whole = parts("cvqn")
    most = varint(2**63 - 1)
    front = whole.image + whole.header
    return [seal(front + number + most + b"x") for number in (b"\3", b"\x80")]


@attack(
    "A varint without end, or padded with zeros, to overflow a shift or to spell one file in many "
    "ways.",
    errors.MalformedHeader, "longer than 9 bytes|needless zero byte",
)  # fmt: skip
def endless_varints() -> Iterable[bytes]:
    whole = parts("cvqn")
    codec, rest = whole.image[:1], whole.image[1:]
    return [seal(codec + bad + rest) for bad in (b"\xff" * 12 + b"\1", b"\x80\0", b"\x81\x80\0")]


@attack("Every field just outside its range.", errors.MalformedHeader, "the format allows")
def fields_out_of_range() -> Iterable[bytes]:
    image, header = "01 05 00000000 40 40 01", "0032 00 01 0305"
    forgeries = [
        ("01 808004 00000000 40 40 01", header), ("01 05 00000000 00 40 01", header),
        ("01 05 00000000 40 00 01", header), ("01 05 00000000 8080808008 40 01", header),
        ("01 05 00000000 40 40 02", header), (image, "ff00 00 01 0305"), (image, "0164 00 01 0305"),
        (image, "0032 00 00"), (image, "0032 00 09" + "0305" * 9), (image, "0032 00 01 0005"),
        (image, "0032 00 01 810805"), (image, "0032 00 01 0301"), (image, "0032 00 01 038108"),
        ("02" + image[2:], "0032 03 00 0032 00"), ("02" + image[2:], "0032 00 06 0032 00"),
        ("02" + image[2:], "0032 00 00 0000 00"),
    ]  # fmt: skip
    for image, header in forgeries:
        yield seal(bytes.fromhex(image) + bytes.fromhex(header) + b"\0\1\1x")
    for count in (0, 17):
        yield with_streams("cvqn", *[b"x"] * count)


@attack(
    "Groups that are small one by one and too many together.",
    errors.MalformedHeader, "1025 channels",
)  # fmt: skip
def too_many_channels() -> Iterable[bytes]:
    whole = parts("cvqn")
    whole.header = bytes.fromhex("0032 00 02 8004 05 8104 05")
    return [whole.seal()]


@attack(
    "The same section twice, or sections in another order, so that two readers pick different "
    "ones.",
    errors.MalformedHeader, "their numbers have to ascend",
)  # fmt: skip
def sections_twice() -> Iterable[bytes]:
    for number in range(3):
        whole = parts("cvqn-metadata")
        whole.sections.insert(number, whole.sections[number])
        yield whole.seal()
    whole = parts("cvqn-metadata")
    whole.sections.reverse()
    yield whole.seal()


@attack(
    "A section from the future that changes the meaning of the image.",
    errors.MalformedHeader, "does not exist in version 5",
)  # fmt: skip
def unknown_sections() -> Iterable[bytes]:
    return [with_section("cvqn", number, b"?") for number in (4, 50, 127)]


@attack("A section from the future that may be skipped, of any content.", DECODED)
def skippable_sections() -> Iterable[bytes]:
    return [with_section("cvqn", n, forge.gzip_member(bytes(2**22))) for n in (131, 200, 255)]


@attack(
    "Another version, with contents of its own and no checksum.",
    errors.UnsupportedVersion, "install a newer|before the first release",
)  # fmt: skip
def other_versions() -> Iterable[bytes]:
    return [container.MAGIC + bytes([version]) + b"anything" for version in (0, 1, 4, 7, 255)]


@attack("A codec that does not exist.", errors.UnknownCodec, "this release knows")
def other_codecs() -> Iterable[bytes]:
    for codec in (0, 200, 255):
        whole = parts("cvqn")
        whole.image = bytes([codec]) + whole.image[1:]
        yield whole.seal()


@attack(
    "A channel order that names a channel twice, to leave memory uninitialised. It cannot be "
    "written down: ranks below C! are permutations, and others are refused.",
    errors.MalformedHeader, "no permutation",
)  # fmt: skip
def no_permutations() -> Iterable[bytes]:
    return [with_section("cvqn", 1, bytes([rank])) for rank in (factorial(5), 255)]


@attack(
    "The rank after the last permutation of 1024 channels, an integer of 8770 bits.",
    errors.MalformedHeader, "no permutation of the 1024 channels",
)  # fmt: skip
def a_rank_of_8770_bits() -> Iterable[bytes]:
    whole = parts("cvqn")
    whole.header = bytes.fromhex("0032 00 01 8008 05")
    whole.sections = [(1, factorial(1024).to_bytes(rank_bytes(1024), "little"))]
    return [whole.seal()]


# Memory.


@attack(
    "An image of 2^31 − 1 by 2^31 − 1 pixels in sixty bytes.",
    errors.ImageTooLarge, "4611686014132420609 pixels", chapter="Memory",
)  # fmt: skip
def the_largest_image() -> Iterable[bytes]:
    sides = {"width": 2**31 - 1, "height": 2**31 - 1}
    return [forged(valid()[name], **sides) for name in ("cvqn-dot", "comrec-dot", "vae-dot")]


@attack(
    "2^31 pixels, whose product overflows 32 bits to nothing.",
    errors.ImageTooLarge, "pixels, 268435456 are allowed",
)  # fmt: skip
def products_that_overflow() -> Iterable[bytes]:
    for width, height in ((2**16, 2**16), (2**31 - 1, 2), (2**20, 2**11), (2**28 + 1, 1)):
        yield forged(valid()["cvqn-dot"], width=width, height=height)


@attack(
    "2^28 pixels, which are allowed, one pixel wide: networks pad them to blocks.",
    errors.ImageTooLarge, "when padded",
)  # fmt: skip
def thin_strips() -> Iterable[bytes]:
    for name in ("cvqn-dot", "comrec-dot", "vae-dot"):
        yield forged(valid()[name], width=2**28, height=1)
        yield forged(valid()[name], width=1, height=2**28)


@attack(
    "2^25 pixels, which are allowed, behind streams of a few bytes: gigabytes and minutes, for "
    "nothing. A symbol costs some of a bit at least, so the streams are too short.",
    errors.CorruptStream, r"of \d+ bytes cannot hold \d+ symbols|coded streams, expected",
)  # fmt: skip
def huge_and_empty() -> Iterable[bytes]:
    names = ("cvqn", "cvqn-dot", "comrec-both", "comrec-rec", "vae", "vae-dot")
    for name in (*names, "shipped-cvqn", "shipped-comrec"):
        yield forged(valid()[name], width=2**13, height=2**12)


@attack(
    "2^28 pixels, which are allowed in tiles, in one or two pieces, behind long streams: what "
    "networks need does not depend on what is in the file.",
    errors.ImageTooLarge, r"16384x\d+ pixels in one piece are above the limit of 33554432",
)  # fmt: skip
def huge_in_one_piece() -> Iterable[bytes]:
    groups = (Group(2, 1023), Group(3, 1023))
    passes = len(parts("vae").streams) - 1
    long = with_streams("vae", bytes(2**16), *[bytes(2**17)] * passes)
    yield forged(long, width=2**14, height=2**14, groups=groups)
    yield sized("vae-tiles", 2**14, 2**14, (2**8, 2**7), parts("vae-tiles").tiles[:2])


@attack(
    "The same around the file of another codec, which has its own size.",
    errors.CorruptStream, "holds 40x24 pixels, expected 8192x4096",
)  # fmt: skip
def huge_around_a_small_file() -> Iterable[bytes]:
    for name in small.FOREIGN:
        yield forged(valid()[f"{name}-rec"], width=2**13, height=2**12)


@attack(
    "A gzip bomb as importance map: 64 MiB of zeros where twelve bytes were announced.",
    errors.MalformedHeader, "inflates to more than 12 bytes",
)  # fmt: skip
def a_bomb_in_the_map() -> Iterable[bytes]:
    fields, _ = forge.split_map(dict(parts("cvqn-map").sections)[forge.MAP])
    return [with_section("cvqn-map", forge.MAP, fields + forge.gzip_member(bytes(2**26)))]


@attack(
    "An importance map that announces 2^62 positions, to make the bomb legal. The image bounds it.",
    errors.MalformedHeader, "an image of 40 x 64 pixels allows",
)  # fmt: skip
def a_map_larger_than_the_image() -> Iterable[bytes]:
    for rows, cols in ((2**31 - 1, 2**31 - 1), (13, 8), (8, 16)):
        fields = varint(rows) + varint(cols) + b"\4"
        yield with_section("cvqn-map", forge.MAP, fields + forge.gzip_member(bytes(9)))


@attack(
    "A huge image, so that its map may be huge too: at most 2^24 positions, and as many as the "
    "latent has.",
    errors.NczError, "16777216 in all|are allowed|does not fit",
)  # fmt: skip
def a_huge_image_for_a_huge_map() -> Iterable[bytes]:
    for side, rows in ((2**17, 4097), (2**12, 512), (2**12, 257)):
        whole = take_apart(forged(valid()["cvqn"], width=side, height=side))
        member = forge.gzip_member(bytes(rows * rows))
        whole.sections.append((forge.MAP, varint(rows) * 2 + b"\4" + member))
        yield whole.seal()


@attack(
    "A bomb in ICC, EXIF or XMP: more than announced, or announced beyond 64 MiB.",
    errors.MalformedHeader, "inflates to more than|the format allows",
)  # fmt: skip
def bombs_in_the_metadata() -> Iterable[bytes]:
    for number in forge.METADATA:
        yield with_section("cvqn", number, varint(9) + forge.raw_deflate(bytes(2**26)))
        yield with_section("cvqn", number, varint(2**26 + 1) + forge.raw_deflate(bytes(99)))


@attack(
    "A bomb in ICC, EXIF and XMP that announces what it holds, 48 MiB in 48 KiB. It is allowed: "
    "memory is what the file announces.",
    DECODED,
)
def announced_bombs() -> Iterable[bytes]:
    whole = parts("cvqn")
    whole.sections += [(number, forge.metadata(bytes(2**24))) for number in forge.METADATA]
    return [whole.seal()]


@attack(
    "A valid bomb before an invalid field, to make the reader work for a file that it will refuse. "
    "Nothing is inflated before everything is validated.",
    errors.MalformedHeader, "xmp size",
)  # fmt: skip
def a_bomb_before_a_fault() -> Iterable[bytes]:
    whole = parts("cvqn")
    whole.sections += [(128, forge.metadata(bytes(2**26))), (130, varint(2**40))]
    return [whole.seal()]


# Hiding places.


@attack(
    "Bytes after a compressed stream, a second gzip member, a name or a time in its header.",
    errors.MalformedHeader, "importance", chapter="Hiding places",
)  # fmt: skip
def gzip_with_more_in_it() -> Iterable[bytes]:
    fields, values = forge.split_map(dict(parts("cvqn-map").sections)[forge.MAP])
    member = forge.gzip_member(values)
    named = member[:3] + b"\x08" + member[4:10] + b"name\0" + member[10:]
    dated = member[:4] + b"\1" + member[5:]
    for wrong in (member + b"!", member * 2, named, dated, member[:-1], member[:-8] + bytes(8)):
        yield with_section("cvqn-map", forge.MAP, fields + wrong)


@attack(
    "Map values beyond the number of levels, to index past a table.",
    errors.MalformedHeader, "holds the value",
)  # fmt: skip
def map_values_out_of_range() -> Iterable[bytes]:
    fields, values = forge.split_map(dict(parts("cvqn-map").sections)[forge.MAP])
    for value in (4, 255):
        member = forge.gzip_member(bytes([value]) + values[1:])
        yield with_section("cvqn-map", forge.MAP, fields + member)


@attack(
    "A section of another codec, which no part of the decoder would ever look at.",
    errors.MalformedHeader, "does not exist in codec comrec",
)  # fmt: skip
def sections_of_another_codec() -> Iterable[bytes]:
    return [with_section("comrec-both", number, b"\0") for number in (1, 2)]


@attack(
    "A second stream behind the file of another codec, or a grid offset where nothing is snapped.",
    errors.MalformedHeader, "the format allows only",
)  # fmt: skip
def more_than_a_foreign_file() -> Iterable[bytes]:
    stream = parts("webp-rec").streams[0]
    yield with_streams("webp-rec", stream, stream)
    whole = parts("webp-rec")
    whole.header = whole.header[:-1] + b"\1"
    yield whole.seal()


# Models.


@attack(
    "A model that is not there.",
    errors.UnknownModel,
    "update neurocodec|no release has",
    chapter="Models",
)
def missing_models() -> Iterable[bytes]:
    return [forged(valid()["cvqn"], model=model) for model in (0, 1, 65535)]


@attack(
    "A model with other weights: the symbols would be noise.",
    errors.ModelMismatch, "weights .* of model",
)  # fmt: skip
def other_weights() -> Iterable[bytes]:
    return [forged(valid()[name], model_digest=b"weak") for name in ("cvqn", "shipped-webp")]


@attack("A model of another codec.", errors.ModelMismatch, "load that model")
def a_model_of_another_codec() -> Iterable[bytes]:
    cvqn, comrec = zoo.by_name("cvqn"), zoo.by_name("comrec")
    for name, model in (("cvqn", comrec), ("comrec-both", cvqn)):
        digest = bytes.fromhex(model.digest)[:4]
        yield forged(valid()[name], model=model.wire_id, model_digest=digest)


@attack("Groups or levels of another model.", errors.MalformedHeader, "not those of model")
def groups_of_another_model() -> Iterable[bytes]:
    for groups in (
        (Group(2, 31),),
        (Group(2, 31), Group(3, 16)),  # more than there are, and an even number of odd ones
        (Group(2, 30), Group(3, 15)),
        (Group(3, 31), Group(2, 15)),
        (Group(2, 3),) * 3,
    ):
        yield forged(valid()["cvqn"], groups=groups, channel_order=None)
    for groups in ((Group(2, 3),), (Group(3, 3), Group(2, 3)), (Group(2, 3),) * 3):
        yield forged(valid()["vae"], groups=groups)


@attack("A map of another size, or of other levels.", errors.MalformedHeader, "does not fit")
def a_map_that_does_not_fit() -> Iterable[bytes]:
    for rows, cols, levels in ((4, 4, 4), (2, 3, 4), (3, 4, 5), (1, 1, 2)):
        fitted = ImportanceMap(rows, cols, levels, bytes(rows * cols))
        yield forged(valid()["cvqn-map"], importance=fitted)


@attack(
    "An inner codec that the model was not made for.", errors.CorruptStream, "was trained around"
)
def an_inner_codec_of_another_model() -> Iterable[bytes]:
    yield forged(valid()["webp-rec"], inner=container.Inner.DCT)
    yield forged(with_streams("comrec-rec", b"x"), inner=container.Inner.JPEG, grid_offset=0)


# Entropy coding.


@attack(
    "Too few streams, or too many.", errors.CorruptStream, "too few|too many|streams, expected",
    chapter="Streams",
)  # fmt: skip
def other_numbers_of_streams() -> Iterable[bytes]:
    for name in ("cvqn", "cvqn-map", "comrec-both", "vae"):
        streams = parts(name).streams
        yield with_streams(name, *streams[:-1])
        yield with_streams(name, *streams, b"x")


@attack(
    "Streams that end early or late, whose decoder would read zeros past their end, or never look "
    "at a payload behind it.",
    errors.CorruptStream, "cannot hold|does not fit",
)  # fmt: skip
def streams_that_end_early_or_late() -> Iterable[bytes]:
    for name in ("cvqn", "cvqn-map", "comrec-both", "vae"):
        streams = parts(name).streams
        for stream in (b"", streams[-1][:-4], streams[-1] + bytes(4), streams[-1] * 99):
            yield with_streams(name, *streams[:-1], stream)


# Files of other codecs, inside.


def _picture(width: int = 40, height: int = 24) -> np.ndarray:
    return np.asarray(small.picture(width, height))


def _encoded(format: str, image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or small.picture(40, 24)).save(stream, format, **options)
    return stream.getvalue()


@attack(
    "A picture of another size than the header's, smaller or larger.",
    errors.CorruptStream, "expected 40x24|more pixels than 40x24|cannot be decoded",
    chapter="Inner codecs",
)  # fmt: skip
def pictures_of_another_size() -> Iterable[bytes]:
    for name in small.FOREIGN:
        for size in ((24, 40), (39, 24), (41, 24), (1000, 1000)):
            yield with_streams(f"{name}-rec", INNERS[name].encode(_picture(*size), 30))


@attack("A file cut anywhere.", errors.CorruptStream, "cannot be decoded")
def cut_inner_files() -> Iterable[bytes]:
    for name in small.FOREIGN:
        stream = parts(f"{name}-rec").streams[0]
        for length in range(0, len(stream), 9):
            yield with_streams(f"{name}-rec", stream[:length])


@attack(
    "A file of another format, under the name of this one: readers exist for a hundred.",
    errors.CorruptStream, "cannot be decoded",
)  # fmt: skip
def inner_files_of_another_format() -> Iterable[bytes]:
    others = [_encoded(format) for format in ("PNG", "TIFF", "BMP", "GIF", "EPS", "PPM")]
    for name in small.FOREIGN:
        foreign = [parts(f"{other}-rec").streams[0] for other in small.FOREIGN if other != name]
        yield from (with_streams(f"{name}-rec", wrong) for wrong in others + foreign)


@attack("A file with something behind its end.", errors.CorruptStream, "cannot be decoded")
def inner_files_with_more_behind() -> Iterable[bytes]:
    for name in small.FOREIGN:
        yield with_streams(f"{name}-rec", parts(f"{name}-rec").streams[0] + bytes(8))


@attack(
    "JPEG: a thousand scans of a few bytes, each of which goes through the whole picture.",
    errors.CorruptStream, "cannot be decoded .*1009 scans",
)  # fmt: skip
def jpeg_scans() -> Iterable[bytes]:
    stream = _encoded("JPEG", progressive=True)
    scan = stream[stream.rindex(b"\xff\xda") : -2]
    yield with_streams("jpeg-rec", stream[:-2] + scan * 999 + stream[-2:])


def _exif_bomb(size: int) -> bytes:
    """A thousand values of this many bytes each, all the same."""
    count, room = 1000, size - 20000
    entries = b"".join(struct.pack("<HHII", 0x8000 + i, 7, room, 20000) for i in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + entries).ljust(size, b"\0")


@attack(
    "JPEG: EXIF in several segments, whose thousand values are all the same half megabyte. Pillow "
    "opens it, and copies each.",
    errors.CorruptStream, "has a segment ffe1",
)  # fmt: skip
def jpeg_exif() -> Iterable[bytes]:
    stream, bomb = _encoded("JPEG"), _exif_bomb(500_000)
    segments = b""
    for start in range(0, len(bomb), 65000):
        content = b"Exif\0\0" + bomb[start : start + 65000]
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    yield with_streams("jpeg-rec", stream[:2] + segments + stream[2:])


@attack(
    "JPEG: two frame headers of different sizes, one for each parser.",
    errors.CorruptStream, "2 frames",
)  # fmt: skip
def jpeg_frames() -> Iterable[bytes]:
    stream = _encoded("JPEG")
    place = stream.index(b"\xff\xc0")
    frame = stream[place : place + 19]
    larger = frame[:5] + struct.pack(">HH", 60000, 60000) + frame[9:]
    for both in (frame + larger, larger + frame):
        yield with_streams("jpeg-rec", stream[:place] + both + stream[place + 19 :])


def _webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP"
    for kind, content in chunks:
        body += kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _u24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


@attack(
    "WebP: the extended format, with a canvas of 2^28 pixels, an animation, or EXIF.",
    errors.CorruptStream, "not of the simple file format",
)  # fmt: skip
def webp_extended() -> Iterable[bytes]:
    plain = _encoded("WEBP")
    picture = (plain[12:16], plain[20:])
    head = b"VP8X", b"\x0a\0\0\0" + _u24(39) + _u24(23)
    canvas = b"VP8X", b"\x02\0\0\0" + _u24(2**14 - 1) * 2
    frame = bytes(6) + _u24(39) + _u24(23) + bytes(4) + plain[12:]
    animation = (b"ANIM", bytes(6)), (b"ANMF", frame)
    yield with_streams("webp-rec", _webp(canvas, *animation))
    yield with_streams("webp-rec", _webp(head, *animation * 99))
    yield with_streams("webp-rec", _webp(head, picture, (b"EXIF", _exif_bomb(500_000))))


def _jpeg2000(**changes: int) -> bytes:
    """A codestream with other numbers in its SIZ segment."""
    stream = bytearray(_encoded("JPEG2000", no_jp2=True, mct=1))
    places = {"columns": 6, "rows": 10, "tile_columns": 22, "tile_rows": 26}
    start = stream.index(b"\xff\x51")
    for name, value in changes.items():
        struct.pack_into(">I", stream, start + places[name], value)
    return bytes(stream)


@attack(
    "JPEG 2000: tiles of one pixel. 65,025 of them took 750 MB.",
    errors.CorruptStream, "more than one tile",
)  # fmt: skip
def jpeg2000_tiles() -> Iterable[bytes]:
    yield with_streams("jpeg2000-rec", _jpeg2000(tile_columns=1, tile_rows=1))
    large = _jpeg2000(columns=255, rows=255, tile_columns=1, tile_rows=1)
    whole = take_apart(forged(valid()["jpeg2000-rec"], width=255, height=255))
    whole.streams = [large]
    yield whole.seal()


@attack(
    "JPEG 2000: precincts of two pixels, or code-blocks of four. A megapixel took 1.6 GB, from 195 "
    "bytes.",
    errors.CorruptStream, "precincts or code-blocks",
)  # fmt: skip
def jpeg2000_precincts() -> Iterable[bytes]:
    stream = _encoded("JPEG2000", Image.new("RGB", (1024, 1024)), no_jp2=True, mct=1)
    place = stream.index(b"\xff\x52")
    segment, rest = stream[place : place + 14], stream[place + 14 :]
    whole = take_apart(forged(valid()["jpeg2000-rec"], width=1024, height=1024))
    sizes = b"\x11" * (segment[9] + 1)
    small_precincts = segment[:2] + struct.pack(">HB", 12 + len(sizes), 1) + segment[5:] + sizes
    small_blocks = segment[:10] + b"\0\0" + segment[12:]
    for wrong in (small_precincts, small_blocks):
        whole.streams = [stream[:place] + wrong + rest]
        yield whole.seal()


@attack(
    "JPEG 2000: its boxes around a codestream of another size; a second header in the tile; many "
    "components.",
    errors.CorruptStream, "cannot be decoded",
)  # fmt: skip
def jpeg2000_other() -> Iterable[bytes]:
    yield with_streams("jpeg2000-rec", _encoded("JPEG2000"))
    plain = _jpeg2000()
    start, cod, data = (plain.index(mark) for mark in (b"\xff\x51", b"\xff\x52", b"\xff\x93"))
    yield with_streams("jpeg2000-rec", plain[:data] + plain[cod : cod + 14] + plain[data:])
    for count in (4, 16384):
        content = plain[start + 4 : start + 38] + struct.pack(">H", count) + b"\7\1\1" * count
        size = plain[:start] + b"\xff\x51" + struct.pack(">H", len(content) + 2 & 0xFFFF) + content
        yield with_streams("jpeg2000-rec", size + plain[cod:])


def _relabelled(stream: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIC file that announces another size of its picture."""
    place = stream.index(b"ispe") + 8
    return stream[:place] + struct.pack(">II", width, height) + stream[place + 8 :]


@attack(
    "AVIF: announces 40×24 and codes 2048×2048: the decoder allocates first, and crops. 8192×8192 "
    "took 125 MB, from 1050 bytes.",
    errors.CorruptStream, "announces 40x24 and codes 2048x2048",
)  # fmt: skip
def avif_size() -> Iterable[bytes]:
    large = _encoded("AVIF", Image.new("RGB", (2048, 2048)), quality=5, speed=10)
    yield with_streams("avif-rec", _relabelled(large, 40, 24))


@attack(
    "AVIF, HEIC: two items, items that refer to themselves, media data elsewhere, a movie.",
    errors.CorruptStream, "cannot be decoded",
)  # fmt: skip
def more_boxes() -> Iterable[bytes]:
    for name in {"avif", "heic"} & set(small.FOREIGN):
        stream = parts(f"{name}-rec").streams[0]
        meta, media = stream.index(b"meta") - 4, stream.index(b"mdat") - 4
        itself = struct.pack(">I4sHHH", 14, b"dimg", 1, 1, 1)
        reference = struct.pack(">I4sI", 26, b"iref", 0) + itself
        longer = struct.pack(">I", media - meta + len(reference)) + stream[meta + 4 : media]
        yield with_streams(f"{name}-rec", stream[:meta] + longer + reference + stream[media:])
        yield with_streams(f"{name}-rec", stream + stream[media:])
        yield with_streams(f"{name}-rec", stream + struct.pack(">I4s", 8, b"moov"))
        count = stream.index(b"iinf") + 9
        yield with_streams(f"{name}-rec", stream[:count] + b"\2" + stream[count + 1 :])
        item = stream.index(b"iloc") - 4
        end = item + int.from_bytes(stream[item : item + 4], "big")
        for place in (item + 12, item + 13, item + 15, end - 1, end - 5):
            yield with_streams(f"{name}-rec", stream[:place] + b"\x7f" + stream[place + 1 :])


@attack(
    "HEIC: announces less, or crops more, than it codes.",
    errors.CorruptStream, "more pixels than 40x24|cannot be decoded",
)  # fmt: skip
def heic_size() -> Iterable[bytes]:
    if "heic" not in small.FOREIGN:
        return
    large, plain = INNERS["heic"].encode(_picture(512, 512), 1), parts("heic-rec").streams[0]
    yield with_streams("heic-rec", _relabelled(large, 64, 64))
    yield with_streams("heic-rec", _relabelled(plain, 16384, 16384))


# Alpha and metadata.


@attack(
    "Alpha of another size, depth or colour, interlaced, or behind other bytes.",
    errors.CorruptStream, "does not begin as 8-bit grey of 24x20", chapter="Alpha and metadata",
)  # fmt: skip
def other_alpha() -> Iterable[bytes]:
    sizes = ((20, 24), (1, 1), (2**15, 2**12))
    wrong = [_encoded("PNG", Image.new("L", size)) for size in sizes]
    modes = ("1", "P", "LA", "RGBA", "I;16")
    wrong += [_encoded("PNG", Image.new(mode, (24, 20))) for mode in modes]
    wrong += [_encoded(format, Image.new("L", (24, 20))) for format in ("JPEG", "TIFF", "WEBP")]
    chunks = forge.png_chunks(dict(parts("cvqn-alpha").sections)[forge.ALPHA])
    wrong += [forge.png([(b"IHDR", chunks[0][1][:-1] + b"\1"), *chunks[1:]]), b""]
    return [with_section("cvqn-alpha", forge.ALPHA, bad) for bad in wrong]


@attack(
    "Bombs in the PNG of alpha: compressed text, a profile, EXIF, an animation.",
    errors.CorruptStream, "the alpha channel has a chunk",
)  # fmt: skip
def bombs_in_alpha() -> Iterable[bytes]:
    head, *rest = forge.png_chunks(dict(parts("cvqn-alpha").sections)[forge.ALPHA])
    zeros = b"x\0\0" + forge.zlib.compress(bytes(2**26), 9)
    extra = [(b"zTXt", zeros), (b"iCCP", zeros), (b"eXIf", _exif_bomb(100_000))]
    extra += [(b"acTL", struct.pack(">II", 2**31 - 1, 0)), (b"tEXt", b"a\0b")]
    for chunk in extra:
        yield with_section("cvqn-alpha", forge.ALPHA, forge.png([head, chunk, *rest]))


@attack(
    "Alpha that ends early or late, or whose pixels do.",
    errors.CorruptStream, "ends early|does not end where|cannot be read",
)  # fmt: skip
def alpha_that_ends_early_or_late() -> Iterable[bytes]:
    whole = dict(parts("cvqn-alpha").sections)[forge.ALPHA]
    head, *_, end = forge.png_chunks(whole)
    short = forge.png([head, (b"IDAT", forge.zlib.compress(bytes(99))), end])
    for wrong in (whole[:-1], whole[:40], whole + b"!", whole + whole, short):
        yield with_section("cvqn-alpha", forge.ALPHA, wrong)


@attack(
    "EXIF whose thousand values are all the same megabyte, for who saves the image as TIFF or "
    "AVIF: their writers copy each. It is read, and left out of what is written.",
    DECODED,
)
def exif_bomb() -> Iterable[bytes]:
    return [with_section("cvqn", 129, forge.metadata(_exif_bomb(2**20)))]


@attack("EXIF, ICC and XMP that are noise.", DECODED)
def noise_as_metadata() -> Iterable[bytes]:
    noise = bytes(range(256))
    starts = (b"", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\0\0\0\x08", b"Exif\0\0II*\0", b"<x:")
    for start in starts:
        whole = parts("cvqn")
        whole.sections += [(number, b"\0" + start + noise) for number in forge.METADATA]
        yield whole.seal()


# Tiles.


def with_tiles(name: str, tiles: Iterable[Parts | bytes], **changes: object) -> bytes:
    """A file with these tiles in the place of its own, and other fields, see `forged`."""
    whole = take_apart(forged(valid()[name], **changes))
    whole.tiles = list(tiles)
    return whole.seal()


def sized(name: str, width: int, height: int, unit: tuple[int, int], tiles: list[bytes]) -> bytes:
    """A file of tiles with other sizes of the picture and, in 64ths, of a tile."""
    whole = parts(name)
    codec, model = whole.image[:1], container.read(valid()[name])
    image = varint(model.model) + model.model_digest + varint(width) + varint(height) + b"\1"
    whole.image = codec + image
    whole.header = whole.header[:-2] + varint(unit[0]) + varint(unit[1])
    whole.tiles = list(tiles)
    return whole.seal()


@attack(
    "Lengths of tiles that overlap, leave a gap, or go past the end.",
    errors.MalformedHeader, "bytes together, the file leaves", chapter="Tiles",
)  # fmt: skip
def tile_lengths_that_lie() -> Iterable[bytes]:
    whole = parts("cvqn-tiles")
    first, *others = map(len, whole.stored())
    for lie in (first + 1, first - 1, 0, first + sum(others), 2**63 - 1):
        whole.index = b"".join(map(varint, (lie, *others)))
        yield whole.seal()


@attack("Fewer lengths than tiles, or more.", errors.NczError, "length of a tile")
def other_numbers_of_tiles() -> Iterable[bytes]:
    for lie in (-1, 1):
        whole = parts("cvqn-tiles")
        lengths = [*map(len, whole.stored()), 0]
        whole.index = b"".join(map(varint, lengths[: 4 + lie]))
        yield whole.seal()


@attack(
    "A head too small for its checksum, or that goes on into the tiles, or past the end.",
    errors.NczError, "a head of|is damaged",
)  # fmt: skip
def a_head_that_lies() -> Iterable[bytes]:
    whole = parts("cvqn-tiles")
    for length in (0, 3, 99, len(valid()["cvqn-tiles"]), 2**62):
        yield forge.seal_tiles(whole.body(), whole.stored(), length=length)


@attack("Cut the head anywhere and mend length and checksum.", errors.NczError, "needs|together")
def cut_heads() -> Iterable[bytes]:
    whole = parts("cvqn-tiles-all")
    head = whole.body()
    return [forge.seal_tiles(head[:length], whole.stored()) for length in range(len(head))]


@attack("Tiles of no bytes, or too few for a checksum.", errors.ChecksumMismatch, "tile . of 4")
def empty_tiles() -> Iterable[bytes]:
    tiles = parts("cvqn-tiles").tiles
    return [with_tiles("cvqn-tiles", wrong) for wrong in ([b""] * 4, [*tiles[:3], b"abc"])]


@attack(
    "Tiles of no pixels, or of more than 65,536 a side. One of a pixel cannot be written down: a "
    "side is stored in 64ths.",
    errors.MalformedHeader, "tile (width|height) is",
)  # fmt: skip
def sizes_of_tiles() -> Iterable[bytes]:
    for unit in ((0, 1), (1, 0), (1025, 1), (1, 2**63 - 1)):
        yield sized("cvqn-tiles", 66, 70, unit, [b""] * 4)


@attack(
    "Tiles larger than the picture, for two ways to spell one file.",
    errors.MalformedHeader, "a picture of 1 tiles",
)  # fmt: skip
def one_tile() -> Iterable[bytes]:
    yield sized("cvqn-tiles", 66, 70, (2, 2), [b""])
    yield sized("cvqn-tiles", 66, 70, (1024, 1024), [b""])


@attack(
    "More tiles than the format allows, up to 2^50 of them in a hundred bytes.",
    errors.MalformedHeader, r"a picture of \d+ tiles, the format allows 2 to 65536",
)  # fmt: skip
def too_many_tiles() -> Iterable[bytes]:
    for width, height in ((2**31 - 1, 2**31 - 1), (2**16 * 64 + 1, 1), (1, 2**22 + 1)):
        yield sized("cvqn-tiles", width, height, (1, 1), [])


@attack(
    "65,536 tiles of no bytes, which are allowed, for 2^28 pixels, which are allowed.",
    errors.ChecksumMismatch, "tile 0 of 65536",
)  # fmt: skip
def as_many_tiles_as_may_be() -> Iterable[bytes]:
    yield sized("cvqn-tiles", 2**14, 2**14, (1, 1), [b""] * 2**16)


def _vast(name: str) -> bytes:
    """Four tiles of 2^32 pixels, whose streams are long enough for them."""
    whole = parts(name)
    whole.tiles[0].streams = [bytes(2**16)] * len(whole.tiles[0].streams)
    return sized(name, 2**17, 2**17, (1024, 1024), whole.tiles[:1] * 4)


@attack(
    "2^34 pixels in four tiles: more than is allowed.",
    errors.ImageTooLarge, "17179869184 pixels, 268435456 are allowed",
)  # fmt: skip
def vast_tiles() -> Iterable[bytes]:
    return [_vast(name) for name in ("cvqn-tiles", "vae-tiles", "comrec-tiles")]


@attack(
    "The same, for who asks for one pixel of it, which is in a tile of 2^32.",
    errors.ImageTooLarge, "tiles of 65536x65536 pixels",
    decode=functools.partial(neurocodec.decode, crop=(0, 0, 1, 1)),
)  # fmt: skip
def a_crop_of_vast_tiles() -> Iterable[bytes]:
    return [_vast(name) for name in ("cvqn-tiles", "vae-tiles", "comrec-tiles")]


@attack(
    "2^31 pixels in 65,536 tiles, of which four are there, for who asks for a region of those. It "
    "is allowed: no others are looked at.",
    DECODED,
    decode=functools.partial(neurocodec.decode, crop=(200, 50, 100, 50)),
)
def a_crop_of_a_vast_picture() -> Iterable[bytes]:
    picture = neurocodec.encode(small.picture(768, 128), "small-cvqn", 50, tile_size=256)
    tile = take_apart(picture).tiles[0]
    tiles: list[Parts | bytes] = [b""] * 2**16
    for number in (0, 1, 2, 512, 513, 514):
        tiles[number] = tile
    yield sized("cvqn-tiles", 2**17, 2**14, (4, 2), tiles)


@attack(
    "A region out of the picture, whose sums overflow 32 bits.",
    errors.InvalidArgument, "does not lie within the picture",
    decode=functools.partial(neurocodec.decode, crop=(2**31 - 1, 2**31 - 1, 2**31, 2**31)),
)  # fmt: skip
def a_crop_out_of_the_picture() -> Iterable[bytes]:
    return [valid()["cvqn-tiles"], valid()["cvqn"]]


@attack(
    "A map, an order or alpha for all tiles, or metadata in one of them, that only some readers "
    "would take.",
    errors.MalformedHeader, "does not exist in (the head|a tile)",
)  # fmt: skip
def sections_in_the_wrong_place() -> Iterable[bytes]:
    for number in (1, 2, 3):
        yield with_section("cvqn-tiles", number, b"?")
    for number in forge.METADATA:
        whole = parts("cvqn-tiles")
        whole.tiles[3].sections.append((number, b"\0hidden"))
        yield whole.seal()


@attack(
    "A tile that says of itself another model, size or quality: a whole file in its place, of one "
    "picture or of tiles. A tile has no such fields.",
    errors.NczError, "a tile|a section|levels|skipped",
)  # fmt: skip
def files_as_tiles() -> Iterable[bytes]:
    for name in ("cvqn", "cvqn-tiles", "shipped-cvqn"):
        whole = parts("cvqn-tiles")
        for inside in (valid()[name], forge.unseal(valid()[name])):
            whole.tiles[0] = forge.seal_tile(0, inside)
            yield whole.seal()


@attack(
    "A file of tiles as the file of another codec, within a tile.",
    errors.CorruptStream, "cannot be decoded",
)  # fmt: skip
def tiles_within_tiles() -> Iterable[bytes]:
    for name in small.FOREIGN:
        whole = parts(f"{name}-tiles")
        whole.tiles[1].streams = [valid()[f"{name}-tiles"]]
        yield whole.seal()


@attack(
    "A tile in the place of another, whose size is another.",
    errors.NczError, "cannot hold|does not fit|too many|too few|does not begin|expected",
)  # fmt: skip
def exchanged_tiles() -> Iterable[bytes]:
    for name in ("cvqn-tiles", "cvqn-tiles-all", "vae-tiles", "comrec-tiles"):
        whole = parts(name)
        whole.tiles.reverse()
        yield whole.seal()
    for name in small.FOREIGN:
        whole = parts(f"{name}-tiles")
        whole.tiles.reverse()
        yield whole.seal()


@attack(
    "An importance map as large as the picture may have, in a tile.",
    errors.MalformedHeader, "an image of 40 x 64 pixels allows 12 x 15",
)  # fmt: skip
def a_map_larger_than_the_tile() -> Iterable[bytes]:
    whole = parts("cvqn-tiles-all")
    fields = varint(12) + varint(24) + b"\4"
    whole.tiles[0].sections = [(forge.MAP, fields + forge.gzip_member(bytes(12 * 24)))]
    yield whole.seal()


@attack(
    "Levels or a grid offset for all tiles, and those of a tile out of their range.",
    errors.MalformedHeader, "of its own|the format allows",
)  # fmt: skip
def levels_of_tiles() -> Iterable[bytes]:
    for name, own in (
        ("vae-tiles", (b"\0\1", b"\1\0", b"\x80\4\1")),
        ("cvqn-tiles", (b"\0\3", b"\3\1", b"\x81\x08\3")),
    ):
        for place in (2, -3):  # of the grid offset, and of the levels of the last group
            whole = parts(name)
            header = bytearray(whole.header)
            header[place] += 2
            whole.header = bytes(header)
            yield whole.seal()
        for levels in own:
            yield with_levels(name, levels)


@attack(
    "Levels of a tile that the model has not.",
    errors.MalformedHeader, "not those of model",
)  # fmt: skip
def levels_of_a_tile() -> Iterable[bytes]:
    for levels in (b"\x21\x0f", b"\x1f\x0e", b"\x1e\x0f"):
        yield with_levels("cvqn-tiles", levels)


@attack(
    "Fewer levels than the streams were written for, in a file or in a tile.",
    errors.CorruptStream, "does not fit its",
)  # fmt: skip
def levels_of_another_file() -> Iterable[bytes]:
    for groups in ((Group(2, 3), Group(3, 3)), (Group(2, 31), Group(3, 3))):
        for name in ("cvqn", "cvqn-map", "cvqn-dot"):
            yield forged(valid()[name], groups=groups)
    for levels in (b"\x03\x03", b"\x1f\x03"):
        yield with_levels("cvqn-tiles", levels)


@attack(
    "Bombs for who only looks (`ncz info`): 256 tiles of 2^32 pixels, each with a map of 2^24 "
    "positions in 16 KiB. It inflates none of them.",
    DECODED, decode=neurocodec.info,
)  # fmt: skip
def maps_in_vast_tiles() -> Iterable[bytes]:
    whole = parts("cvqn-tiles")
    tile = whole.tiles[0]
    tile.sections = [(forge.MAP, varint(4096) * 2 + b"\4" + forge.gzip_member(bytes(2**24)))]
    yield sized("cvqn-tiles", 2**20, 2**20, (1024, 1024), [tile] * 256)


best_effort = functools.partial(neurocodec.decode, best_effort=True)


@attack(
    "At best effort: every tile damaged, each in a way of its own. What is left is grey.",
    DECODED, decode=best_effort,
)  # fmt: skip
def damage_everywhere() -> Iterable[bytes]:
    for name in ("cvqn-tiles", "cvqn-tiles-all", "vae-tiles", "comrec-tiles", "jpeg-tiles"):
        whole = parts(name)
        stored = whole.stored()
        empty, short, flipped = b"", stored[0][:3], stored[-1][:-1] + b"!"
        yield with_tiles(name, [empty, *[short] * (len(stored) - 2), flipped])
        for tile in whole.tiles:  # right checksums, which lead to a stream that is not
            tile.streams = [stream[:-1] + b"?" * 9 for stream in tile.streams]
        yield whole.seal()
        yield whole.seal()[: -len(stored[-1])]


@attack(
    "At best effort: a head that announces 2^63 bytes, or is damaged itself.",
    errors.NczError, "head|together", decode=best_effort,
)  # fmt: skip
def best_effort_without_a_head() -> Iterable[bytes]:
    data = valid()["cvqn-tiles"]
    whole = parts("cvqn-tiles")
    head = whole.body()
    unsigned = forge.TILED_HEAD + varint(2**63 - 1) + varint(len(head) + 4) + head
    yield unsigned + forge.zlib.crc32(unsigned).to_bytes(4, "little")
    yield from (data[:length] for length in range(7, len(head)))


@attack(
    "At best effort: 2^28 pixels in tiles of which none is left. It is allowed: memory is what the "
    "pixels take, 3 bytes each as an array and 4 as Pillow's image.",
    DECODED, decode=best_effort, mebibytes=2048,
)  # fmt: skip
def nothing_but_grey() -> Iterable[bytes]:
    yield sized("cvqn-tiles", 2**14, 2**14, (1, 1), [b""] * 2**16)


# Lengths of streams.


@attack(
    "Lengths of streams of fewer than 0 bits or more than 31, or told by ones without end.",
    errors.MalformedHeader, "a stream length", chapter="Lengths of streams",
)  # fmt: skip
def lengths_out_of_range() -> Iterable[bytes]:
    for name in ("cvqn", "vae"):
        whole = parts(name)
        for ones in (18, 49, 61, 62, 63, 2**20):
            whole.index = _bits(*[1] * ones, 0)
            yield whole.seal()


@attack(
    "Bits set after the lengths, to spell one file in many ways.",
    errors.MalformedHeader, "bits are set after",
)  # fmt: skip
def bits_after_the_lengths() -> Iterable[bytes]:
    whole = parts("comrec-rec")
    whole.streams = whole.streams[:2]
    whole.index = _bits(*[1] * 14, 0, 1)
    yield whole.seal()


@attack(
    "Lengths of 2^31 − 1 bytes each, which leave less than nothing for the last stream.",
    errors.Truncated, "a coded stream needs 2147483647 bytes",
)  # fmt: skip
def lengths_that_lie() -> Iterable[bytes]:
    for name in ("cvqn", "vae", "vae-tiles"):
        whole = parts(name)
        one = whole if whole.tiles is None else whole.tiles[0]
        first, others = [*[1] * 45, 0, *[1] * 30], [0, *[1] * 30]
        one.index = _bits(*first, *others * (len(one.streams) - 2))
        yield whole.seal()


def _bits(*bits: int) -> bytes:
    """Bits as lengths have them, the first the least significant."""
    packed = sum(bit << place for place, bit in enumerate(bits))
    return packed.to_bytes((len(bits) + 7) // 8, "little")


# The table, and a run of them all.


def table() -> str:
    """The attacks as Markdown, a table a chapter."""
    lines, chapter = [], ""
    for entry in ATTACKS:
        if entry.chapter != chapter:
            chapter = entry.chapter
            lines += ["", f"### {chapter}", "", "| | idea | outcome | code |", "|---|---|---|---|"]
        outcome = entry.outcome.__name__ if entry.outcome else "decoded"
        lines.append(f"| {entry.number} | {entry.idea} | `{outcome}` | `{entry.name}` |")
    return "\n".join(lines).strip() + "\n"


def _outcome(entry: Attack, data: bytes) -> str:
    try:
        entry.decode(data)
    except errors.NczError as error:
        return type(error).__name__
    return "decoded"


def main() -> None:
    import fuzz

    with tempfile.TemporaryDirectory() as folder:
        small.install(Path(folder))
        for data in valid().values():
            neurocodec.decode(data)
        for entry in ATTACKS:
            outcomes, most, longest = set(), 0, 0.0
            for data in entry.build():
                before, start = fuzz.forget_peak(), time.process_time()
                outcomes.add(_outcome(entry, data))
                longest = max(longest, time.process_time() - start)
                most = max(most, fuzz.peak() - before)
            went = ", ".join(sorted(outcomes))
            print(f"{entry.number:>3} {entry.name}: {went}; {longest:.2f} s, {most} MiB")


if __name__ == "__main__":
    if "--table" in sys.argv:
        print(table(), end="")
    else:
        main()
