"""Files to test with: one of each kind by hand, any by hypothesis, and a way to forge them."""

from dataclasses import replace
from zlib import crc32

from hypothesis import strategies as st

from neurocodec.container import (
    Arrangement,
    ComRecHeader,
    CVQNHeader,
    Group,
    ImportanceMap,
    Inner,
    Mode,
    NczFile,
    Tiling,
    VAEHeader,
    write_tile,
)
from neurocodec.container.wire import varint

PLAIN = NczFile(
    codec=1,
    model=1,
    model_digest=bytes.fromhex("c0dec0de"),
    width=768,
    height=512,
    mode=Mode.RGB,
    header=CVQNHeader(
        quality=50.5, grid_offset=7, groups=(Group(8, 3), Group(16, 5), Group(200, 129))
    ),
    streams=(b"first", b"", b"third"),
)

FULL = NczFile(
    codec=1,
    model=300,
    model_digest=bytes.fromhex("00ff00ff"),
    width=33,
    height=17,
    mode=Mode.L,
    header=CVQNHeader(
        quality=1.0,
        grid_offset=0,
        groups=(Group(3, 2),),
        channel_order=(2, 0, 1),
        importance=ImportanceMap(rows=2, cols=3, levels=4, values=bytes([0, 1, 2, 3, 0, 1])),
    ),
    streams=(b"x",),
    icc=b"profile" * 30,
    exif=b"II*\0",
    xmp=b"",
    alpha=b"\x89PNG",
)

COMPACT = NczFile(
    codec=2,
    model=2,
    model_digest=bytes.fromhex("c0dec0de"),
    width=768,
    height=512,
    mode=Mode.RGB,
    header=ComRecHeader(
        quality=30.5,
        arrangement=Arrangement.BOTH,
        inner=Inner.DCT,
        inner_quality=11.25,
        grid_offset=9,
    ),
    streams=(b"low", b"high"),
)

FEWER = replace(PLAIN.header, groups=(Group(8, 3), Group(16, 3), Group(200, 5)))
TILED_HEAD = replace(
    PLAIN, width=66, height=64, streams=(), icc=b"profile",
    header=replace(
        PLAIN.header, grid_offset=0, groups=(Group(8, 3), Group(16, 3), Group(200, 3))
    ),
)  # fmt: skip
TILES = (
    replace(PLAIN, width=64, height=64),
    replace(PLAIN, width=2, height=64, header=FEWER, streams=(b"more",), alpha=b"\x89PNG"),
)
TILED = replace(
    TILED_HEAD,
    tiling=Tiling(64, 64, tuple(write_tile(number, tile) for number, tile in enumerate(TILES))),
)

FOREIGN = NczFile(
    codec=2,
    model=300,
    model_digest=bytes.fromhex("00ff00ff"),
    width=33,
    height=17,
    mode=Mode.L,
    header=ComRecHeader(
        quality=100.0, arrangement=Arrangement.REC, inner=Inner.AVIF, inner_quality=1.0
    ),
    streams=(b"\0\0\0\x1cftypavif",),
    exif=b"II*\0",
    alpha=b"\x89PNG",
)


MIXED = NczFile(
    codec=3,
    model=6,
    model_digest=bytes.fromhex("c0dec0de"),
    width=768,
    height=512,
    mode=Mode.RGB,
    header=VAEHeader(quality=50.5, grid_offset=0, groups=(Group(3, 129), Group(200, 3))),
    streams=(b"hyper", b"", b"latent"),
)


def seal(body: bytes, *, head: bytes = b"\x89NCZ\x05") -> bytes:
    """A file around ``body`` (what lies between length and checksum), whatever that holds."""
    unsigned = head + varint(len(body) + 4) + body
    return unsigned + crc32(unsigned).to_bytes(4, "little")


def unseal(data: bytes) -> bytes:
    """The body of a valid file."""
    start = 5
    while data[start] >= 0x80:
        start += 1
    return data[start + 1 : -4]


def body(
    *,
    image: str = "01 01 00000000 40 40 01",
    header: str = "0032 00 01 0305",
    sections: bytes = b"",
    streams: bytes = b"\x01x",
) -> bytes:
    """A body from its parts: by default 64 x 64 pixels, three channels and one stream."""
    return bytes.fromhex(image) + bytes.fromhex(header) + sections + b"\0" + streams


def comrec_body(
    *, header: str = "0032 00 01 0032 00", sections: bytes = b"", streams: bytes = b"\x01x"
) -> bytes:
    """A body of codec 2: by default both networks around JPEG."""
    image = "02 01 00000000 40 40 01"
    return body(image=image, header=header, sections=sections, streams=streams)


def section(id_: int, payload: bytes) -> bytes:
    """A section of a body."""
    return bytes([id_]) + varint(len(payload)) + payload


qualities = st.integers(256, 25600).map(lambda stored: stored / 256)


@st.composite
def groups(draw: st.DrawFn) -> tuple[Group, ...]:
    """1 to 8 groups, small ones for speed."""
    count = draw(st.integers(1, 8))
    size = st.integers(1, 9)
    return tuple(Group(draw(size), draw(st.integers(2, 1024))) for _ in range(count))


@st.composite
def importance_maps(draw: st.DrawFn, width: int, height: int) -> ImportanceMap:
    """A map that an image of this size may have."""
    rows = draw(st.integers(1, min(12, (height + 63) // 8)))
    cols = draw(st.integers(1, min(12, (width + 63) // 8)))
    levels = draw(st.integers(2, 16))
    value = st.integers(0, levels - 1)
    values = draw(st.lists(value, min_size=rows * cols, max_size=rows * cols))
    return ImportanceMap(rows, cols, levels, bytes(values))


@st.composite
def learned_headers(draw: st.DrawFn, width: int, height: int) -> CVQNHeader:
    """A header of codec 1 that an image of this size may have."""
    chosen = draw(groups())
    channels = sum(group.size for group in chosen)
    order = st.permutations(range(channels)).map(tuple)
    return CVQNHeader(
        quality=draw(qualities),
        grid_offset=draw(st.integers(0, 255)),
        groups=chosen,
        channel_order=draw(st.none() | order),
        importance=draw(st.none() | importance_maps(width, height)),
    )


@st.composite
def comrec_headers(draw: st.DrawFn) -> ComRecHeader:
    """Any header of codec 2."""
    inner = draw(st.sampled_from(Inner))
    return ComRecHeader(
        quality=draw(qualities),
        arrangement=draw(st.sampled_from(Arrangement)),
        inner=inner,
        inner_quality=draw(qualities),
        grid_offset=draw(st.integers(0, 255)) if inner is Inner.DCT else 0,
    )


@st.composite
def vae_headers(draw: st.DrawFn) -> VAEHeader:
    """Any header of codec 3."""
    return VAEHeader(
        quality=draw(qualities),
        grid_offset=draw(st.integers(0, 255)),
        groups=tuple(
            Group(group.size, group.levels // 2 * 2 - 1 if group.levels > 3 else 3)
            for group in draw(groups())
        ),
    )


@st.composite
def files(draw: st.DrawFn) -> NczFile:
    """Any file whose image has at most 2**28 pixels."""
    width = draw(st.integers(1, 2**14))
    height = draw(st.integers(1, 2**14))
    header = draw(learned_headers(width, height) | comrec_headers() | vae_headers())
    compact = isinstance(header, ComRecHeader)
    most_streams = 1 if compact and header.inner is not Inner.DCT else 16
    metadata = st.none() | st.binary(max_size=40) | st.binary(max_size=9).map(lambda b: b * 50)
    return NczFile(
        codec={CVQNHeader: 1, ComRecHeader: 2, VAEHeader: 3}[type(header)],
        model=draw(st.integers(0, 0xFFFF)),
        model_digest=draw(st.binary(min_size=4, max_size=4)),
        width=width,
        height=height,
        mode=draw(st.sampled_from(Mode)),
        header=header,
        streams=tuple(draw(st.lists(st.binary(max_size=200), min_size=1, max_size=most_streams))),
        icc=draw(metadata),
        exif=draw(metadata),
        xmp=draw(metadata),
        alpha=draw(metadata),
    )
