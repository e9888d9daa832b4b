"""Files to test with: one of each kind by hand, any by hypothesis, and a way to forge them."""

from zlib import crc32

from hypothesis import strategies as st

from neurocodec.container import Group, ImportanceMap, LearnedHeader, Mode, NczFile
from neurocodec.container.wire import varint

PLAIN = NczFile(
    codec=1,
    model=1,
    model_digest=bytes.fromhex("c0dec0de"),
    width=768,
    height=512,
    mode=Mode.RGB,
    header=LearnedHeader(
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
    header=LearnedHeader(
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


def seal(body: bytes, *, head: bytes = b"\x89NCZ\x01") -> bytes:
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
    streams: bytes = b"\x01\x01x",
) -> bytes:
    """A body from its parts: by default 64 x 64 pixels, three channels and one stream."""
    return bytes.fromhex(image) + bytes.fromhex(header) + sections + b"\0" + streams


def section(id_: int, payload: bytes) -> bytes:
    """A section of a body."""
    return bytes([id_]) + varint(len(payload)) + payload


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
def files(draw: st.DrawFn) -> NczFile:
    """Any file whose image has at most 2**28 pixels."""
    width = draw(st.integers(1, 2**14))
    height = draw(st.integers(1, 2**14))
    chosen = draw(groups())
    channels = sum(group.size for group in chosen)
    order = st.permutations(range(channels)).map(tuple)
    metadata = st.none() | st.binary(max_size=40) | st.binary(max_size=9).map(lambda b: b * 50)
    return NczFile(
        codec=1,
        model=draw(st.integers(0, 0xFFFF)),
        model_digest=draw(st.binary(min_size=4, max_size=4)),
        width=width,
        height=height,
        mode=draw(st.sampled_from(Mode)),
        header=LearnedHeader(
            quality=draw(st.integers(256, 25600)) / 256,
            grid_offset=draw(st.integers(0, 255)),
            groups=chosen,
            channel_order=draw(st.none() | order),
            importance=draw(st.none() | importance_maps(width, height)),
        ),
        streams=tuple(draw(st.lists(st.binary(max_size=200), min_size=1, max_size=16))),
        icc=draw(metadata),
        exif=draw(metadata),
        xmp=draw(metadata),
        alpha=draw(metadata),
    )
