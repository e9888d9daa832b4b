"""The public functions, around a codec that has learned nothing."""

import dataclasses
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import neurocodec
from neurocodec import api, container
from neurocodec.errors import (
    BadMagic,
    ImageTooLarge,
    InvalidArgument,
    UnknownModel,
    UnreadableImage,
)
from tests import fake_codec
from tests.image.samples import exif_block, srgb_profile


@pytest.fixture
def codec(monkeypatch):
    return fake_codec.install(monkeypatch)


@pytest.fixture
def family(monkeypatch):
    return fake_codec.install_family(monkeypatch)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    ).stdout


def test_import_is_light():
    code = (
        "import sys, neurocodec, neurocodec.container; neurocodec.NczError; neurocodec.info;"
        "print(sorted({'torch', 'numpy', 'PIL', 'click'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]\n"


def test_names():
    assert set(neurocodec.__all__) <= set(dir(neurocodec))
    assert neurocodec.__version__ == "0.1.0"
    assert all(getattr(neurocodec, name) is not None for name in neurocodec.__all__)
    with pytest.raises(AttributeError, match="no attribute 'encoder'"):
        neurocodec.encoder  # noqa: B018


def test_the_package_of_models_does_not_hide_the_function():
    code = "import neurocodec; neurocodec.models(); print(callable(neurocodec.models))"
    assert run_python(code) == "True\n"


def test_round_trip(codec, pixels):
    data = neurocodec.encode(pixels)
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        np.testing.assert_array_equal(np.asarray(neurocodec.decode(source)), pixels)


def test_paths(codec, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = neurocodec.encode(tmp_path / "a.png")
    (tmp_path / "a.ncz").write_bytes(data)
    for path in (tmp_path / "a.ncz", str(tmp_path / "a.ncz")):
        np.testing.assert_array_equal(np.asarray(neurocodec.decode(path)), pixels)
        assert neurocodec.info(path) == neurocodec.info(data)
    with pytest.raises(FileNotFoundError):
        neurocodec.decode(tmp_path / "none.ncz")


def test_options_reach_the_codec(codec, pixels):
    neurocodec.encode(pixels, "fake", 80)
    loaded, call = codec.calls
    assert loaded == {"load": "fake", "device": "cpu"}
    assert call["quality"] == 80
    assert all(call[name] is None for name in call if name != "quality")
    options = {
        "target_bpp": 0.5,
        "target_size": 900,
        "target_psnr": 30.0,
        "target_msssim": 0.9,
    }
    for name, value in options.items():
        neurocodec.encode(pixels, **{name: value})
        assert codec.calls[-1][name] == value


def test_roi_may_be_any_image(codec, pixels, tmp_path):
    Image.new("L", (2, 2), 200).save(tmp_path / "mask.png")
    for roi in (tmp_path / "mask.png", np.full((2, 2), 200, np.uint8)):
        info = neurocodec.info(neurocodec.encode(pixels, roi=roi))
        assert info.importance.positions == (0, 1, 1)
    with pytest.raises(UnreadableImage):
        neurocodec.encode(pixels, roi=b"no mask")


def test_what_is_no_image_is_refused_before_anything_is_loaded(codec):
    with pytest.raises(UnreadableImage):
        neurocodec.encode(b"no image")
    assert codec.calls == []


def test_limit_of_pixels(codec, pixels):
    data = neurocodec.encode(pixels)
    neurocodec.decode(data, max_pixels=35)
    assert codec.calls[-1] == {"max_pixels": 35}
    codec.calls.clear()
    with pytest.raises(ImageTooLarge, match="35 pixels, 34 are allowed"):
        neurocodec.decode(data, max_pixels=34)
    assert codec.calls == []


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(2**60, dtype=torch.uint8), lambda: np.empty(2**60, np.uint8)]
)
def test_an_image_that_memory_cannot_hold_is_too_large(codec, pixels, allocate):
    data = neurocodec.encode(pixels)
    codec.during = allocate
    with pytest.raises(ImageTooLarge, match="7x5 pixels need more memory than there is: decode on"):
        neurocodec.decode(data)


def test_other_errors_of_torch_stay_what_they_are(codec, pixels):
    data = neurocodec.encode(pixels)
    codec.during = lambda: torch.ones(2) @ torch.ones(3)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        neurocodec.decode(data)


def test_unknown_models(codec, pixels):
    with pytest.raises(UnknownModel, match="'none'"):
        neurocodec.encode(pixels, "none")
    file = dataclasses.replace(container.read(neurocodec.encode(pixels)), model=99)
    with pytest.raises(UnknownModel, match="model 99"):
        neurocodec.decode(container.write(file))
    assert neurocodec.info(container.write(file)).model is None


def test_load_and_models(codec):
    assert neurocodec.load() is codec
    assert neurocodec.load("fake") is codec
    assert neurocodec.models() == (fake_codec.MODEL,)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "mps", "meta"])
def test_a_device_that_is_not_there(codec, device):
    with pytest.raises(InvalidArgument, match=rf"device '{device}' cannot be used .*: use cpu"):
        neurocodec.load("fake", device)


@pytest.mark.parametrize("source", [None, 3, io.StringIO("text")])
def test_sources_without_bytes(source):
    for function in (neurocodec.decode, neurocodec.info):
        with pytest.raises(InvalidArgument, match="gives no bytes"):
            function(source)


def test_a_file_opened_as_text_gives_no_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"\x89\xff\xfe")
    for function in (neurocodec.decode, neurocodec.info):
        with (
            open(tmp_path / "a", encoding="utf-8") as file,
            pytest.raises(InvalidArgument, match="binary mode"),
        ):
            function(file)


def test_no_ncz_file():
    for function in (neurocodec.decode, neurocodec.info):
        with pytest.raises(BadMagic):
            function(b"\x89PNG of some sort")


def test_threads_hold_for_the_call_only(codec, pixels):
    before = torch.get_num_threads()
    seen = []
    codec.during = lambda: seen.append(torch.get_num_threads())
    data = neurocodec.encode(pixels, threads=before + 2)
    neurocodec.decode(data, threads=before + 3)
    neurocodec.decode(data)
    assert seen == [before + 2, before + 3, before]
    assert torch.get_num_threads() == before


def test_threads_are_put_back_after_an_error(codec, pixels):
    before = torch.get_num_threads()
    with pytest.raises(InvalidArgument, match="out of reach"):
        neurocodec.encode(pixels, threads=before + 1, target_size=1)
    assert torch.get_num_threads() == before
    with pytest.raises(InvalidArgument, match="threads is 0: use 1 to 1024"):
        neurocodec.encode(pixels, threads=0)
    with pytest.raises(InvalidArgument, match="threads is 100000"):
        neurocodec.encode(pixels, threads=100_000)


def test_info(codec, pixels):
    rgba = np.dstack([pixels, pixels[..., :1]])
    data = neurocodec.encode(rgba, quality=33.5)
    info = neurocodec.info(data)
    assert (info.codec, info.codec_id, info.model, info.model_id) == ("cvqn", 1, "fake", 7)
    assert info.model_digest == fake_codec.DIGEST[:8]
    assert (info.width, info.height, info.mode, info.alpha) == (7, 5, "RGB", True)
    assert (info.quality, info.grid_offset) == (33.5, 3)
    assert info.groups == (container.Group(2, 3), container.Group(1, 5))
    assert (info.channel_order, info.importance) == (None, None)
    assert info.streams == tuple(len(stream) for stream in container.read(data).streams)
    assert info.sections == container.sizes(data)
    assert info.bytes == sum(info.sections.values()) == len(data)
    assert info.bpp == 8 * len(data) / 35
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.width = 1


def test_info_of_a_map(codec, pixels):
    info = neurocodec.info(neurocodec.encode(pixels, roi=np.zeros((1, 1), np.uint8)))
    assert info.channel_order == (2, 0, 1)
    assert dataclasses.astuple(info.importance) == (1, 2, 3, (1, 0, 1))


def test_info_of_an_image_too_large_to_decode(codec, pixels):
    file = dataclasses.replace(
        container.read(neurocodec.encode(pixels)), width=2**31 - 1, height=2**31 - 1
    )
    assert neurocodec.info(container.write(file)).width == 2**31 - 1


def test_metadata_goes_all_the_way(codec, pixels):
    image = Image.fromarray(pixels)
    image.info["xmp"] = b"<x/>"
    assert neurocodec.decode(neurocodec.encode(image)).info["xmp"] == b"<x/>"


def test_metadata_may_stay_behind(codec, pixels):
    image = Image.fromarray(pixels)
    carried = {"icc_profile": srgb_profile(), "exif": exif_block((0x0110, 7)), "xmp": b"<x/>"}
    image.info.update(carried)
    for metadata, kept in (("all", {*carried}), ("icc", {"icc_profile"}), ("none", set())):
        found = neurocodec.decode(neurocodec.encode(image, metadata=metadata)).info
        assert {*found} & {*carried} == kept
    assert image.info == carried
    with pytest.raises(InvalidArgument, match="metadata is 'some': use one of all, icc, none"):
        neurocodec.encode(image, metadata="some")


# Codecs around an inner codec.


def test_names_of_the_format():
    assert api.INNER_CODECS == ("dct", "jpeg", "jpeg2000", "webp", "avif", "heic")
    assert api.ARRANGEMENTS == ("auto", "both", "rec", "com")


def test_inner_and_arrangement_reach_the_codec_only_where_given(family, pixels):
    neurocodec.encode(pixels, "around", 80)
    loaded, call = family["around"].calls
    assert loaded == {"load": "around", "device": "cpu"}
    assert not {"inner", "arrangement"} & set(call)
    neurocodec.encode(pixels, "around", inner="webp")
    call = family["around"].calls[-1]
    assert call["inner"] == "webp"
    assert "arrangement" not in call
    for arrangement in api.ARRANGEMENTS:
        neurocodec.encode(pixels, "around", arrangement=arrangement)
        call = family["around"].calls[-1]
        assert call["arrangement"] == arrangement
        assert "inner" not in call


def test_the_inner_codec_chooses_the_model(family, pixels):
    data = neurocodec.encode(pixels, "around", inner="jpeg", arrangement="rec")
    assert family["around"].calls == []
    loaded, call = family["around-others"].calls
    assert loaded == {"load": "around-others", "device": "cpu"}
    assert (call["inner"], call["arrangement"]) == ("jpeg", "rec")
    assert neurocodec.info(data).model == "around-others"
    np.testing.assert_array_equal(np.asarray(neurocodec.decode(data)), pixels)
    assert [call for call in family["around-others"].calls if "load" in call] == [loaded] * 2


def test_choices_that_make_no_sense_load_nothing(family, pixels):
    for options, message in (
        ({"inner": "dct"}, "inner is for codecs around an inner codec, cvqn has none: leave it"),
        ({"arrangement": "auto"}, "arrangement is for codecs around an inner codec, cvqn has none"),
        ({"model": "fake", "inner": "dct"}, "or use model around or around-others"),
        ({"model": "around", "inner": "heic"}, "use one of dct, webp, jpeg, avif"),
        (
            {"model": "around", "arrangement": "REC"},
            "arrangement is 'REC': use one of auto, both, rec, com",
        ),
    ):
        with pytest.raises(InvalidArgument, match=message) as caught:
            neurocodec.encode(pixels, **options)
        assert "\n" not in str(caught.value)
    assert all(codec.calls == [] for codec in family.values())


def test_info_around_dct(family, pixels):
    data = neurocodec.encode(pixels, "around", 33.5, arrangement="com")
    info = neurocodec.info(data)
    assert (info.codec, info.codec_id, info.model, info.model_id) == ("comrec", 2, "around", 8)
    assert (info.arrangement, info.inner, info.inner_quality) == ("com", "dct", 16.75)
    assert (info.quality, info.grid_offset) == (33.5, 3)
    assert (info.groups, info.channel_order, info.importance) == ((), None, None)
    assert info.streams == (len(container.read(data).streams[0]), 3)
    assert info.sections == container.sizes(data)
    assert info.bytes == sum(info.sections.values()) == len(data)
    assert neurocodec.load("around") is family["around"]


@pytest.mark.parametrize("inner", ["jpeg", "webp", "avif"])
def test_info_around_a_foreign_codec(family, pixels, inner):
    info = neurocodec.info(neurocodec.encode(pixels, "around-others", 100, inner=inner))
    assert (info.arrangement, info.inner, info.inner_quality) == ("both", inner, 50.0)
    assert info.grid_offset == 0
    assert len(info.streams) == 1


def test_info_of_a_codec_without_inner_codecs(codec, pixels):
    info = neurocodec.info(neurocodec.encode(pixels))
    assert (info.arrangement, info.inner, info.inner_quality) == (None, None, None)
