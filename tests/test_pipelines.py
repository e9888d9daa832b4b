"""One codec in many threads, and in other processes."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import neurocodec
from neurocodec import zoo
from neurocodec.errors import ModelMismatch, UnknownModel
from tests.codecs.conftest import build


@pytest.fixture(scope="module")
def shipped():
    return neurocodec.load("cvqn")


@pytest.fixture(scope="module")
def tiny():
    return build()


def pictures(count):
    """Smooth ones of several sizes."""
    for seed in range(count):
        corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3))
        rows, cols = 33 + 16 * (seed % 3), 40 + 8 * seed
        down, right = np.linspace(0, 1, rows)[:, None, None], np.linspace(0, 1, cols)[:, None]
        top = corners[0, 0] * (1 - right) + corners[0, 1] * right
        bottom = corners[1, 0] * (1 - right) + corners[1, 1] * right
        yield (top * (1 - down) + bottom * down).round().astype(np.uint8)


def there_and_back(codec, picture, quality=40.0):
    """The file, and the pixels that decode from it."""
    data = codec.encode(picture, quality)
    return data, np.asarray(codec.decode(data)).tobytes()


@pytest.mark.parametrize("name", ["tiny", "shipped"])
def test_a_codec_shared_by_threads(name, request):
    codec = request.getfixturevalue(name)
    work = [(picture, quality) for picture in pictures(4) for quality in (20.0, 70.0)]
    expected = [there_and_back(codec, *item) for item in work]
    assert len({data for data, _ in expected}) == len(work)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda item: there_and_back(codec, *item), work))
    assert found == expected


def test_a_shipped_codec_pickles_as_its_name(shipped):
    data = pickle.dumps(shipped)
    assert len(data) < 200
    assert pickle.loads(data) is shipped
    assert copy.deepcopy(shipped) is shipped
    assert shipped.__reduce_ex__(4)[1] == ("cvqn", "cpu", shipped.digest)


def test_a_pickled_codec_needs_the_same_weights(shipped, monkeypatch):
    data = pickle.dumps(shipped)
    with monkeypatch.context() as patch:
        patch.setattr(shipped, "digest", b"\x01\x02\x03\x04")
        other = pickle.dumps(shipped)
        with pytest.raises(ModelMismatch) as caught:
            pickle.loads(data)
    assert "installed are 01020304" in str(caught.value)
    with pytest.raises(ModelMismatch, match="pickled with weights 01020304 of model cvqn"):
        pickle.loads(other)
    with monkeypatch.context() as patch:
        patch.setattr(zoo, "load", lambda name, device: zoo.by_name("gone"))
        with pytest.raises(UnknownModel):
            pickle.loads(data)


def test_another_codec_pickles_whole(tiny):
    data = pickle.dumps(tiny)
    assert len(data) > 10_000
    again = pickle.loads(data)
    assert again is not tiny
    assert (again.name, again.wire_id, again.digest) == (tiny.name, tiny.wire_id, tiny.digest)
    for picture in pictures(2):
        assert there_and_back(again, picture) == there_and_back(tiny, picture)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "shipped"])
def test_a_codec_sent_to_other_processes(name, request):
    codec = request.getfixturevalue(name)
    work = list(pictures(4))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(there_and_back, [codec] * len(work), work))
    assert found == [there_and_back(codec, picture) for picture in work]
