"""benchmarks.importance_map: detail by hand, a map that is known, and what cannot be drawn."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import neurocodec
from benchmarks import importance_map
from benchmarks.importance_map import detail, draw, levels, main, smallest
from neurocodec import container
from neurocodec.container import packing
from neurocodec.errors import InvalidArgument


def test_detail_is_the_deviation_of_luma_in_whole_blocks():
    pixels = np.full((40, 33, 3), 90, np.uint8)
    pixels[:16, 16:32:2] = 110
    found = detail(pixels)
    assert found.shape == (2, 2)
    assert found[0] == pytest.approx([0, 10], abs=1e-9)
    assert found[1] == pytest.approx([0, 0], abs=1e-9)


@pytest.fixture
def halves(tmp_path) -> np.ndarray:
    """Smooth on the left, noise on the right; saved as in.png."""
    pixels = np.full((176, 192, 3), 120, np.uint8)
    pixels[:, 96:] = np.random.default_rng(0).integers(0, 255, (176, 96, 3))
    Image.fromarray(pixels).save(tmp_path / "in.png")
    return pixels


def test_a_file_gives_its_map(halves):
    mask = np.zeros((2, 2), np.uint8)
    mask[:, 1] = 255
    found = levels(neurocodec.encode(halves, roi=mask))
    assert found.shape == (11, 12)
    assert (found[:, -1] > found[:, 0]).all()
    assert levels(neurocodec.encode(halves, "cvqn")) is None
    for data in (
        neurocodec.encode(halves, "vae"),
        neurocodec.encode(halves, roi=mask, tile_size=64),
    ):
        with pytest.raises(InvalidArgument, match="no importance map"):
            levels(data)


def test_the_smallest_map_covers_all_but_zeros_and_no_smaller_one_does(halves):
    codec = neurocodec.load("cvqn")
    data = codec.encode(halves, 20, importance=False)
    best = smallest(codec, data)
    file = container.read(data)
    assert best.symbols * 8 == pytest.approx(codec.estimate(file))
    assert 0 < best.zeros < best.symbols
    indices = codec._read_symbols(file)[0]
    coded = np.concatenate(
        [
            index.numpy() != count // 2
            for index, count in zip(indices, codec.model.config.levels, strict=True)
        ]
    )
    mask = codec.model.map.mask(torch.from_numpy(best.levels.astype(np.int64))[None, None])[
        0
    ].numpy()
    assert not (coded & ~mask).any()
    # One level less anywhere would cut something off.
    lower = np.maximum(best.levels.astype(np.int64) - 1, 0)
    mask = codec.model.map.mask(torch.from_numpy(lower)[None, None])[0].numpy()
    cut = (coded & ~mask).any(axis=0)
    assert cut[best.levels > 0].all()
    assert best.map == len(packing.gzip(best.levels.tobytes()))


def run(tmp_path, *options: str):
    image, out = str(tmp_path / "in.png"), str(tmp_path / "map.png")
    return CliRunner().invoke(main, ["--image", image, "--out", out, *options])


def test_bytes_with_and_without_are_told_and_the_picture_is_drawn(halves, tmp_path, monkeypatch):
    rows = np.arange(11 * 12).reshape(11, 12) * 8 // 132
    monkeypatch.setattr(importance_map, "levels", lambda data: rows.astype(np.uint8))
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    for name, use in (("with", True), ("without", False)):
        size = len(neurocodec.encode(halves, "cvqn", importance=use))
        assert f"{name}: {size} bytes" in result.output
    best = smallest(neurocodec.load("cvqn"), neurocodec.encode(halves, "cvqn", importance=False))
    told = f"saves {best.zeros:.0f} of {best.symbols:.0f} bytes of symbols and takes {best.map}"
    assert told in result.output
    assert "rank correlation of level and detail: " in result.output
    assert f"positions at each level: {np.bincount(rows.ravel()).tolist()}" in result.output
    assert Image.open(tmp_path / "map.png").size[0] > 500


def test_what_cannot_be_drawn_is_an_error(halves, tmp_path, monkeypatch):
    monkeypatch.setattr(importance_map, "levels", lambda data: None)
    assert "one level everywhere" in run(tmp_path).output
    monkeypatch.undo()
    result = run(tmp_path, "--model", "vae")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert not (tmp_path / "map.png").exists()


def test_the_map_is_drawn_as_it_is(tmp_path):
    """Dark left half, bright right half, in the third panel."""
    found = np.zeros((4, 4), np.uint8)
    found[:, 2:] = 7
    draw(np.zeros((64, 64, 3), np.uint8), np.zeros((4, 4)), found, tmp_path / "map.png")
    drawn = np.asarray(Image.open(tmp_path / "map.png").convert("L")).astype(int)
    panel = drawn[drawn.shape[0] // 2, -drawn.shape[1] // 3 :]
    assert panel[len(panel) // 4] + 60 < panel[3 * len(panel) // 4]
