"""Photographs for training: which are found, and their pixels."""

import numpy as np
import pytest
from PIL import Image

from neurocodec.errors import InvalidArgument, UnreadableImage
from neurocodec.training import data


@pytest.mark.parametrize("name", ["a.png", "a.TIFF", "a.bmp", "deep/a.webp", "a.ppm"])
def test_every_format_that_is_read(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)
    (tmp_path / "notes.txt").write_text("no image")
    assert data.list_photos([tmp_path]) == [path]
    (photo,) = data.decode([path], smallest=5)
    np.testing.assert_array_equal(photo.numpy(), pixels.transpose(2, 0, 1))
    assert data.decode([path], smallest=6) == []


def test_what_is_no_photograph(tmp_path):
    with pytest.raises(InvalidArgument, match="no photographs below"):
        data.list_photos([tmp_path])
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(InvalidArgument, match=r"no photographs below .*typo"):
        data.list_photos([tmp_path, tmp_path / "typo"])
    with pytest.raises(UnreadableImage, match=r"a\.png is no image of a known format"):
        data.decode(data.list_photos([tmp_path]), smallest=1)


def test_equal_names_go_by_their_folders(tmp_path):
    for folder in ("b/2", "b/1", "a"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "same.png").touch()
    found = data.list_photos([tmp_path / "b", tmp_path / "a"])
    assert [str(path.parent.relative_to(tmp_path)) for path in found] == ["b/1", "b/2", "a"]
