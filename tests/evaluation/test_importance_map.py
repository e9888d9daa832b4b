"""benchmarks.importance_map: detail by hand, and a run on a picture of two halves."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import neurocodec
from benchmarks.importance_map import detail, levels, main


def test_detail_is_the_deviation_of_luma_in_whole_blocks():
    pixels = np.full((40, 33, 3), 90, np.uint8)
    pixels[:16, 16:32:2] = 110
    found = detail(pixels)
    assert found.shape == (2, 2)
    assert found[0] == pytest.approx([0, 10], abs=1e-9)
    assert found[1] == pytest.approx([0, 0], abs=1e-9)


@pytest.fixture
def halves() -> Image.Image:
    """Smooth on the left, noise on the right."""
    pixels = np.full((96, 128, 3), 120, np.uint8)
    pixels[:, 64:] = np.random.default_rng(0).integers(0, 255, (96, 64, 3))
    return Image.fromarray(pixels)


def test_a_file_gives_its_map(halves):
    mask = np.zeros((2, 2), np.uint8)
    mask[:, 1] = 255
    found = levels(neurocodec.encode(halves, roi=mask))
    assert found.shape == (6, 8)
    assert (found[:, -1] > found[:, 0]).all()
    assert levels(neurocodec.encode(halves, "cvqn")) is None


def test_bytes_with_and_without_are_told_and_the_picture_is_drawn(halves, tmp_path):
    halves.save(tmp_path / "in.png")
    out = tmp_path / "map.png"
    result = CliRunner().invoke(main, ["--image", str(tmp_path / "in.png"), "--out", str(out)])
    size = len(neurocodec.encode(halves, "cvqn", importance=True))
    assert f"with: {size} bytes" in result.output
    if result.exit_code == 0:
        assert "rank correlation of level and detail: " in result.output
        assert Image.open(out).size[0] > 500
    else:
        assert "one level everywhere" in result.output
        assert levels(neurocodec.encode(halves, "cvqn", importance=True)) is None
