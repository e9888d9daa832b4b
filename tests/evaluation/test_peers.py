import io

import numpy as np
import pytest
from PIL import Image

from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.evaluation import peers
from neurocodec.metrics import psnr

from .conftest import photo

NAMES = ["jpeg", "jpeg2000", "webp", "heic444", "avif", "jxl"]


def peer(name):
    chosen = next(p for p in peers.PEERS if p.name == name)
    if reason := chosen.missing():
        pytest.skip(reason)
    return chosen


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_and_more_bytes_for_more_quality(name):
    codec = peer(name)
    image = Image.fromarray(photo(5, 97, 75))
    ladder = sorted(codec.qualities, reverse=name == "jpeg2000")
    sizes, scores = [], []
    for quality in (ladder[0], ladder[-1]):
        data = codec.encode(image, quality)
        decoded = codec.decode(data)
        assert (decoded.mode, decoded.size) == ("RGB", (97, 75))
        sizes.append(len(data))
        scores.append(psnr(np.asarray(image), np.asarray(decoded)))
    assert sizes[0] < sizes[1]
    assert scores[0] + 3 < scores[1]
    assert any(digit.isdigit() for digit in codec.version)


@pytest.mark.parametrize("name", NAMES)
def test_any_mode_goes_in_as_rgb(name):
    codec = peer(name)
    grey = Image.fromarray(photo(5, 64, 64)[..., 0])
    assert codec.encode(grey, 30) == codec.encode(grey.convert("RGB"), 30)


def saved(name, format, **options):
    image = Image.fromarray(photo(6, 96, 96))
    file = io.BytesIO()
    image.save(file, format, **options)
    return peer(name).encode(image, 30), file.getvalue()


def test_settings_of_the_design():
    ours, expected = saved("jpeg", "JPEG", quality=30, optimize=True, progressive=True)
    assert ours == expected
    ours, expected = saved("webp", "WEBP", quality=30, method=6)
    assert ours == expected
    ours, expected = saved(
        "jpeg2000", "JPEG2000", quality_mode="rates", quality_layers=[30], irreversible=True, mct=1
    )
    assert ours == expected


def test_avif_is_full_chroma():
    ours, expected = saved("avif", "AVIF", quality=30, subsampling="4:4:4", speed=6)
    assert ours == expected
    _, halved = saved("avif", "AVIF", quality=30, subsampling="4:2:0", speed=6)
    assert ours != halved


def test_heic_is_full_chroma():
    codec = peer("heic444")
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2] = 255, 0, 0  # alternating red and blue columns do not survive 4:2:0
    pixels[:, 1::2] = 0, 0, 255
    decoded = np.asarray(codec.decode(codec.encode(Image.fromarray(pixels), 68)))
    assert psnr(pixels, decoded) > 20


def test_jxl_is_effort_7():
    codec = peer("jxl")
    image = Image.fromarray(photo(6, 96, 96))
    file = io.BytesIO()
    image.save(file, "JXL", quality=30, effort=7)
    assert codec.encode(image, 30) == file.getvalue()


def test_decoders_take_their_own_format_only():
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG")
    with pytest.raises(OSError, match="cannot identify"):
        peer("jpeg").decode(png.getvalue())


def test_absent_peers_are_reported(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(peers.features, "check", lambda name: name != "avif")
    assert [p.name for p in peers.installed()] == ["jpeg", "jpeg2000", "webp"]
    assert peers.absent() == {
        "heic444": "pillow-heif is not installed: pip install pillow-heif",
        "avif": "this Pillow was built without avif: pip install a newer Pillow",
        "jxl": "pillow-jxl-plugin is not installed: pip install pillow-jxl-plugin",
    }
    with pytest.raises(MissingDependency, match="the peer jxl cannot run: pillow-jxl-plugin is"):
        peers.select(["jpeg", "jxl"])
    assert peers.select(None) == peers.installed()


def test_selection():
    assert [p.name for p in peers.PEERS] == NAMES
    assert peers.select(()) == ()
    assert [p.name for p in peers.select(["webp", "jpeg"])] == ["webp", "jpeg"]
    with pytest.raises(InvalidArgument, match="'gif': choose from jpeg, jpeg2000"):
        peers.select(["gif"])
