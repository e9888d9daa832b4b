import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec import extras, metrics
from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.metrics import luma, ms_ssim, ms_ssim_db, psnr, ssim
from tests.evaluation.conftest import photo

WINDOW = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
WINDOW /= WINDOW.sum()


def blur(x):
    """Separable Gaussian without padding, in float64."""
    for axis in (0, 1):
        x = np.apply_along_axis(lambda line: np.convolve(line, WINDOW, "valid"), axis, x)
    return x


def similarity(x, y):
    """(SSIM, contrast-structure) of two planes, straight from Wang et al. 2004."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    structure = (2 * cov + c2) / (vx + vy + c2)
    return ((2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure).mean(), structure.mean()


def halve(x):
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3))


def expected_ms_ssim(a, b):
    weights = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333
    values = []
    for channel in range(3):
        x, y, value = a[..., channel].astype(float), b[..., channel].astype(float), 1.0
        for i, weight in enumerate(weights):
            full, structure = similarity(x, y)
            value *= (full if i == 4 else structure) ** weight
            if i < 4:
                x, y = halve(x), halve(y)
        values.append(value)
    return np.mean(values)


@pytest.fixture
def pair():
    a = photo(3)
    noise = np.random.default_rng(4).normal(0, 12, a.shape)
    return a, (a + noise).clip(0, 255).astype(np.uint8)


def test_psnr_of_known_errors():
    black = np.zeros((5, 7, 3), np.uint8)
    assert psnr(black, black) == math.inf
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black, black + 1) == pytest.approx(48.1308036086791)
    one_sample = black.copy()
    one_sample[2, 3, 1] = 10
    assert psnr(black, one_sample) == pytest.approx(10 * math.log10(255**2 * 105 / 100))


def test_luma_of_known_colours():
    colours = np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 9, 9], [255] * 3, [1, 2, 3]]])
    expected = [[76.245, 149.685, 29.07], [9, 255, 0.299 + 2 * 0.587 + 3 * 0.114]]
    assert luma(colours) == pytest.approx(np.array(expected))


def test_psnr_of_planes():
    flat = np.full((4, 6), 100.0)
    assert psnr(flat, flat) == math.inf
    assert psnr(flat, flat + 2.55) == pytest.approx(40)
    assert psnr(flat.astype(np.float32), flat + 2.55) == pytest.approx(40)
    assert psnr(np.uint8(flat), np.uint8(flat + 1)) == pytest.approx(48.1308036086791)
    assert psnr(np.uint8(flat), flat - 2.55) == pytest.approx(40)  # a mixed pair loses no fraction


def test_grey_pictures_have_the_scores_of_their_plane(pair):
    planes = [x[..., 1] for x in pair]
    grey = [np.repeat(plane[..., None], 3, axis=2) for plane in planes]
    assert psnr(*grey) == pytest.approx(psnr(*planes))
    assert psnr(*map(luma, grey)) == pytest.approx(psnr(*planes))
    assert ssim(*grey) == pytest.approx(ssim(*planes), abs=1e-6)


def test_ms_ssim_is_that_of_the_paper(pair):
    assert ms_ssim(*pair) == pytest.approx(expected_ms_ssim(*pair), abs=2e-6)
    assert 0.5 < ms_ssim(*pair) < 0.999


def test_ssim_is_that_of_the_paper(pair):
    rgb = np.mean([similarity(*(x[..., c].astype(float) for x in pair))[0] for c in range(3)])
    grey = similarity(*(x @ np.array([0.299, 0.587, 0.114]) for x in pair))[0]
    assert ssim(*pair) == pytest.approx(rgb, abs=1e-5)
    assert ssim(*map(luma, pair)) == pytest.approx(grey, abs=1e-5)
    assert abs(rgb - grey) > 1e-3


def test_ssim_of_flat_planes_has_a_closed_form():
    """Without variance only the first term is left: (2xy + C1) / (x² + y² + C1).

    Float32 makes a little variance out of nothing; nowhere does it show more than here.
    """
    x, y, c1 = 100.0, 110.0, (0.01 * 255) ** 2
    planes = np.full((11, 13), x), np.full((11, 13), y)
    assert ssim(*planes) == pytest.approx((2 * x * y + c1) / (x**2 + y**2 + c1), abs=3e-5)


def test_ssim_sees_only_whole_windows():
    """On 11 by 11 pixels there is a single one, weighted by the Gaussian."""
    random = np.random.default_rng(8)
    x, y = random.integers(0, 256, (2, 11, 11)).astype(np.uint8)
    weights = np.outer(WINDOW, WINDOW)
    mx, my = (float((weights * p).sum()) for p in (x, y))
    vx, vy = ((weights * (p - m) ** 2).sum() for p, m in ((x, mx), (y, my)))
    cov = (weights * (x - mx) * (y - my)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(x, y) == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_in_decibels():
    assert ms_ssim_db(0.99) == pytest.approx(20)
    assert ms_ssim_db(0) == 0
    assert ms_ssim_db(1.0) == math.inf


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_metrics_are_symmetric_and_best_for_equal_images(seed, strength):
    a = photo(seed, 16, 19)
    noise = np.random.default_rng(seed).integers(-strength, strength + 1, a.shape)
    b = (a + noise).clip(0, 255).astype(np.uint8)
    assert psnr(a, b) == psnr(b, a) >= 20 * math.log10(255 / strength) - 1e-9
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-6)
    assert ssim(a, a) == pytest.approx(1, abs=1e-6)
    assert ssim(a, b) <= 1


def test_reading_from_a_view_gives_the_same(pair):
    a, b = pair
    assert ms_ssim(a[:, ::-1], b[:, ::-1]) == pytest.approx(ms_ssim(a, b), abs=2e-6)


@pytest.mark.parametrize(("metric", "side"), [(ms_ssim, 161), (ssim, 11)])
def test_small_images_are_refused_at_the_exact_side(metric, side):
    assert metric(photo(1, side, side), photo(1, side, side)) == pytest.approx(1, abs=1e-6)
    with pytest.raises(InvalidArgument, match=f"at least {side} pixels, got {side}x{side - 1}"):
        metric(photo(1, side, side - 1), photo(1, side, side - 1))


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim])
def test_wrong_arrays_are_refused(metric):
    image = photo(1)
    with pytest.raises(InvalidArgument, match="one size, got 176x192 and 175x192"):
        metric(image, image[:, 1:])
    with pytest.raises(InvalidArgument, match="float64"):
        metric(image / 255, image / 255)
    with pytest.raises(InvalidArgument, match=r"\(192, 176, 2\)"):
        metric(image[..., :2], image[..., :2])
    with pytest.raises(InvalidArgument, match="int64"):
        metric(image[..., 0].astype(int), image[..., 0].astype(int))


def test_only_some_metrics_take_planes():
    plane = photo(1)[..., 0]
    for metric in (psnr, ssim):
        with pytest.raises(
            InvalidArgument, match=r"or planes \(height, width\), got uint8 \(192,\)"
        ):
            metric(plane[:, 0], plane[:, 0])
        with pytest.raises(InvalidArgument, match="one size, got 176x192 and 176x191"):
            metric(plane, plane[1:])
    with pytest.raises(
        InvalidArgument, match=r"needs uint8 arrays .*, 3\), got uint8 \(192, 176\)"
    ):
        ms_ssim(plane, plane)
    with pytest.raises(InvalidArgument, match=r"^luma needs"):
        luma(plane)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(MissingDependency, match=r"pytorch-msssim .*neurocodec\[eval\]"):
        ssim(photo(1), photo(1))
    with pytest.raises(MissingDependency, match="package nowhere"):
        extras.require("nowhere.inside")


@pytest.mark.parametrize("shape", [(161, 161), (300, 200), (523, 177), (1031, 333), (770, 514)])
def test_ms_ssim_in_strips_is_that_of_the_whole(shape, monkeypatch):
    height, width = shape
    a = np.random.default_rng(1).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    a = a.repeat(8, axis=0).repeat(8, axis=1)[:height, :width].astype(np.uint8)
    noise = (
        np.random.default_rng(2).normal(0, 15, a.shape) * np.linspace(0, 2, height)[:, None, None]
    )
    b = (a + noise).clip(0, 255).astype(np.uint8)
    whole = ms_ssim(a, b)
    monkeypatch.setattr(metrics, "LARGE", 0)
    assert ms_ssim(a, b) == pytest.approx(whole, abs=2e-6)
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-6)


def test_psnr_takes_every_row():
    a = np.zeros((2 * metrics.ROWS + 3, 5, 3), np.uint8)
    for row in (0, metrics.ROWS - 1, metrics.ROWS, len(a) - 1):
        b = a.copy()
        b[row, 2, 1] = 10
        assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * a.size / 100))
