"""The codecs of others: what they write comes back; what they cannot do is said in our words."""

import contextlib
import dataclasses
import io
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from neurocodec import metrics
from neurocodec.codecs.inner import INNERS, jpeg_tables
from neurocodec.errors import CorruptStream, InvalidArgument, MissingDependency, NczError
from tests.training.conftest import draw_photo

ASTRONAUT = Path(__file__).parents[2] / "docs" / "astronaut.png"
INSTALLED = [name for name, codec in INNERS.items() if codec.missing() is None]
each = pytest.mark.parametrize("name", INSTALLED)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.asarray(draw_photo(3, 96, 64))


def test_all_are_known_by_their_names():
    assert list(INNERS) == ["jpeg", "jpeg2000", "webp", "avif", "heic"]
    assert all(codec.name == name for name, codec in INNERS.items())
    assert {"jpeg", "webp"} <= set(INSTALLED)


@each
def test_pictures_come_back_and_quality_buys_fidelity_with_bytes(name, pixels):
    codec = INNERS[name]
    sizes, scores = [], []
    for quality in (1, 30.5, 70, 100):
        data = codec.encode(pixels, quality)
        decoded = codec.decode(data, 96, 64)
        assert (decoded.shape, decoded.dtype) == ((64, 96, 3), np.uint8)
        sizes.append(len(data))
        scores.append(metrics.psnr(pixels, decoded))
    assert sizes == sorted(sizes)
    assert scores == sorted(scores)
    assert sizes[-1] > 2 * sizes[0]
    assert scores[-1] > 34


@each
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1), (5, 7), (17, 2)])
def test_any_size_comes_back(name, shape):
    pixels = np.full((*shape, 3), 90, np.uint8)
    decoded = INNERS[name].decode(INNERS[name].encode(pixels, 90), shape[1], shape[0])
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - 90).max() <= 4


def test_webp_spreads_the_error_evenly_where_it_can(monkeypatch):
    """With the package webp; as Pillow has it without."""
    pixels = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    height, width = pixels.shape[:2]
    ours = INNERS["webp"].encode(pixels, 25.75)
    monkeypatch.setitem(sys.modules, "webp", None)
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "WEBP", quality=25, method=6)
    assert INNERS["webp"].encode(pixels, 25.75) == plain.getvalue() != ours
    squared = [
        metrics.psnr(pixels, INNERS["webp"].decode(data, width, height))
        for data in (ours, plain.getvalue())
    ]
    assert squared[0] - squared[1] > 5 * np.log(len(ours) / len(plain.getvalue()))


@each
def test_the_same_picture_gives_the_same_bytes(name, pixels):
    assert INNERS[name].encode(pixels, 40) == INNERS[name].encode(pixels, 40)


@each
def test_damaged_streams_are_corrupt(name, pixels):
    codec = INNERS[name]
    data = codec.encode(pixels, 60)
    for wrong in (b"", b"\0" * 40, data[:20], b"BM" + data[2:]):
        with pytest.raises(CorruptStream, match=f"the {name} stream cannot be decoded") as caught:
            codec.decode(wrong, 96, 64)
        assert "\n" not in str(caught.value)


@each
def test_truncated_streams_are_corrupt_or_decode_to_the_size(name, pixels):
    """JPEG 2000 is made to be cut: it shows what there is."""
    codec = INNERS[name]
    data = codec.encode(pixels, 60)
    try:
        decoded = codec.decode(data[: len(data) // 2], 96, 64)
    except CorruptStream:
        return
    assert name == "jpeg2000"
    assert decoded.shape == (64, 96, 3)


def test_a_file_that_could_not_be_decoded_is_not_written(pixels):
    tagged = dataclasses.replace(
        INNERS["webp"], save=lambda image, file, quality: image.save(file, "WEBP", exif=b"II*\0")
    )
    with pytest.raises(InvalidArgument, match="webp writes files that the format does not carry"):
        tagged.encode(pixels, 50)


@each
def test_random_damage_never_escapes_as_another_error(name, pixels):
    codec = INNERS[name]
    data = codec.encode(pixels, 60)
    rng = np.random.default_rng(0)
    for _ in range(30):
        wrong = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            wrong[place] = rng.integers(256)
        with contextlib.suppress(CorruptStream):
            assert codec.decode(bytes(wrong), 96, 64).shape == (64, 96, 3)


@each
def test_a_picture_of_another_size_is_corrupt(name, pixels):
    data = INNERS[name].encode(pixels, 60)
    with pytest.raises(CorruptStream, match=f"{name} stream holds 96x64 pixels, expected 64x96"):
        INNERS[name].decode(data, 64, 96)
    with pytest.raises(CorruptStream, match=f"{name} stream holds more pixels than 95x64"):
        INNERS[name].decode(data, 95, 64)


@each
def test_no_stream_is_decoded_beyond_the_size_expected(name, monkeypatch):
    """A file of a few bytes may hold a huge picture: its header alone must refuse it."""
    data = INNERS[name].encode(np.zeros((1024, 2048, 3), np.uint8), 1)
    loaded = []
    monkeypatch.setattr(Image.Image, "load", lambda image: loaded.append(image.size))
    if name == "heic":
        import pillow_heif

        monkeypatch.setattr(pillow_heif.HeifFile, "to_pillow", lambda file: loaded.append(file))
    with pytest.raises(CorruptStream, match="more pixels than 20x10"):
        INNERS[name].decode(data, 20, 10)
    assert loaded == []


@each
def test_a_stream_of_another_format_is_corrupt(name, pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with pytest.raises(CorruptStream):
        INNERS[name].decode(file.getvalue(), 96, 64)


@each
@pytest.mark.parametrize("limit", [100, 4000])  # above twice of it Pillow raises, above it warns
def test_pillow_takes_no_large_picture_for_a_bomb(name, limit, pixels, monkeypatch):
    data = INNERS[name].encode(pixels, 60)
    expected = INNERS[name].decode(data, 96, 64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert INNERS[name].encode(pixels, 60) == data
        assert np.array_equal(INNERS[name].decode(data, 96, 64), expected)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_greyscale_streams_decode_to_rgb():
    file = io.BytesIO()
    Image.new("L", (9, 5), 200).save(file, "JPEG", quality=95)
    assert (INNERS["jpeg"].decode(file.getvalue(), 9, 5) == 200).all()


LARGEST = {"jpeg": 65500, "jpeg2000": 2**31 - 1, "webp": 16383, "avif": 32768, "heic": 16384}


@each
def test_too_large_is_refused_before_encoding(name, monkeypatch):
    assert INNERS[name].largest == LARGEST[name]
    codec = dataclasses.replace(INNERS[name], largest=40, save=lambda *_: pytest.fail("encoded"))
    with pytest.raises(InvalidArgument, match=f"{name} holds pictures of at most 40 .* has 41x2:"):
        codec.encode(np.zeros((2, 41, 3), np.uint8), 50)
    with pytest.raises(InvalidArgument, match="has 2x41:"):
        codec.encode(np.zeros((41, 2, 3), np.uint8), 50)


@pytest.mark.parametrize("name", ["jpeg", "webp", pytest.param("avif", marks=pytest.mark.slow)])
def test_the_largest_side_round_trips_and_one_more_would_not(name):
    if name not in INSTALLED:
        pytest.skip(f"Pillow was built without {name}")
    codec = INNERS[name]
    long = np.full((1, codec.largest, 3), 77, np.uint8)
    assert np.abs(codec.decode(codec.encode(long, 80), codec.largest, 1).astype(int) - 77).max() < 4
    longer = np.full((1, codec.largest + 1, 3), 77, np.uint8)
    lax = dataclasses.replace(codec, largest=2**31)
    with pytest.raises(NczError):
        lax.decode(lax.encode(longer, 80), codec.largest + 1, 1)


def test_what_a_library_refuses_to_encode_is_an_invalid_argument():
    def refuse(*_):
        raise RuntimeError("x265 encoder could\nnot be opened")

    codec = dataclasses.replace(INNERS["jpeg"], save=refuse)
    with pytest.raises(InvalidArgument, match=r"picture of 3x2 \(x265 encoder could not be opened"):
        codec.encode(np.zeros((2, 3, 3), np.uint8), 50)


@pytest.mark.parametrize("where", ["save", "open"])
def test_running_out_of_memory_is_nobodys_fault(where, pixels):
    def exhaust(*_):
        raise MemoryError

    codec = dataclasses.replace(INNERS["jpeg"], **{where: exhaust})
    with pytest.raises(MemoryError):
        codec.decode(codec.encode(pixels, 50), 96, 64)


@pytest.mark.parametrize(
    ("name", "feature"),
    [("jpeg", "jpg"), ("jpeg2000", "jpg_2000"), ("webp", "webp"), ("avif", "avif")],
)
def test_a_pillow_without_the_format_is_a_missing_dependency(name, feature, pixels, monkeypatch):
    monkeypatch.setattr(features, "check", lambda asked: asked != feature)
    message = f"inner codec {name}: this Pillow was built without {feature}"
    with pytest.raises(MissingDependency, match=message):
        INNERS[name].encode(pixels, 50)
    with pytest.raises(MissingDependency, match=message):
        INNERS[name].decode(b"", 1, 1)


def test_without_pillow_heif_heic_is_a_missing_dependency(pixels, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (
        lambda: INNERS["heic"].encode(pixels, 50),
        lambda: INNERS["heic"].decode(b"", 1, 1),
    ):
        with pytest.raises(MissingDependency, match="pip install pillow-heif"):
            call()


def test_heic_asks_pillow_heif_for_full_chroma_and_a_whole_quality(pixels, monkeypatch):
    """Also where pillow-heif is not installed."""
    saved = []

    class File:
        size = (96, 64)

        def save(self, file, **options):
            saved.append(options)
            file.write(b"heic")

        def to_pillow(self):
            return Image.fromarray(pixels)

    fake = SimpleNamespace(from_pillow=lambda image: File(), open_heif=lambda file: File())
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    codec = dataclasses.replace(INNERS["heic"], missing=lambda: None, check=lambda *_: None)
    assert codec.encode(pixels, 33.4) == b"heic"
    assert saved == [{"quality": 33, "chroma": 444}]
    assert np.array_equal(codec.decode(b"heic", 96, 64), pixels)
    with pytest.raises(CorruptStream, match="more pixels than 2x2"):
        codec.decode(b"heic", 2, 2)


@pytest.mark.parametrize(("side", "progressive"), [(1, False), (256, True)])
def test_jpeg_has_the_tables_and_is_progressive_where_that_is_smaller(side, progressive):
    square = np.asarray(Image.open(ASTRONAUT).convert("RGB").crop((0, 0, side, side)))
    data = INNERS["jpeg"].encode(square, 80)
    image = Image.open(io.BytesIO(data))
    assert [list(image.quantization[k]) for k in (0, 1)] == jpeg_tables(80)
    assert ("progressive" in image.info) == progressive
    other = io.BytesIO()
    Image.fromarray(square).save(
        other, "JPEG", qtables=jpeg_tables(80), subsampling="4:2:0", optimize=True,
        progressive=not progressive,
    )  # fmt: skip
    assert len(data) < len(other.getvalue())


def test_jpeg_tables_at_known_qualities():
    luma, chroma = jpeg_tables(50)
    assert (luma[0], luma[1], luma[8], luma[63]) == (10, 14, 14, 66)
    assert (chroma[0], chroma[1], chroma[63]) == (6, 8, 40)
    assert jpeg_tables(100) == [[1] * 64] * 2
    assert jpeg_tables(1) == [[255] * 64] * 2
    assert jpeg_tables(25)[0][:2] == [20, 28]


@given(st.floats(1, 100), st.floats(1, 100))
def test_jpeg_tables_are_in_range_and_fall_with_quality(a, b):
    low, high = (jpeg_tables(quality) for quality in sorted((a, b)))
    for coarse, fine in zip(low, high, strict=True):
        assert len(coarse) == len(fine) == 64
        assert all(1 <= f <= c <= 255 and type(f) is int for c, f in zip(coarse, fine, strict=True))
        assert coarse == np.array(coarse).reshape(8, 8).T.ravel().tolist()
    assert all(c <= y for y, c in zip(*low, strict=True))
