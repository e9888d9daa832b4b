"""The benchmark of large pictures, its fresh processes replaced by calls."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import large

from .conftest import photo


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """What `ncz` was called with. It leaves copies, a grey level off in tiles and two elsewhere."""
    calls = []

    def ncz(*arguments):
        calls.append(arguments)
        if arguments[0] == "encode":
            with open(arguments[2], "wb") as coded:
                coded.write(bytes(7 if "--tile-size" in arguments else 9))
            (tmp_path / "picture").write_text(arguments[1])
        if arguments[0] == "decode":
            tiled = "--tile-size" not in calls[-2]
            pixels = np.asarray(Image.open((tmp_path / "picture").read_text()), int)
            Image.fromarray((pixels // 2 + 1 + tiled).astype(np.uint8)).save(arguments[2])
        info = {"tiles": [5, 4], "tile_width": 640, "tile_height": 1024}
        return {"out": json.dumps(info), "cpu_s": 1.25, "peak_mb": 345.6}

    monkeypatch.setattr(large, "_ncz", ncz)
    monkeypatch.setattr(large, "_worker", lambda task, **job: large.TASKS[task](**job))
    return calls


def test_a_row_a_size(ran, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(2):
        Image.fromarray(photo(seed)).save(photos / f"{seed}.png")
    out = tmp_path / "large.tsv"
    command = ["--data", str(photos), "--model", "m", "--quality", "30", "--out", str(out)]
    assert large.main([*command, "--megapixels", "0.81", "--scratch", str(tmp_path)]) == 0
    assert large.main([*command, "--megapixels", "1", "--whole", "0.5"]) == 0
    with out.open() as file:
        first, second = csv.DictReader(file, delimiter="\t")
    assert (first["model"], first["quality"], first["width"], first["height"]) == (
        "m", "30", "900", "900",
    )  # fmt: skip
    assert (first["tiles"], first["bytes"], first["whole_bytes"]) == ("2", "9", "7")
    assert (first["encode_cpu_s"], first["decode_peak_mb"]) == ("1.2", "346")
    assert float(first["whole_psnr_borders"]) != float(first["psnr_borders"])
    assert (second["width"], second["whole_bytes"], second["whole_psnr_rest"]) == ("1000", "", "")
    assert all(call[0] == "info" or "--threads 1" in " ".join(call) for call in ran)
    verbs = [call[0] for call in ran]
    assert verbs == ["encode", "decode", "info", "encode", "decode", "encode", "decode", "info"]


def test_the_band_is_eight_pixels_to_each_side_of_a_border(tmp_path):
    pixels = np.full((100, 200, 3), 100, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.ppm")
    near = pixels.copy()
    near[:, [56, 71]] += 1  # the outermost columns of the band
    far = pixels.copy()
    far[:, [55, 72]] += 1
    names = {"original": str(tmp_path / "a.ppm"), "decoded": str(tmp_path / "b.ppm")}
    for decoded, inside in ((near, True), (far, False)):
        Image.fromarray(decoded).save(tmp_path / "b.ppm")
        score = large._score(**names, tile_width=64, tile_height=128)
        # The borders at 128 and 192 are bands, too; no error means no decibels.
        assert bool(score["psnr_borders"]) is inside
        assert bool(score["psnr_rest"]) is not inside
    Image.fromarray(near).save(tmp_path / "b.ppm")
    score = large._score(**names, tile_width=64, tile_height=128)
    assert float(score["psnr_borders"]) == pytest.approx(48.131 + 10 * np.log10(48 / 2), abs=0.01)


def test_a_failure_ends_it(capfd):
    with pytest.raises(SystemExit, match="large: error: -c"):
        large._call([large.sys.executable, "-c", "import sys; sys.exit(3)"])
    done = large._call([large.sys.executable, "-c", "print(6 * 7)"])
    assert done["out"] == "42\n"
    assert done["peak_mb"] > 1
    with pytest.raises(SystemExit):
        large.main([])
    assert "--data is needed" in capfd.readouterr().err
