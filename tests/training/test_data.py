"""Photographs for training: which are found, and their pixels."""

import hashlib
import os
import sys

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


def test_what_only_looks_like_a_photograph_is_left_out(tmp_path):
    (tmp_path / "b.png").touch()
    (tmp_path / "._b.png").touch()
    (tmp_path / "thumbs.png").mkdir()
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "b.png").touch()
    assert data.list_photos([tmp_path]) == [tmp_path / "b.png"]


def test_the_digest_is_of_names_and_sizes_in_any_order(tmp_path):
    paths = []
    for folder, size in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "same.png")
        paths[-1].write_bytes(bytes(size))
    expected = hashlib.sha256(b"same.png 1\nsame.png 2\n").hexdigest()
    assert data.digest(paths) == data.digest(paths[::-1]) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_names_that_are_no_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(b"1")
    assert data.list_photos([tmp_path]) == [path]
    assert data.digest([path]) == hashlib.sha256(b"caf\xe9.png 1\n").hexdigest()


def test_equal_names_go_by_their_folders(tmp_path):
    for folder in ("b/2", "b/1", "a"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "same.png").touch()
    found = data.list_photos([tmp_path / "b", tmp_path / "a"])
    assert [str(path.parent.relative_to(tmp_path)) for path in found] == ["b/1", "b/2", "a"]
