"""Small images and a codec with nothing learned about it, for every test of the bench."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image


class FakeCodec:
    """JPEG under another name, counting its calls, with the rates a learned codec reports."""

    name = "fake"
    qualities = (20.0, 50.0, 80.0)
    version = "1"

    def __init__(self, *, overhead=0):
        self.encoded = []
        self.overhead = overhead

    def encode(self, image, quality):
        self.encoded.append((image.size, quality))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(quality), subsampling=0)
        return file.getvalue() + b"\0" * self.overhead

    def decode(self, data):
        return Image.open(io.BytesIO(data))

    def rate_report(self, data):
        bits = 8 * len(data)
        return SimpleNamespace(estimated_bits=bits - 500.0, coded_bits=bits - 400, file_bits=bits)


def photo(seed, width=176, height=192):
    """(height, width, 3) uint8: smooth shapes with some noise on them."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (max(1, height // 16), max(1, width // 16), 3), dtype=np.uint8)
    smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    noise = random.normal(0, 4, (height, width, 3))
    return (np.asarray(smooth) + noise).clip(0, 255).round().astype(np.uint8)


@pytest.fixture
def codec():
    return FakeCodec()


@pytest.fixture
def folder(tmp_path):
    """Two images, one of them of odd size, and a file that is none."""
    data = tmp_path / "data"
    data.mkdir()
    Image.fromarray(photo(1)).save(data / "a.png")
    Image.fromarray(photo(2, 181, 163)).save(data / "b.PNG")
    (data / "notes.txt").write_text("no image")
    return data
