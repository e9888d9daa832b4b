import csv
import io
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from neurocodec.evaluation import report
from neurocodec.evaluation.curves import Curve
from neurocodec.evaluation.plots import plot
from neurocodec.evaluation.points import mean_points

from .test_rows import ROW

RATES = (0.1, 0.3, 0.9)
BASE = Curve("base", RATES, (28, 32, 37), (0.9, 0.96, 0.99))
HALF = Curve("half", (0.1, 0.15, 0.45), (29, 32, 37), (0.93, 0.96, 0.99))
PSNR_ONLY = replace(BASE, name="psnr-only", ms_ssim=None)


def test_every_pair_in_every_metric_that_both_have():
    entries = report.bd_entries([BASE, HALF], [BASE, HALF, PSNR_ONLY])
    assert [(e.metric, e.codec, e.reference) for e in entries] == [
        ("psnr", "base", "half"),
        ("psnr", "base", "psnr-only"),
        ("psnr", "half", "base"),
        ("psnr", "half", "psnr-only"),
        ("ms_ssim", "base", "half"),
        ("ms_ssim", "half", "base"),
    ]
    assert entries[1].result.percent == pytest.approx(0)
    assert entries[2].result.percent < -30


def test_bd_rates_over_another_range():
    (entry,) = report.bd_entries([PSNR_ONLY], [HALF], rate_range=(0.12, 0.5))
    assert entry.result is None
    assert "the tested curve has 1 points within 0.12..0.5 bpp" in entry.note
    (entry,) = report.bd_entries([PSNR_ONLY], [HALF], rate_range=(0.1, 0.5))
    assert (entry.result.low, entry.result.high, entry.result.points) == (29, 32, 2)


def test_why_there_is_no_number_is_said():
    lonely = Curve("lonely", (0.2,), (30,), None)
    (entry,) = report.bd_entries([lonely], [BASE])
    assert entry.result is None
    lines = list(csv.DictReader(io.StringIO(report.bd_csv([entry]))))
    assert lines[0]["percent"] == ""
    assert "the tested curve has 1 points" in lines[0]["note"]
    assert "| `base` | – |" in report.bd_table([entry], "psnr")


def test_bd_csv_spans_its_qualities():
    entries = report.bd_entries([HALF], [BASE])
    line = next(csv.DictReader(io.StringIO(report.bd_csv(entries))))
    assert line["metric"] == "psnr"
    assert float(line["percent"]) == pytest.approx(entries[0].result.percent, abs=1e-6)
    assert (line["low"], line["high"]) == ("29", "37")
    assert (line["reference_points"], line["points"], line["note"]) == ("3", "3", "")


def test_tables_byte_for_byte():
    result = report.BdRate(-12.345, 1, 2, 3, 3)
    worse = report.BdRate(7.0, 1, 2, 3, 3)
    entries = [
        report.BdEntry("psnr", "ours", "jpeg", result),
        report.BdEntry("ms_ssim", "ours", "jpeg", worse),
        report.BdEntry("psnr", "webp", "jpeg", worse),
        report.BdEntry("psnr", "ours", "webp", worse),
    ]
    assert report.bd_table(entries, "psnr") == (
        "| against | ours | webp |\n| :-- | --: | --: |\n"
        "| `webp` | +7.0 % | – |\n| `jpeg` | −12.3 % | +7.0 % |\n"
    )
    assert report.scores_table(entries, "jpeg") == (
        "| against jpeg | PSNR | MS-SSIM |\n| :-- | --: | --: |\n"
        "| ours | −12.3 % | +7.0 % |\n| webp | +7.0 % | – |\n"
    )
    assert report.bd_table([], "psnr") == "No curve to compare with.\n"


def test_estimate_coder_and_file_side_by_side():
    rows = [
        replace(ROW, estimated_bits=990, coded_bits=1000, file_bits=1400),
        replace(ROW, estimated_bits=1010, coded_bits=1020, file_bits=1420),
        replace(ROW, codec="plain", estimated_bits=None, coded_bits=None, file_bits=None),
    ]
    table = report.rates_table(rows)
    assert table.splitlines()[2:] == ["| fake | 50 | 1000 | 1010 | 1410 | +1.00 % | 50.0 |"]
    assert report.rates_table(rows[2:]) == ""


def test_the_summary_hides_nothing():
    rows = [ROW, replace(ROW, image="b.png", ms_ssim=math.nan)]
    points = mean_points(rows)
    text = report.summary(
        rows,
        points,
        [],
        absent={"jxl": "not installed"},
        environment={"cpu": "Abacus 3", "torch": "2"},
        jobs=2,
    )
    for part in (
        "2 images.",
        "0.09–1.6 bpp",
        "Run on: cpu Abacus 3, torch 2.",
        "2 measurements ran at once",
        "1 images are too small for MS-SSIM",
        "Not measured: jxl (not installed).",
        "fake: v1.",
        "| fake | 50 | 10 | 10.0000 | 31.25 | 0.9600 | 0.500 | 0.250 |",
        "## Estimate, coder and file",
    ):
        assert part in text
    alone = report.summary([ROW], points, [], absent={}, environment={})
    for part in ("ran at once", "too small", "Not measured", "Published curves"):
        assert part not in alone
    (entry,) = report.bd_entries([replace(PSNR_ONLY, name="fake")], [BASE])
    assert "Published curves are means over" in report.summary(
        [ROW], points, [entry], absent={}, environment={}
    )


def test_measured_references_come_first_in_the_order_of_the_codecs():
    entries = report.bd_entries([BASE, HALF], [BASE, HALF, PSNR_ONLY])
    lines = report.bd_table(entries, "psnr").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["`base`", "`half`", "`psnr-only`"]


def test_points_csv():
    lines = list(csv.DictReader(io.StringIO(report.points_csv(mean_points([ROW])))))
    assert lines == [
        {
            "codec": "fake", "quality": "50.0", "images": "1", "ms_ssim_images": "1",
            "bytes": "10.0", "bpp": "10.0", "psnr": "31.25", "ms_ssim": "0.96",
            "encode_s": "0.5", "decode_s": "0.25",
        }
    ]  # fmt: skip


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).copy()


def test_plots_show_what_they_are_given(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it would fail
    one, two, three = (tmp_path / f"{i}.png" for i in range(3))
    plot(one, "psnr", [BASE], title="two images")
    plot(two, "psnr", [BASE], [HALF])
    plot(three, "psnr", [BASE], [HALF], emphasis=["base"])
    assert pixels_of(one).shape == pixels_of(two).shape == (868, 1400, 3)
    assert (pixels_of(one) != pixels_of(two)).any()
    assert (pixels_of(two) != pixels_of(three)).any()


@pytest.mark.parametrize("name", ["$5_$ pics", "a$^$b", "caf\udce9, 3 images"])
def test_plots_take_any_name(name, tmp_path):
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    plot(path, "psnr", [replace(BASE, name=name)], [replace(HALF, name=name)], title=name)
    plot(other, "psnr", [replace(BASE, name=name)], [replace(HALF, name=name)], title="other")
    assert (pixels_of(path) != pixels_of(other)).any()


def test_plots_leave_out_what_has_no_such_metric(tmp_path):
    plain, more = tmp_path / "plain.png", tmp_path / "more.png"
    mse, similar = replace(HALF, name="x-mse"), replace(HALF, name="x-msssim")
    plot(plain, "ms_ssim", [BASE], [similar])
    plot(more, "ms_ssim", [BASE, PSNR_ONLY], [mse, similar])
    assert (pixels_of(plain) == pixels_of(more)).all()
    plot(plain, "psnr", [BASE], [mse])
    plot(more, "psnr", [BASE], [mse, similar])
    assert (pixels_of(plain) == pixels_of(more)).all()
    plot(more, "psnr", [BASE], [similar])  # without its twin it is shown
    assert (pixels_of(plain) != pixels_of(more)).any()


def test_plots_end_where_they_are_told(tmp_path):
    wide, narrow, same = (tmp_path / f"{name}.png" for name in ("wide", "narrow", "same"))
    far = replace(BASE, bpp=(0.1, 0.3, 1.2), psnr=(28, 32, 60))
    plot(wide, "psnr", [far], max_bpp=1.6)
    plot(same, "psnr", [far])
    plot(narrow, "psnr", [far], max_bpp=0.6)
    assert (pixels_of(wide) == pixels_of(same)).all()
    assert (pixels_of(wide) != pixels_of(narrow)).any()
    near = replace(BASE, bpp=(0.1, 0.2, 0.3))  # all shown by both: only the axis differs
    plot(wide, "psnr", [near], max_bpp=1.6)
    plot(narrow, "psnr", [near], max_bpp=0.6)
    assert (pixels_of(wide) != pixels_of(narrow)).any()


def test_plots_survive_lossless_far_and_lonely_points(tmp_path):
    odd = Curve("odd", (0.5, 1.0, 2.0, 9.0), (30, math.inf, 40, 50), None)
    plot(tmp_path / "odd.png", "psnr", [odd], [Curve("dot", (0.2,), (29,), None)])
    plot(tmp_path / "none.png", "ms_ssim", [odd])
    assert pixels_of(tmp_path / "none.png").min() == 0
