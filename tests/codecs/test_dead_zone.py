"""What Pillow's JPEG encoder makes of a picture that is already rounded."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import fft

from neurocodec.codecs import dead_zone
from neurocodec.codecs.dead_zone import quantized
from neurocodec.codecs.inner import INNERS, jpeg_tables
from neurocodec.metrics import psnr

ASTRONAUT = Path(__file__).parents[2] / "docs" / "astronaut.png"
TABLES = jpeg_tables(20)


@pytest.fixture
def picture() -> Image.Image:
    return Image.open(ASTRONAUT).convert("RGB").crop((100, 60, 292, 188))


def levels_of(plane: np.ndarray, table: list[int]) -> np.ndarray:
    """Coefficients over steps of a plane around 128, (rows, cols, 8, 8)."""
    plane = plane - 128.0
    rows, cols = plane.shape
    blocks = plane.reshape(rows // 8, 8, cols // 8, 8).transpose(0, 2, 1, 3)
    return fft.dctn(blocks, axes=(2, 3), norm="ortho") / np.reshape(table, (8, 8))


def planes_of(image: Image.Image) -> list[np.ndarray]:
    """Luma, and chroma of half the size, by the definition; Pillow's own are rounded down."""
    red, green, blue = np.moveaxis(np.asarray(image).astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = [128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402]
    return [luma, *(halved(plane) for plane in chroma)]


def halved(plane: np.ndarray) -> np.ndarray:
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def saved(image: Image.Image, tables: list[list[int]] = TABLES, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", qtables=tables, subsampling="4:2:0", optimize=True, **options)
    return file.getvalue()


@pytest.mark.parametrize("size", [(192, 128), (189, 121)])
def test_coefficients_are_whole_steps_rounded_with_the_zone(picture, size):
    picture = picture.crop((0, 0, *size))
    ours = np.asarray(quantized(picture, TABLES, 0.2))
    whole = picture.crop((0, 0, size[0] // 16 * 16, size[1] // 16 * 16))
    ours = ours[: whole.height, : whole.width]
    found = [ours[..., 0], ours[::2, ::2, 1], ours[::2, ::2, 2]]
    assert all(np.array_equal(ours[::2, ::2, k], ours[1::2, 1::2, k]) for k in (1, 2))
    border = np.full((8, 8), 0.7)
    border[0, 0] = 0.5
    for number, (plane, shown) in enumerate(zip(planes_of(whole), found, strict=True)):
        table = TABLES[min(number, 1)]
        before, after = levels_of(plane, table), levels_of(shown, table)
        expected = np.sign(before) * np.floor(np.abs(before) + 1 - border)
        clear = np.abs(np.abs(before) % 1 - border) > 0.01  # float32 may decide otherwise there
        mean = before[..., 0, 0] * table[0] / 8
        compared = clear & (np.abs(mean) < 60)[..., None, None]  # neither black nor white
        assert compared.mean() > 0.5
        assert np.array_equal(np.rint(after)[compared], expected[compared])
        assert np.abs(after - expected)[compared].max() < 0.35  # eight bits blur them a little


def test_no_zone_gives_the_file_of_pillow_itself_nearly(picture):
    plain, ours = saved(picture), saved(quantized(picture, TABLES, 0.0))
    assert len(ours) == pytest.approx(len(plain), rel=0.01)
    shown = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in (plain, ours)]
    original = np.asarray(picture)
    assert psnr(shown[0], original) == pytest.approx(psnr(shown[1], original), abs=0.05)


def test_at_the_bytes_of_coarser_steps_a_zone_shows_more():
    picture = Image.open(ASTRONAUT).convert("RGB")
    ours = saved(quantized(picture, TABLES, 0.2))
    coarser = saved(picture, jpeg_tables(16))
    assert len(coarser) > len(ours)
    scores = [
        psnr(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), np.asarray(picture))
        for data in (coarser, ours)
    ]
    assert scores[1] > scores[0] + 0.03


@pytest.mark.parametrize("size", [(1, 1), (17, 5), (3, 40)])
def test_odd_sizes_keep_their_size_and_content(size):
    colour = (180, 90, 60)
    image = quantized(Image.new("RGB", size, colour), jpeg_tables(40), 0.2)
    assert (image.size, image.mode) == (size, "YCbCr")
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - colour).max() <= 12


def test_the_finest_steps_have_no_zone(picture):
    pixels = np.asarray(picture)
    plain = {
        q: min((saved(picture, jpeg_tables(q), progressive=p) for p in (False, True)), key=len)
        for q in (50, 85)
    }
    assert INNERS["jpeg"].encode(pixels, 85) == plain[85]
    assert len(INNERS["jpeg"].encode(pixels, 50)) < 0.9 * len(plain[50])


def test_the_zone_narrows_from_quality_50_to_80(picture, monkeypatch):
    zones = []
    monkeypatch.setattr(dead_zone, "quantized", lambda image, tables, z: zones.append(z) or image)
    for quality in (1, 50, 65, 79, 80, 100):
        INNERS["jpeg"].encode(np.asarray(picture), quality)
    assert zones == pytest.approx([0.2, 0.2, 0.1, 0.2 / 30])
