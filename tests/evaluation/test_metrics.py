import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.evaluation import extras
from neurocodec.evaluation.metrics import ms_ssim, ms_ssim_db, psnr, ssim

from .conftest import photo

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


def test_ms_ssim_is_that_of_the_paper(pair):
    assert ms_ssim(*pair) == pytest.approx(expected_ms_ssim(*pair), abs=2e-6)
    assert 0.5 < ms_ssim(*pair) < 0.999


def test_ssim_is_that_of_the_paper(pair):
    rgb = np.mean([similarity(*(x[..., c].astype(float) for x in pair))[0] for c in range(3)])
    luma = similarity(*(x @ np.array([0.299, 0.587, 0.114]) for x in pair))[0]
    assert ssim(*pair) == pytest.approx(rgb, abs=1e-5)
    assert ssim(*pair, luma=True) == pytest.approx(luma, abs=1e-5)
    assert abs(rgb - luma) > 1e-3


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
    with pytest.raises(InvalidArgument, match=r"\(192, 176\)"):
        metric(image[..., 0], image[..., 0])


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(MissingDependency, match=r"pytorch-msssim .*neurocodec\[eval\]"):
        ssim(photo(1), photo(1))
    with pytest.raises(MissingDependency, match="package nowhere"):
        extras.require("nowhere.inside")
