"""The tables of the model cards say what `benchmarks/results/kodak.tsv` does."""

import csv
import io
from pathlib import Path

import pytest

from neurocodec import zoo
from neurocodec.evaluation.curves import Curve
from neurocodec.evaluation.points import Point, curves_of, mean_points
from neurocodec.evaluation.report import bd_entries
from neurocodec.evaluation.rows import parse_rows

ROOT = Path(__file__).parents[1]
MODELS = ("vae", "vae-msssim", "cvqn", "cvqn-mse")
HALF = 0.5 + 1e-6  # of the last digit


@pytest.fixture(scope="module")
def points() -> list[Point]:
    lines = (ROOT / "benchmarks" / "results" / "kodak.tsv").read_text().splitlines()
    rows = csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t")
    csv.writer(text := io.StringIO(), lineterminator="\n").writerows(rows)
    return mean_points(parse_rows(text.getvalue()))


@pytest.fixture(scope="module")
def bd_rates(points) -> dict[tuple[str, str, str], float]:
    """By metric, codec and reference."""
    curves: list[Curve] = curves_of(points)
    return {
        (entry.metric, entry.codec, entry.reference): entry.result.percent
        for entry in bd_entries(curves, curves)
        if entry.result is not None
    }


def tables(name: str) -> list[list[list[str]]]:
    """Of the card of a model: the cells of its tables, the line under the head left out."""
    found: list[list[list[str]]] = [[]]
    for line in (ROOT / "models" / name / "CARD.md").read_text().splitlines():
        if not line.startswith("|"):
            found.append([])
        elif not set(line) <= set("|-: "):
            found[-1].append([cell.strip(" *") for cell in line.strip("|").split("|")])
    return [table for table in found if table]


def percent(cell: str) -> float:
    return float(cell.removesuffix("%").replace("−", "-"))


@pytest.mark.parametrize(
    ("card", "first", "name"),
    [("vae", 1, "vae"), ("vae", 4, "vae-msssim"), ("cvqn", 1, "cvqn"), ("cvqn-mse", 1, "cvqn-mse")],
)
def test_rates_and_qualities(points, card, first, name):
    (table,) = (
        table for table in tables(card) if table[0][0] == "quality" and table[0][-1] == "MS-SSIM"
    )
    measured = {point.quality: point for point in points if point.codec == name}
    assert len(table) - 1 == len(measured) == 10
    for quality, *cells in table[1:]:
        bpp, psnr, ms_ssim = map(float, cells[first - 1 : first + 2])
        point = measured[float(quality)]
        assert bpp == pytest.approx(point.bpp, abs=1e-3 * HALF)
        assert psnr == pytest.approx(point.psnr, abs=1e-2 * HALF)
        assert ms_ssim == pytest.approx(point.ms_ssim, abs=1e-4 * HALF)


@pytest.mark.parametrize(
    ("card", "columns"), [("vae", ("vae", "vae-msssim")), ("cvqn-mse", ("cvqn-mse",))]
)
def test_bd_rates(bd_rates, card, columns):
    compared = 0
    for table in tables(card):
        if "against" not in table[0][0]:
            continue
        for reference, *cells in table[1:]:
            wanted = [(metric, name) for name in columns for metric in ("psnr", "ms_ssim")]
            for (metric, name), cell in zip(wanted, cells, strict=True):
                if (metric, name, reference) in bd_rates:  # published curves are not here
                    found = bd_rates[metric, name, reference]
                    assert percent(cell) == pytest.approx(found, abs=0.1 * HALF), reference
                    compared += 1
    assert compared >= 6 * 2 * len(columns)


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_the_models(bd_rates, points, name):
    scores = zoo.by_name(name).scores
    for metric in ("psnr", "ms_ssim"):
        for reference, score in scores[f"kodak_bd_rate_{metric}_percent"].items():
            if (metric, name, reference) in bd_rates:
                found = bd_rates[metric, name, reference]
                assert score == pytest.approx(found, abs=0.1 * HALF)
    rates = [point.bpp for point in points if point.codec == name]
    assert scores["kodak_bpp"] == pytest.approx([min(rates), max(rates)], abs=1e-3 * HALF)
