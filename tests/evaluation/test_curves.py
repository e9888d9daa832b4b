import json
import math
from dataclasses import replace

import pytest

from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.curves import Curve, load_anchors
from neurocodec.evaluation.points import Point, curves_of, mean_points

from .test_rows import ROW


def test_means_at_each_quality():
    rows = [
        replace(ROW, codec="b", psnr=30, ms_ssim=0.9, bytes=10, bpp=1.0, encode_s=1, decode_s=3),
        replace(ROW, codec="a", quality=9, bpp=2.0),
        replace(ROW, codec="b", psnr=33, ms_ssim=0.8, bytes=20, bpp=1.5, encode_s=2, decode_s=5),
        replace(ROW, codec="b", quality=10, bpp=0.5),
    ]
    points = mean_points(rows)
    assert [(p.codec, p.quality) for p in points] == [("b", 10), ("b", 50), ("a", 9)]
    assert points[1] == Point(
        "b", 50, 2, 2, 15, 1.25, 31.5, pytest.approx(0.85), encode_s=1.5, decode_s=4
    )


def test_small_images_are_left_out_of_ms_ssim_alone():
    rows = [replace(ROW, ms_ssim=0.9, psnr=30), replace(ROW, ms_ssim=math.nan, psnr=40)]
    (point,) = mean_points(rows)
    assert (point.images, point.ms_ssim_images, point.psnr, point.ms_ssim) == (2, 1, 35, 0.9)
    (none,) = mean_points(rows[1:])
    assert math.isnan(none.ms_ssim)
    assert curves_of([none])[0].ms_ssim is None


def test_curves_hold_their_points_by_rate():
    rows = [replace(ROW, quality=q, bpp=1 / q, psnr=q, ms_ssim=0.99) for q in (2, 4, 1)]
    (curve,) = curves_of(mean_points(rows))
    assert curve == Curve("fake", (0.25, 0.5, 1.0), (4, 2, 1), (0.99,) * 3)
    assert curve.quality("psnr") == (4, 2, 1)
    assert curve.quality("ms_ssim") == pytest.approx((20, 20, 20))
    assert replace(curve, ms_ssim=None).quality("ms_ssim") is None


def write(tmp_path, content):
    path = tmp_path / "anchors.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_anchors_of_both_sections(tmp_path):
    path = write(
        tmp_path,
        {
            "about": "curves",
            "published": {"bpg": {"bpp": [0.5, 0.1], "psnr": [33, 30], "ms_ssim": None}},
            "measured": {"jpeg": {"bpp": [1], "psnr": [31], "ms_ssim": [0.9], "setting": [5]}},
        },
    )
    assert load_anchors(path) == {
        "bpg": Curve("bpg", (0.1, 0.5), (30, 33), None),
        "jpeg (anchor)": Curve("jpeg (anchor)", (1,), (31,), (0.9,)),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read the anchors"),
        ("[]", "expected an object"),
        ({"published": []}, "expected an object with a section 'published'"),
        ({"published": {"x": 3}}, "published.x: no rates"),
        ({"published": {"x": {"bpp": "1"}}}, "expected a list of numbers"),
        ({"published": {"x": {"bpp": [1, True]}}}, "expected a list of numbers"),
        ({"measured": {"x": {"bpp": [1, 2], "psnr": [3]}}}, "2 rates but 1 values of psnr"),
    ],
)
def test_anchors_that_are_none(tmp_path, content, message):
    with pytest.raises(InvalidArgument, match=message):
        load_anchors(write(tmp_path, content))


def test_anchors_that_are_not_there(tmp_path):
    with pytest.raises(InvalidArgument, match="cannot read the anchors"):
        load_anchors(tmp_path / "none.json")
