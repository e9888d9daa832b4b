"""benchmarks.comrec on a codec with nothing learned about it."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import neurocodec
from benchmarks import comrec, comrec_tables
from benchmarks.comrec_plan import AtSizeOf, Inside, Plan, Through
from benchmarks.comrec_tables import HuffmanRow
from benchmarks.huffman import huffman_size
from neurocodec import zoo
from neurocodec.codecs.inner import INNERS
from neurocodec.errors import InvalidArgument, NczError
from neurocodec.evaluation.curves import Curve
from neurocodec.evaluation.peers import select
from neurocodec.evaluation.points import mean_points
from neurocodec.evaluation.rows import parse_rows

from .conftest import photo
from .test_rows import ROW

QUALITIES = (10.0, 40.0, 80.0)


class FakeComRec:
    """WebP in a file that begins with the options."""

    def __init__(self):
        self.calls = []
        self.planes = np.random.default_rng(5).integers(-4, 5, (3, 6, 5, 64))

    def encode(self, image, quality=50, *, inner, arrangement, target_size=None):
        self.calls.append((inner, arrangement, quality, target_size))
        if target_size is None:
            return self._file(image, quality, inner, arrangement)
        files = [self._file(image, quality, inner, arrangement) for quality in range(0, 60, 3)]
        return max((f for f in files if len(f) <= target_size), key=len, default=files[0])

    def decode(self, data):
        return Image.open(io.BytesIO(data[data.index(b"\n") + 1 :]))

    def coefficients(self, data):
        assert json.loads(data.partition(b"\n")[0])["inner"] == "dct"
        return list(self.planes)

    def _file(self, image, quality, inner, arrangement):
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=4 if inner == "dct" else 0)
        options = {"inner": inner, "arrangement": arrangement}
        return json.dumps(options).encode() + b"\n" + file.getvalue()


@pytest.fixture
def fake(monkeypatch):
    """In place of every model of the codec."""
    codec = FakeComRec()

    def with_inner(name, inner):
        if name != "comrec":
            raise InvalidArgument(f"{name} has no inner codecs")
        return SimpleNamespace(name=f"comrec-{inner}", digest="0123456789abcdef" * 4)

    monkeypatch.setattr(zoo, "with_inner", with_inner)
    monkeypatch.setattr(neurocodec, "load", lambda name: codec, raising=False)
    monkeypatch.setattr(
        neurocodec, "info", lambda data: SimpleNamespace(streams=(900, 100)), raising=False
    )
    return codec


def run(folder, out, *options):
    arguments = ["--data", folder, "--out", out, *options]
    for quality in QUALITIES:
        arguments += ["--quality", quality]
    return CliRunner().invoke(comrec.main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_one_command_measures_and_prints_everything(fake, folder, tmp_path):
    out = tmp_path / "deep" / "out"
    result = run(folder, out, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [
        "comrec.md", "comrec.tsv", "comrec_dct.png", "comrec_huffman.tsv", "comrec_jpeg.png",
        "comrec_webp.png", "rows.csv",
    ]  # fmt: skip
    assert (out / "comrec.md").read_text() == result.output
    rows = parse_rows((out / "rows.csv").read_text())
    arrangements = ("auto", "both", "rec", "com")
    assert list(dict.fromkeys(row.codec for row in rows)) == [
        "jpeg", "webp", INSIDE, f"{INSIDE}, at the size of jpeg",
        "comrec jpeg auto, at the size of jpeg",
        *(f"comrec jpeg {a}" for a in arrangements), "webp, settings of comrec",
        *(f"comrec {inner} {a}" for inner in ("webp", "dct") for a in arrangements),
    ]  # fmt: skip
    table = (out / "comrec.tsv").read_text().splitlines()
    assert table[0].startswith("# cpu: ")
    assert any(line == "# threads: 1" for line in table)
    assert sum(not line.startswith("#") for line in table) == 1 + len(rows)
    assert {(i, a) for i, a, _, size in fake.calls if size is None} == {
        (inner, a) for inner in ("jpeg", "webp", "dct") for a in arrangements
    }
    for heading in (
        "## Asked and measured", "## At the file size of JPEG", "## Inner codec jpeg",
        "## Inner codec webp", "## Inner codec dct", "## dct against jpeg in the middle",
        "## The context model of dct against Huffman coding",
    ):  # fmt: skip
        assert heading in result.output
    assert "| against webp | PSNR | MS-SSIM |" in result.output
    assert "settings that it has inside of ours" in result.output
    assert f"| against {INSIDE} | PSNR | MS-SSIM |" in result.output
    assert "| against webp, settings of comrec | PSNR | MS-SSIM |" in result.output
    assert "threads 1" in result.output


def test_files_at_the_size_of_jpeg_are_never_larger(fake, folder, tmp_path):
    assert run(folder, tmp_path, "--inner", "jpeg").exit_code == 0
    rows = parse_rows((tmp_path / "rows.csv").read_text())
    sizes = {(row.codec, row.image, row.quality): row.bytes for row in rows}
    for name in (INSIDE, "comrec jpeg auto"):
        ours = [row for row in rows if row.codec == f"{name}, at the size of jpeg"]
        assert [(row.image, row.quality) for row in ours] == [
            ("a.png", 5), ("a.png", 10), ("b.PNG", 5), ("b.PNG", 10),
        ]  # fmt: skip
        limits = [sizes["jpeg", row.image, row.quality] for row in ours]
        assert all(0.7 * size < row.bytes <= size for row, size in zip(ours, limits, strict=True))
    asked = [size for *_, size in fake.calls if size is not None][1:]  # behind the warm-up
    assert asked == limits


def test_a_search_that_exceeds_its_target_is_an_error(fake):
    (jpeg,) = select(["jpeg"])
    image = Image.fromarray(photo(1))
    codec = AtSizeOf(jpeg, Through(fake, "jpeg", "auto"))
    assert len(codec.encode(image, 30)) <= len(jpeg.encode(image, 30))
    fake.encode = lambda *_, target_size, **__: bytes(target_size + 1)
    with pytest.raises(NczError, match="for a target of"):
        codec.encode(image, 30)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_what_is_inside_is_that_of_the_codec(name):
    pixels, inside = photo(1), Inside(name)
    data = inside.encode(Image.fromarray(pixels), 12.5)
    assert data == INNERS[name].encode(pixels, 12.5)
    decoded = np.asarray(inside.decode(data))
    assert (decoded == INNERS[name].decode(data, 176, 192)).all()
    within = inside.encode_within(Image.fromarray(pixels), len(data))
    assert 0.99 * len(data) < len(within) <= len(data)


def test_a_second_run_measures_nothing_new(fake, folder, tmp_path):
    first = run(folder, tmp_path, "--inner", "webp", "--arrangement", "rec")
    assert {a for _, a, *_ in fake.calls} == {"rec"}
    calls = len(fake.calls)
    assert run(folder, tmp_path, "--inner", "webp", "--arrangement", "rec").output == first.output
    assert len(fake.calls) == calls
    assert "At the file size of JPEG" not in first.output
    assert "Huffman" not in first.output
    assert not (tmp_path / "comrec_huffman.tsv").exists()


def test_dct_alone_is_held_against_jpeg(fake, folder, tmp_path):
    result = run(folder, tmp_path, "--inner", "dct", "--arrangement", "both")
    assert "| against jpeg | PSNR | MS-SSIM |" in result.output
    assert "dct against jpeg in the middle" not in result.output
    lines = (tmp_path / "comrec_huffman.tsv").read_text().splitlines()
    size = huffman_size(list(fake.planes))
    assert [line.split("\t") for line in lines if not line.startswith("#")] == [
        ["image", "quality", "huffman_bytes", "table_bytes", "dct_bytes"],
        *(
            [image, str(quality), str(size.bytes), str(size.table_bytes), "1000"]
            for image in ("a.png", "b.PNG")
            for quality in QUALITIES
        ),
    ]


def test_errors_are_one_line(fake, folder, tmp_path):
    result = run(tmp_path, tmp_path / "out")
    assert result.exit_code == 1
    assert "holds no images" in result.output
    assert result.output.count("\n") == 1
    result = run(folder, tmp_path / "out", "--model", "cvqn")
    assert (result.exit_code, result.output) == (1, "Error: cvqn has no inner codecs\n")
    assert run(folder, tmp_path / "out", "--inner", "gif").exit_code == 2
    assert not (tmp_path / "out").exists()


# Tables, from rows and curves made by hand.

PLAN = Plan(("jpeg", "dct"), ("both", "rec"))
INSIDE = PLAN.inside("jpeg")


def row(codec, quality, image="a.png", **values):
    return replace(ROW, codec=codec, image=image, quality=quality, **values)


def sized(gain):
    """JPEG on two images at its qualities 5 and 10, and ours better by ``gain`` dB."""
    rows = []
    for quality in (5, 10):
        for image, psnr, size in (("a.png", 20.0, 100), ("b.png", 26.0, 200)):
            scores = {"psnr": psnr, "psnr_luma": psnr + 1, "ssim": 0.5, "ssim_luma": 0.6}
            rows.append(row("jpeg", quality, image, bytes=size, **scores))
            scores = {"psnr": psnr + gain, "psnr_luma": psnr + 1.5, "ssim": 0.5, "ssim_luma": 0.75}
            name = PLAN.at_size(PLAN.ours("jpeg"))
            rows.append(row(name, quality, image, bytes=size - 10, **scores))
            scores = {"psnr": psnr + 1, "psnr_luma": psnr + 2, "ssim": 0.5, "ssim_luma": 0.5}
            rows.append(row(PLAN.at_size(INSIDE), quality, image, bytes=size - 1, **scores))
    rows.append(row("jpeg", 20, psnr=99.0, bytes=9999))  # of the curve, not of this comparison
    return rows


def test_gains_at_equal_size_are_those_of_the_means():
    means = comrec_tables.score_means(PLAN, sized(3.0), 5)
    assert means["bytes"] == (150, 149, 140)
    assert means["psnr"] == (23, 24, 26)
    assert means["psnr_luma"] == (24, 25, 24.5)
    assert means["ssim_luma"] == (0.6, 0.5, 0.75)
    lines = comrec_tables.at_size_table(PLAN, sized(3.0)).splitlines()
    assert lines[0] == "|  | bytes | PSNR | PSNR, luma | SSIM | SSIM, luma |"
    assert lines[2:7] == [
        "| jpeg, quality 5 | 150 | 23.00 | 24.00 | 0.5000 | 0.6000 |",
        "| jpeg, settings of comrec | 149 | 24.00 | 25.00 | 0.5000 | 0.5000 |",
        "| comrec jpeg both | 140 | 26.00 | 24.50 | 0.5000 | 0.7500 |",
        "| gain over jpeg | −10 | +3.00 | +0.50 | +0.0000 | +0.1500 |",
        "| gain beyond the settings | −9 | +2.00 | −0.50 | +0.0000 | +0.2500 |",
    ]
    assert lines[7].startswith("| jpeg, quality 10 |")


RATES, LEVELS = (0.1, 0.2, 0.4), (26.0, 29.0, 32.0)


def curve(name, factor, qualities=LEVELS):
    return Curve(name, tuple(factor * rate for rate in RATES), qualities, None)


def test_what_was_asked_is_judged():
    curves = {
        c.name: c
        for c in (
            curve("jpeg", 1.0),
            curve("comrec jpeg both", 0.92),
            replace(curve("comrec dct both", 0.6), bpp=(0.05, 0.15, 0.36)),
        )
    }
    coded = [HuffmanRow("a.png", 50, 1120, 120, 850), HuffmanRow("a.png", 80, 2120, 120, 1800)]
    found = comrec_tables.asked(PLAN, sized(2.0), curves, coded)
    assert [(a.what, a.asked, a.measured, a.met) for a in found] == [
        ("jpeg: PSNR at the size of JPEG's quality 5", "≥ +2.50", "+2.00", False),
        ("jpeg: PSNR, luma at the size of JPEG's quality 5", "≥ +2.50", "+0.50", False),
        ("jpeg: SSIM at the size of JPEG's quality 5", "≥ +0.080", "+0.000", False),
        ("jpeg: SSIM, luma at the size of JPEG's quality 5", "≥ +0.080", "+0.150", True),
        ("jpeg: PSNR at the size of JPEG's quality 10", "≥ +1.80", "+2.00", True),
        ("jpeg: PSNR, luma at the size of JPEG's quality 10", "≥ +1.80", "+0.50", False),
        ("jpeg: SSIM at the size of JPEG's quality 10", "≥ +0.050", "+0.000", False),
        ("jpeg: SSIM, luma at the size of JPEG's quality 10", "≥ +0.050", "+0.150", True),
        ("jpeg: BD-rate (PSNR) against bare jpeg", "≤ −30.0 %", "−8.0 %", False),
        (
            "dct: bytes at equal PSNR against jpeg in the middle",
            "fewer everywhere",
            "−45.7 to −2.2 %",
            True,
        ),
        (
            "dct: bytes the context model saves of Huffman coding without its tables",
            "≥ 12 %",
            "10.0 to 15.0 %",
            False,
        ),
    ]


def test_dct_that_is_larger_anywhere_has_failed():
    curves = {
        "jpeg": curve("jpeg", 1.0),
        "comrec jpeg both": curve("comrec jpeg both", 0.5),
        "comrec dct both": Curve("comrec dct both", (0.03, 0.08, 0.21), LEVELS, None),
    }
    found = {a.what: a for a in comrec_tables.asked(PLAN, sized(2.0), curves, [])}
    assert found["jpeg: BD-rate (PSNR) against bare jpeg"].met
    judged = found["dct: bytes at equal PSNR against jpeg in the middle"]
    assert (judged.measured, judged.met) == ("−40.0 to +5.0 %", False)
    curves["comrec dct both"] = curve("comrec dct both", 1.0, (60.0, 61.0, 62.0))
    found = {a.what: a for a in comrec_tables.asked(PLAN, sized(2.0), curves, [])}
    judged = found["dct: bytes at equal PSNR against jpeg in the middle"]
    assert "share no quality" in judged.measured
    assert not judged.met


def test_webp_has_its_own_goal():
    plan = Plan(("webp",), ("both",))
    curves = {c.name: c for c in (curve("webp", 1.0), curve("comrec webp both", 0.9))}
    (found,) = comrec_tables.asked(plan, [], curves, [])
    assert (found.asked, found.measured, found.met) == ("≤ −10.0 %", "−10.0 %", True)
    curves["webp"] = curve("webp", 9.0)
    (found,) = comrec_tables.asked(plan, [], curves, [])
    assert "the reference has 0 points within 0.09..0.5 bpp" in found.measured
    assert not found.met


def test_spans_of_the_mean_and_of_each_image():
    rows = [
        row(codec, i, image, bpp=factor * bpp, psnr=psnr)
        for image, factors in (("a.png", (1, 0.8)), ("b.png", (1, 1.1)))
        for codec, factor in zip(("comrec jpeg both", "comrec dct both"), factors, strict=True)
        for i, (bpp, psnr) in enumerate(zip(RATES, LEVELS, strict=True))
    ]
    rows += [row("comrec jpeg both", 1, "c.png"), row("comrec dct both", 1, "c.png")]
    curves = {
        "comrec jpeg both": curve("comrec jpeg both", 1.0),
        "comrec dct both": Curve("comrec dct both", (0.05, 0.14, 0.36), LEVELS, None),
    }
    lines = comrec_tables.middle_table(PLAN, rows, curves).splitlines()[2:]
    assert lines[0] == (
        "| mean of the images | 26.00–32.00 | −50.0 % at 26.00 dB | −10.0 % at 32.00 dB |"
    )
    # Without the point below 0.09 bpp the two have 29 to 32 dB in common.
    assert lines[1] == (
        "| mean of the images, 0.09–0.5 bpp | 29.00–32.00 "
        "| −30.0 % at 29.00 dB | −10.0 % at 32.00 dB |"
    )
    assert lines[2].startswith("| a.png | 26.00–32.00 | −20.0 % at ")
    assert "| +10.0 % at " in lines[3]
    assert "has 1 points" in lines[4]


def test_savings_of_the_context_model():
    coded = [
        HuffmanRow("a.png", 50, 1100, 100, 800),
        HuffmanRow("b.png", 50, 3300, 300, 2700),
        HuffmanRow("a.png", 80, 5000, 0, 5500),
    ]
    saved = comrec_tables.saved(coded)
    assert saved[50] == pytest.approx((100 * (1 - 3500 / 4400), 12.5, 10))
    assert saved[80] == pytest.approx((-10, -10, -10))
    assert comrec_tables.huffman_table(coded).splitlines()[2:] == [
        "| 50 | 2200 | 200 | 1750 | 20.5 % | 12.5 % | 10.0 % |",
        "| 80 | 5000 | 0 | 5500 | −10.0 % | −10.0 % | −10.0 % |",
    ]


def test_bd_rates_of_the_report_leave_out_high_rates():
    plan = Plan(("webp",), ("both", "rec"))
    rates, levels = (0.1, 0.2, 0.4, 1.2), (26.0, 29.0, 32.0, 38.0)
    curves = {
        "webp": Curve("webp", rates, levels, None),
        plan.inside("webp"): Curve(plan.inside("webp"), rates, levels, None),
        "comrec webp both": Curve("comrec webp both", (0.09, 0.18, 0.36, 9.0), levels, None),
        "comrec webp rec": Curve("comrec webp rec", (0.6, 0.7, 0.8, 0.9), levels, None),
    }
    points = mean_points(
        row(curve.name, i, bpp=bpp, psnr=psnr)
        for curve in curves.values()
        for i, (bpp, psnr) in enumerate(zip(curve.bpp, levels, strict=True))
    )
    text = comrec_tables.report(plan, [ROW], points, curves, [], {"cpu": "Abacus 3"})
    assert "Means over 1 images" in text
    assert "Measured on cpu Abacus 3." in text
    assert "| webp: BD-rate (PSNR) against bare webp | ≤ −10.0 % | −10.0 % | yes |" in text
    assert "| comrec webp both | −10.0 % | – |\n| comrec webp rec | – | – |" in text
    assert "comrec webp rec, psnr: the tested curve has 0 points within 0.09..0.5 bpp" in text
    assert text.count("| comrec webp both |") == 2 + 4
    assert "Inner codec jpeg" not in text
