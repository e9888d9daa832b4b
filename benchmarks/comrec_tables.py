"""The tables of benchmarks.comrec, from its rows: what was asked, gains, BD-rates, coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.comrec_plan import INSIDE, JPEG_SIZES, Plan
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.bdrate import RateSpan, bd_rate, rate_span
from neurocodec.evaluation.curves import Curve
from neurocodec.evaluation.points import Point, curves_of, mean_points
from neurocodec.evaluation.report import bd_entries, points_table, scores_table, table
from neurocodec.evaluation.rows import Row

RATES = (0.09, 0.5)
"""Bits per pixel over which BD-rates are taken."""
EVERYTHING = (0.0, float("inf"))
SCORES = {"psnr": "PSNR", "psnr_luma": "PSNR, luma", "ssim": "SSIM", "ssim_luma": "SSIM, luma"}

INSIDE_NOTE = (
    "`{}` is that codec alone with the settings that it has inside of ours ({}): what goes beyond "
    "it is owed to the networks."
)
SETTINGS = {"jpeg": "quantization tables and a dead zone", "webp": "no spatial noise shaping"}


@dataclass(frozen=True)
class HuffmanRow:
    """The coefficients of one file, in JPEG's coding and in that of `dct`."""

    image: str
    quality: float
    huffman_bytes: int
    """With the tables."""
    table_bytes: int
    dct_bytes: int
    """The coded streams."""


@dataclass(frozen=True)
class Asked:
    """One thing asked for, and what came out."""

    what: str
    asked: str
    measured: str
    met: bool


def report(
    plan: Plan,
    rows: Sequence[Row],
    points: Sequence[Point],
    curves: dict[str, Curve],
    coded: Sequence[HuffmanRow],
    facts: dict[str, str],
) -> str:
    """All tables as Markdown."""
    images = len({row.image for row in rows})
    low, high = RATES
    parts = [
        "# ComRec",
        f"Means over {images} images, rate the bytes of whole files. BD-rates over the points "
        f"within {low:g}–{high:g} bpp; negative means fewer bytes. Measured on "
        + ", ".join(f"{name} {value}" for name, value in facts.items())
        + ".",
        "## Asked and measured",
        table(
            ["", "asked", "measured", "met"],
            [
                [a.what, a.asked, a.measured, "yes" if a.met else "no"]
                for a in asked(plan, rows, curves, coded)
            ],
        ),
    ]
    if "jpeg" in plan.inners:
        parts += ["## At the file size of JPEG", at_size_table(plan, rows)]
    for inner in plan.inners:
        bare, shown = plan.bare(inner), beside(plan, inner, curves)
        entries = bd_entries(shown, [curves[bare]], rate_range=RATES)
        names = [curve.name for curve in shown]
        parts += [f"## Inner codec {inner}", scores_table(entries, bare)]
        if inner in INSIDE:
            inside = plan.inside(inner)
            beyond = bd_entries(shown[2:], [curves[inside]], rate_range=RATES)
            note = INSIDE_NOTE.format(inside, SETTINGS[inner])
            parts += [note, scores_table(beyond, inside)]
        parts += [f"{e.codec}, {e.metric}: {e.note}." for e in entries if e.note]
        parts.append(points_table([point for point in points if point.codec in names]))
    if {"dct", "jpeg"} <= {*plan.inners}:
        parts += ["## dct against jpeg in the middle", middle_table(plan, rows, curves)]
    if coded:
        parts += ["## The context model of dct against Huffman coding", huffman_table(coded)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def asked(
    plan: Plan, rows: Sequence[Row], curves: dict[str, Curve], coded: Sequence[HuffmanRow]
) -> list[Asked]:
    """What the first arrangement had to reach, as far as the plan measured it."""
    found = []
    if "jpeg" in plan.inners:
        for quality, least in zip(JPEG_SIZES, ((2.5, 0.08), (1.8, 0.05)), strict=True):
            means = score_means(plan, rows, quality)
            for score, title in SCORES.items():
                gain = means[score][2] - means[score][0]
                goal, digits = (least[0], 2) if score.startswith("psnr") else (least[1], 3)
                what = f"jpeg: {title} at the size of JPEG's quality {quality}"
                shown = _signed(gain, digits)
                found.append(Asked(what, f"≥ {_signed(goal, digits)}", shown, gain >= goal))
    for inner, goal in (("jpeg", -30.0), ("webp", -10.0)):
        if inner in plan.inners:
            pair = curves[plan.bare(inner)], curves[plan.ours(inner)]
            what = f"{inner}: BD-rate (PSNR) against bare {plan.bare(inner)}"
            try:
                percent = bd_rate(*map(_psnr_curve, pair), rate_range=RATES).percent
                shown, met = f"{_signed(percent)} %", percent <= goal
            except InvalidArgument as error:
                shown, met = str(error), False
            found.append(Asked(what, f"≤ {_signed(goal)} %", shown, met))
    if {"dct", "jpeg"} <= {*plan.inners}:
        what = "dct: bytes at equal PSNR against jpeg in the middle"
        try:
            span = _span(curves[plan.ours("jpeg")], curves[plan.ours("dct")], EVERYTHING)
            shown = f"{_signed(span.lowest)} to {_signed(span.highest)} %"
            met = span.highest < 0
        except InvalidArgument as error:
            shown, met = str(error), False
        found.append(Asked(what, "fewer everywhere", shown, met))
    if coded:
        percents = [line[1] for line in saved(coded).values()]
        shown = f"{_percent(min(percents))[:-2]} to {_percent(max(percents))}"
        what = "dct: bytes the context model saves of Huffman coding without its tables"
        found.append(Asked(what, "≥ 12 %", shown, min(percents) >= 12))
    return found


def score_means(plan: Plan, rows: Sequence[Row], quality: float) -> dict[str, tuple[float, ...]]:
    """Of bytes and each score: means of JPEG at ``quality``, and at its size of JPEG with our
    settings and of ours."""
    groups = [
        [row for row in rows if row.codec == name and row.quality == quality]
        for name in ("jpeg", plan.at_size(plan.inside("jpeg")), plan.at_size(plan.ours("jpeg")))
    ]
    return {
        column: tuple(fmean(getattr(row, column) for row in group) for group in groups)
        for column in ("bytes", *SCORES)
    }


def at_size_table(plan: Plan, rows: Sequence[Row]) -> str:
    """Markdown: JPEG, ours at no more bytes, and the difference, for each score."""
    digits = [0, *(2 if score.startswith("psnr") else 4 for score in SCORES)]
    lines = []
    for quality in JPEG_SIZES:
        jpeg, inside, ours = zip(*score_means(plan, rows, quality).values(), strict=True)
        named = {
            f"jpeg, quality {quality}": jpeg,
            plan.inside("jpeg"): inside,
            plan.ours("jpeg"): ours,
        }
        for name, values in named.items():
            lines.append([name, *map("{:.{}f}".format, values, digits)])
        for name, less in (("gain over jpeg", jpeg), ("gain beyond the settings", inside)):
            gain = [a - b for a, b in zip(ours, less, strict=True)]
            lines.append([name, *map(_signed, gain, digits)])
    return table(["", "bytes", *SCORES.values()], lines)


def middle_table(plan: Plan, rows: Sequence[Row], curves: dict[str, Curve]) -> str:
    """Markdown: least and largest change of bytes at equal PSNR, from jpeg to dct in the middle."""
    jpeg, dct = plan.ours("jpeg"), plan.ours("dct")
    low, high = RATES
    compared = [
        ("mean of the images", curves, EVERYTHING),
        (f"mean of the images, {low:g}–{high:g} bpp", curves, RATES),
    ]
    for image in dict.fromkeys(row.image for row in rows):
        own = curves_of(mean_points(row for row in rows if row.image == image))
        compared.append((image, {curve.name: curve for curve in own}, EVERYTHING))
    lines = []
    for name, found, rates in compared:
        try:
            lines.append([name, *_span_cells(_span(found[jpeg], found[dct], rates))])
        except InvalidArgument as error:
            lines.append([name, str(error), "–", "–"])
    return table(["", "dB in common", "best", "worst"], lines)


def saved(coded: Sequence[HuffmanRow]) -> dict[float, tuple[float, float, float]]:
    """Quality -> percent the context model saves of all images' Huffman bytes: with their tables,
    without them, and without them on the image where it saves least."""
    result = {}
    for quality in dict.fromkeys(row.quality for row in coded):
        own = [row for row in coded if row.quality == quality]
        dct = sum(row.dct_bytes for row in own)
        full = sum(row.huffman_bytes for row in own)
        plain = full - sum(row.table_bytes for row in own)
        least = min(1 - r.dct_bytes / (r.huffman_bytes - r.table_bytes) for r in own)
        result[quality] = 100 * (1 - dct / full), 100 * (1 - dct / plain), 100 * least
    return result


def huffman_table(coded: Sequence[HuffmanRow]) -> str:
    """Markdown: a line for each quality."""
    lines = []
    for quality, percents in saved(coded).items():
        own = [row for row in coded if row.quality == quality]
        means = [
            fmean(getattr(row, column) for row in own)
            for column in ("huffman_bytes", "table_bytes", "dct_bytes")
        ]
        lines.append([f"{quality:g}", *(f"{m:.0f}" for m in means), *map(_percent, percents)])
    head = ["quality", "Huffman bytes", "tables therein", "dct bytes"]
    return table([*head, "saved", "saved, tables left out", "least on an image"], lines)


def beside(plan: Plan, inner: str, curves: dict[str, Curve]) -> list[Curve]:
    """The curves to look at together for one inner codec, the bare one first."""
    names = [plan.bare(inner), *(plan.ours(inner, a) for a in plan.arrangements)]
    if inner in INSIDE:
        names.insert(1, plan.inside(inner))
    elif inner == "dct" and "jpeg" in plan.inners:
        names.insert(1, plan.ours("jpeg"))
    return [curves[name] for name in names]


def _psnr_curve(curve: Curve) -> tuple[Sequence[float], Sequence[float]]:
    return curve.bpp, curve.psnr or ()


def _span(reference: Curve, test: Curve, rates: tuple[float, float]) -> RateSpan:
    return rate_span(_psnr_curve(reference), _psnr_curve(test), rate_range=rates)


def _span_cells(span: RateSpan) -> list[str]:
    return [
        f"{span.low:.2f}–{span.high:.2f}",
        f"{_signed(span.lowest)} % at {span.lowest_at:.2f} dB",
        f"{_signed(span.highest)} % at {span.highest_at:.2f} dB",
    ]


def _percent(value: float) -> str:
    return f"{value:.1f} %".replace("-", "−")


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")
