"""What a sweep says: BD-rates of every pair, tables as CSV, and a page to read."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean

from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.bdrate import RATE_RANGE, BdRate, bd_rate
from neurocodec.evaluation.curves import METRICS, Curve, Metric
from neurocodec.evaluation.points import Point
from neurocodec.evaluation.rows import Row

TITLES: dict[Metric, str] = {"psnr": "PSNR", "ms_ssim": "MS-SSIM"}


@dataclass(frozen=True)
class BdEntry:
    """BD-rate of one codec against one reference, or why there is none."""

    metric: Metric
    codec: str
    reference: str
    result: BdRate | None
    note: str = ""


def bd_entries(
    curves: Sequence[Curve],
    references: Sequence[Curve],
    *,
    rate_range: tuple[float, float] = RATE_RANGE,
) -> list[BdEntry]:
    """Every curve against every other of ``references``, in each metric that both have.

    ``rate_range``: bits per pixel of the points that count, as for :func:`bd_rate`.
    """
    entries = []
    for metric in METRICS:
        for curve in curves:
            for reference in references:
                mine, theirs = curve.quality(metric), reference.quality(metric)
                if curve.name == reference.name or mine is None or theirs is None:
                    continue
                try:
                    result = bd_rate(
                        (reference.bpp, theirs), (curve.bpp, mine), rate_range=rate_range
                    )
                    entries.append(BdEntry(metric, curve.name, reference.name, result))
                except InvalidArgument as error:
                    entries.append(BdEntry(metric, curve.name, reference.name, None, str(error)))
    return entries


def points_csv(points: Sequence[Point]) -> str:
    """The points as CSV, one line each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Point)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: _rounded(value) for name, value in asdict(point).items()} for point in points
    )
    return text.getvalue()


def bd_csv(entries: Sequence[BdEntry]) -> str:
    """The BD-rates as CSV: value, the range of quality it spans, the points behind it, notes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    value_names = [f.name for f in fields(BdRate)]
    writer.writerow(["metric", "codec", "reference", *value_names, "note"])
    for entry in entries:
        values = asdict(entry.result) if entry.result else dict.fromkeys(value_names, "")
        cells = [_rounded(values[name]) for name in value_names]
        writer.writerow([entry.metric, entry.codec, entry.reference, *cells, entry.note])
    return text.getvalue()


def bd_table(entries: Sequence[BdEntry], metric: Metric) -> str:
    """Markdown: a line for each reference, a column for each codec."""
    cells = {(e.reference, e.codec): e for e in entries if e.metric == metric}
    codecs = list(dict.fromkeys(codec for _, codec in cells))
    named = dict.fromkeys(reference for reference, _ in cells)
    references = [codec for codec in codecs if codec in named]
    references += [reference for reference in named if reference not in codecs]
    if not cells:
        return "No curve to compare with.\n"
    lines = [
        [f"`{reference}`", *(_bd_cell(cells.get((reference, codec))) for codec in codecs)]
        for reference in references
    ]
    return table(["against", *codecs], lines)


def scores_table(entries: Sequence[BdEntry], reference: str) -> str:
    """Markdown: a line for each codec, its BD-rate against one reference in each metric."""
    cells = {(e.codec, e.metric): e for e in entries if e.reference == reference}
    codecs = dict.fromkeys(codec for codec, _ in cells)
    lines = [[codec, *(_bd_cell(cells.get((codec, m))) for m in METRICS)] for codec in codecs]
    return table([f"against {reference}", *TITLES.values()], lines)


def points_table(points: Sequence[Point]) -> str:
    """Markdown: a line for each codec and quality."""
    return table(
        ["codec", "quality", "bytes", "bpp", "PSNR", "MS-SSIM", "encode s", "decode s"],
        [
            [
                p.codec,
                f"{p.quality:g}",
                f"{p.bytes:.0f}",
                f"{p.bpp:.4f}",
                f"{p.psnr:.2f}",
                f"{p.ms_ssim:.4f}",
                f"{p.encode_s:.3f}",
                f"{p.decode_s:.3f}",
            ]
            for p in points
        ],
    )


def rates_table(rows: Sequence[Row]) -> str:
    """Markdown: estimate, coder's output and file side by side, means over images."""
    groups: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    for row in rows:
        bits = row.estimated_bits, row.coded_bits, row.file_bits
        if bits[0] is not None and bits[1] is not None and bits[2] is not None:
            groups.setdefault((row.codec, row.quality), []).append((bits[0], bits[1], bits[2]))
    if not groups:
        return ""
    lines = []
    for (codec, quality), bits_of in groups.items():
        estimated, coded, file = (fmean(column) for column in zip(*bits_of, strict=True))
        over = f"{100 * (coded / estimated - 1):+.2f} %" if estimated else "–"
        lines.append(
            [
                codec,
                f"{quality:g}",
                f"{estimated:.0f}",
                f"{coded:.0f}",
                f"{file:.0f}",
                over,
                f"{(file - coded) / 8:.1f}",
            ]
        )
    return table(
        ["codec", "quality", "estimated bits", "coded bits", "file bits", "coder", "other bytes"],
        lines,
    )


def summary(
    rows: Sequence[Row],
    points: Sequence[Point],
    entries: Sequence[BdEntry],
    *,
    absent: Mapping[str, str],
    environment: Mapping[str, str],
    jobs: int = 1,
) -> str:
    """The whole page as Markdown."""
    images = len({row.image for row in rows})
    small = len({row.image for row in rows if math.isnan(row.ms_ssim)})
    low, high = RATE_RANGE
    notes = [
        f"{images} images. Rate is the length of whole files; every value is a mean over images.",
        f"BD-rate: PCHIP of log-rate over quality, points within {low:g}–{high:g} bpp, on the "
        "overlap; negative means fewer bytes than the reference.",
        "Run on: " + ", ".join(f"{name} {value}" for name, value in environment.items()) + ".",
    ]
    if {entry.reference for entry in entries} - {row.codec for row in rows}:
        notes.append(
            "Published curves are means over the images of their authors: a BD-rate against one "
            "says something only where these are the same images."
        )
    if jobs > 1:
        notes.append(f"{jobs} measurements ran at once: the times say little.")
    if small:
        notes.append(f"{small} images are too small for MS-SSIM and are left out of its means.")
    notes += [f"Not measured: {name} ({reason})." for name, reason in absent.items()]
    versions = {row.codec: row.version for row in rows if row.version}
    notes += [f"{codec}: {version}." for codec, version in versions.items()]
    parts = ["# Rate and distortion", "\n".join(f"- {note}" for note in notes)]
    for metric in METRICS:
        parts += [f"## BD-rate, {TITLES[metric]}", bd_table(entries, metric)]
    parts += ["## Points", points_table(points)]
    if rates := rates_table(rows):
        parts += ["## Estimate, coder and file", rates]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first column is text, the others are numbers."""
    marks = [":--", *["--:"] * (len(header) - 1)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, marks, *lines))


def _bd_cell(entry: BdEntry | None) -> str:
    if entry is None or entry.result is None:
        return "–"
    return f"{entry.result.percent:+.1f} %".replace("-", "−")


def _rounded(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
