"""The table of where a vae's bits go, on a codec whose streams are counted by hand."""

import numpy as np
import pytest

from benchmarks.latents import Fidelity, concentration, fidelity, table
from neurocodec import container
from neurocodec.image import Photo
from neurocodec.metrics import psnr
from tests.codecs.test_vae import build
from tests.training.conftest import draw_photo


@pytest.fixture(scope="module")
def found():
    codec = build()
    return codec, codec.encode(draw_photo(6, 240, 200), 90)


def test_shares_are_those_of_the_streams(found):
    codec, data = found
    got = concentration(codec, data)
    streams = [len(stream) for stream in container.read(data).streams]
    parts = [streams[:1], streams[1:6], streams[6:9], streams[9:]]  # 5, 3 and 1 passes
    assert got.shares == pytest.approx([sum(part) / sum(streams) for part in parts])
    assert sum(got.shares) == pytest.approx(1)
    assert got.bpp == 8 * len(data) / (240 * 200)


def test_concentration_is_that_of_the_integers(found):
    codec, data = found
    got = concentration(codec, data)
    integers = np.concatenate(
        [g.numpy().ravel() for g in codec._read_symbols(container.read(data))[0][1:]]
    )
    assert got.zeros == np.count_nonzero(integers == 0) / integers.size
    assert got.zeros < got.within_one < 1
    assert got.magnitude == pytest.approx(np.abs(integers).mean())
    assert abs(got.excess) < 0.01


def test_lower_quality_concentrates(found):
    codec, data = found
    coarse = concentration(codec, codec.encode(draw_photo(6, 240, 200), 10))
    assert coarse.zeros > concentration(codec, data).zeros


def test_what_is_not_rounded_is_nearer_to_the_picture():
    """Untrained, the block transform is all there is, whose 24 coefficients lose the rest: what
    rounding adds to the error vanishes as its steps do."""
    codec = build()
    photo = Photo(np.array(draw_photo(6, 240, 200)), "RGB")
    prepared = codec.prepare(photo)
    coarse, fine = (fidelity(codec, prepared, codec.attempt(prepared, q)) for q in (1.0, 100.0))
    assert coarse.coded == psnr(photo.pixels, np.array(codec.decode(codec.encode(photo, 1))))
    assert coarse.coded + 1 < coarse.unrounded
    assert coarse.unrounded == pytest.approx(fine.unrounded, abs=0.01)
    assert coarse.unrounded - coarse.coded > 2 * (fine.unrounded - fine.coded) > 0


def test_table_has_a_line_a_quality_and_means(found):
    codec, data = found
    one = concentration(codec, data)
    pictures = [Fidelity(30.0, 40.0), Fidelity(31.0, 42.0)]
    lines = table({10.0: [(one, pictures[0])], 90.5: [(one, each) for each in pictures]})
    lines = lines.splitlines()
    assert len(lines) == 4
    assert lines[0].count("|") == lines[3].count("|") == 13
    assert lines[3].startswith(f"| 90.5 | {one.bpp:.3f} | {one.zeros:.1%} |")
    assert lines[3].endswith("| 30.50 | 41.00 |")
    assert lines[2].split("|")[2:-3] == lines[3].split("|")[2:-3]
