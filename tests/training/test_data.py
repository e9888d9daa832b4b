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
    with pytest.raises(UnreadableImage, match=r"a\.png is no image of a known format"):
        data.decode(data.list_photos([tmp_path]), smallest=1)
