"""What Pillow's JPEG encoder makes of a picture that is already rounded."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import fft

from neurocodec.codecs.dead_zone import quantized
from neurocodec.codecs.inner import INNERS, jpeg_tables
from neurocodec.evaluation.metrics import psnr

ASTRONAUT = Path(__file__).parents[2] / "docs" / "astronaut.png"
TABLES = jpeg_tables(20)


@pytest.fixture
def picture() -> Image.Image:
    return Image.open(ASTRONAUT).convert("RGB").crop((100, 60, 292, 188))


def luma_levels(luma: np.ndarray) -> np.ndarray:
    """Coefficients over steps of a luma plane, (rows, cols, 8, 8)."""
    luma = luma - 128.0
    rows, cols = luma.shape
    blocks = luma.reshape(rows // 8, 8, cols // 8, 8).transpose(0, 2, 1, 3)
    return fft.dctn(blocks, axes=(2, 3), norm="ortho") / np.reshape(TABLES[0], (8, 8))


def saved(image: Image.Image, tables: list[list[int]] = TABLES, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", qtables=tables, subsampling="4:2:0", optimize=True, **options)
    return file.getvalue()


def test_coefficients_are_whole_steps_rounded_with_the_zone(picture):
    luma = np.asarray(picture) @ np.array([0.299, 0.587, 0.114])  # Pillow's is rounded down
    before = luma_levels(luma)
    after = luma_levels(np.asarray(quantized(picture, TABLES, 0.2))[..., 0])
    border = np.full((8, 8), 0.7)
    border[0, 0] = 0.5
    expected = np.sign(before) * np.floor(np.abs(before) + 1 - border)
    clear = np.abs(np.abs(before) % 1 - border) > 0.01  # not where float32 may decide otherwise
    unclipped = np.abs(luma_levels(luma)[..., 0, 0]) < 20  # neither white nor black
    compared = clear & unclipped[..., None, None]
    assert compared.mean() > 0.5
    assert np.array_equal(np.rint(after)[compared], expected[compared])
    assert np.abs(after - expected)[compared].max() < 0.2  # eight bits blur them a little


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
