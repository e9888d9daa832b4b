"""Tiles on the command line, with a small untrained codec in place of the shipped ones."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import neurocodec
from neurocodec import container, zoo
from tests import fake_codec
from tests.cli.conftest import is_one_line
from tests.codecs.conftest import build
from tests.codecs.test_tiles import spoil
from tests.training.conftest import draw_photo


@pytest.fixture
def tiled(ncz, folder, monkeypatch):
    """a.png, a.ncz in six tiles, and the pixels that this decodes to."""
    codec = build()
    codec.wire_id = fake_codec.MODEL.wire_id
    monkeypatch.setattr(zoo, "load", lambda name, device="cpu": codec)
    draw_photo(4, 150, 100).save("a.png")
    assert ncz("encode", "a.png", "a.ncz", "--tile-size", "64", "-q", "70").code == 0
    return np.asarray(neurocodec.decode("a.ncz"))


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def damage(*numbers):
    with open("a.ncz", "rb") as file:
        data = spoil(file.read(), *numbers)
    with open("bad.ncz", "wb") as file:
        file.write(data)


def test_tile_size(ncz, tiled):
    file = neurocodec.info("a.ncz")
    assert (file.tile_width, file.tile_height, len(file.tiles)) == (64, 64, 6)
    assert ncz("encode", "a.png", "b.ncz", "--tile-size", "0").code == 0
    assert neurocodec.info("b.ncz").tiles == ()
    for size in (63, 100):
        result = ncz("encode", "a.png", "b.ncz", "--tile-size", size)
        assert (result.code, result.out) == (1, b"")
        assert f"tile size {size}: use a multiple of 64" in result.err
    assert ncz("encode", "a.png", "b.ncz", "--tile-size", "-1").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tile-size", "100"), "tile size 100: use a multiple of 64 up to 65536, or 0"),
        (("--roi", "a.png"), "model tiny has no importance map: encode without a region of"),
        (("--importance-map",), "interest, or with --model fake"),
        (("--arrangement", "rec"), "arrangement is for codecs around an inner codec"),
    ],
)
def test_options_that_suit_no_picture_are_one_error(
    ncz, photo, folder, monkeypatch, arguments, message
):
    codec = build(map_levels=0)
    monkeypatch.setattr(zoo, "load", lambda name, device="cpu": codec)
    for name in ("a.png", "b.png"):
        photo(name)
    result = ncz("encode", "a.png", "b.png", "-o", "out", *arguments)
    assert (result.code, is_one_line(result.err)) == (1, True)
    assert message in result.err
    assert not (folder / "out").exists()
    result = ncz("encode", "a.png", "a.ncz", *arguments)
    assert (result.code, is_one_line(result.err)) == (1, True)
    assert message in result.err


def test_crop(ncz, tiled):
    assert ncz("decode", "a.ncz", "part.png", "--crop", "60,20,50,70").code == 0
    assert np.array_equal(pixels("part.png"), tiled[20:90, 60:110])
    result = ncz("decode", "a.ncz", "none.png", "--crop", "60,20,50,90")
    assert result.code == 1
    assert "crop 60,20,50,90 (x, y, width, height) does not lie within" in result.err


@pytest.mark.parametrize("crop", ["1,2,3", "1,2,3,x", "1,2,3,-4", "", "1.5,2,3,4", "1,2,3,4,5"])
def test_crops_that_make_no_sense(ncz, tiled, crop):
    result = ncz("decode", "a.ncz", "part.png", "--crop", crop)
    assert result.code == 2
    assert "write X,Y,W,H in pixels" in result.err


def test_best_effort(ncz, folder, tiled):
    damage(4)
    result = ncz("decode", "bad.ncz", "bad.png")
    assert result.code == 1
    assert "tile 4 of 6 is damaged" in result.err
    assert not (folder / "bad.png").exists()
    result = ncz("decode", "bad.ncz", "bad.png", "--best-effort")
    assert result.code == 3
    assert result.err == (
        "ncz: warning: bad.ncz: 1 tile is damaged (x,y,width,height in the picture), and what lies "
        "along their borders is not exact: 64,64,64,36\n"
    )
    assert np.array_equal(pixels("bad.png")[:30], tiled[:30])
    assert (pixels("bad.png")[64:, 64:128] == 128).all()
    assert ncz("decode", "a.ncz", "good.png", "--best-effort").code == 0
    assert np.array_equal(pixels("good.png"), tiled)


def test_an_error_outweighs_a_warning(ncz, tiled):
    damage(0)
    with open("worse.ncz", "wb") as file:
        file.write(b"no such file")
    result = ncz("decode", "bad.ncz", "worse.ncz", "a.ncz", "-o", "out", "--best-effort")
    assert result.code == 1
    assert result.err.count("ncz: warning:") == result.err.count("ncz: error:") == 1
    assert np.array_equal(pixels("out/a.png"), tiled)
    assert ncz("decode", "bad.ncz", "a.ncz", "-o", "out", "--best-effort").code == 3


def test_resume_does_again_what_is_incomplete(ncz, folder, tiled):
    damage(4)
    decode = ("decode", "bad.ncz", "a.ncz", "-o", "out", "--best-effort")
    assert ncz(*decode).code == 3
    assert np.array_equal(pixels("out/a.png"), tiled)
    done = os.stat("out/a.png").st_mtime_ns
    assert ncz(*decode, "--resume").code == 3
    assert os.stat("out/a.png").st_mtime_ns == done


def test_info(ncz, tiled):
    damage(1, 5)
    found = json.loads(ncz("info", "bad.ncz", "--json").out)
    assert found["damaged"] == [1, 5]
    assert sum(found["tiles"]) == found["sections"]["tiles"]
    assert sum(found["sections"].values()) == found["bytes"]
    assert (found["streams"], found["importance"], found["alpha"]) == ([], None, False)
    text = ncz("info", "bad.ncz").out.decode()
    assert "tiles           6 of up to 64x64 pixels\n" in text
    assert "damaged tiles   1 5\n" in text
    assert "grid offset" not in text
    assert "damaged tiles   none\n" in ncz("info", "a.ncz").out.decode()


@pytest.mark.parametrize("whole", [0, 3, 5])
def test_info_of_a_file_without_its_end(ncz, folder, tiled, whole):
    """``whole`` tiles and half of the next are there."""
    data = (folder / "a.ncz").read_bytes()
    tiles = neurocodec.info(data).tiles
    length = len(data) - sum(tiles[whole:]) + tiles[whole] // 2
    (folder / "cut.ncz").write_bytes(data[:length])
    result = ncz("info", "cut.ncz", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["damaged"] == list(range(whole, 6))
    assert found["tiles"] == [*tiles[:whole], tiles[whole] // 2, *[0] * (5 - whole)]
    assert sum(found["tiles"]) == found["sections"]["tiles"]
    assert sum(found["sections"].values()) == found["bytes"] == length
    boxes = neurocodec.decode("cut.ncz", best_effort=True).info["damaged"]
    assert len(boxes) == len(found["damaged"])


def test_info_of_what_was_appended(ncz, folder, tiled):
    data = (folder / "a.ncz").read_bytes()
    (folder / "long.ncz").write_bytes(data + b"more")
    found = json.loads(ncz("info", "long.ncz", "--json").out)
    assert (found["damaged"], found["sections"].pop("appended")) == ([], 4)
    assert found["sections"] == container.sizes(data)


def test_info_refuses_a_head_or_a_whole_picture_without_its_end(ncz, folder, tiled):
    data = (folder / "a.ncz").read_bytes()
    head = len(data) - sum(neurocodec.info(data).tiles)
    (folder / "head.ncz").write_bytes(data[: head - 1])
    assert ncz("encode", "a.png", "whole.ncz").code == 0
    (folder / "whole.ncz").write_bytes((folder / "whole.ncz").read_bytes()[:-1])
    for name in ("head.ncz", "whole.ncz"):
        result = ncz("info", name)
        assert (result.code, result.out, is_one_line(result.err)) == (1, b"", True)


def test_alpha_is_told(ncz, tiled):
    image = draw_photo(4, 150, 100)
    image.putalpha(Image.new("L", image.size, 3))
    image.save("alpha.png")
    assert ncz("encode", "alpha.png", "alpha.ncz", "--tile-size", "64").code == 0
    assert neurocodec.info("alpha.ncz").alpha
    assert not neurocodec.info("a.ncz").alpha


def test_a_crop_from_every_kind_of_source(tiled, folder):
    data = (folder / "a.ncz").read_bytes()
    for source in (data, "a.ncz", folder / "a.ncz", open("a.ncz", "rb")):  # noqa: SIM115
        part = neurocodec.decode(source, crop=(10, 20, 30, 40))
        assert np.array_equal(np.asarray(part), tiled[20:60, 10:40])
    (folder / "empty.ncz").write_bytes(b"")
    with pytest.raises(neurocodec.NczError):
        neurocodec.decode("empty.ncz", crop=(0, 0, 1, 1))
    assert container.read(data).tiling is not None
