"""One evaluation from a folder of images to tables, BD-rates and plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocodec import zoo
from neurocodec.device import check as check_device
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation import hardware, report
from neurocodec.evaluation.curves import METRICS, Curve, load_anchors
from neurocodec.evaluation.images import find_images
from neurocodec.evaluation.peers import absent, select
from neurocodec.evaluation.plots import plot
from neurocodec.evaluation.points import Point, curves_of, mean_points
from neurocodec.evaluation.rows import Row
from neurocodec.evaluation.sweep import Entrant, sweep
from neurocodec.extras import require
from neurocodec.image import write_atomically
from neurocodec.threads import torch_threads

QUALITIES: tuple[float, ...] = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Qualities of a learned codec, unless others are asked for."""


@dataclass(frozen=True)
class Evaluation:
    """What :func:`run` found; the same is in the files of its folder."""

    rows: list[Row]
    points: list[Point]
    curves: list[Curve]
    anchors: dict[str, Curve]
    bd: list[report.BdEntry]
    absent: dict[str, str]
    environment: dict[str, str]


def run(
    data_dir: str | Path,
    out_dir: str | Path,
    models: Sequence[Any] = (zoo.DEFAULT,),
    qualities: Sequence[float] | None = None,
    peers: Sequence[str] | None = None,
    anchors: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    jobs: int = 1,
) -> Evaluation:
    """Measure ``models`` and ``peers`` on the images of ``data_dir``; write to ``out_dir``:

    rows.csv (one line an image, from which a later run continues), points.csv, bd.csv, psnr.png,
    ms_ssim.png and summary.md. Rows of other weights, libraries or images are measured anew; after
    a change of a codec's code, delete rows.csv.

    ``models``: names of shipped models, or codec objects with a ``name``. ``qualities``: of the
    models (each peer has its own scale). ``peers``: names; None for all that are installed, ()
    for none. ``anchors``: JSON of published curves, see :func:`load_anchors`. ``threads``: of
    torch, for the time of this call. ``jobs``: measurements at once; times mean something with 1.
    """
    check_device(device)
    require("matplotlib")  # for the plots at the end
    out = Path(out_dir)
    images = find_images(Path(data_dir))
    published = load_anchors(Path(anchors)) if anchors else {}
    entrants = [_model(model, qualities, device) for model in models]
    entrants += [Entrant(p.name, p, p.qualities, p.version) for p in select(peers)]
    if not entrants:
        raise InvalidArgument("nothing to measure: name at least one model or peer")
    out.mkdir(parents=True, exist_ok=True)
    with torch_threads(threads):
        rows = sweep(entrants, images, out / "rows.csv", jobs=jobs)
        environment = hardware.describe(device)
    points = mean_points(rows)
    curves = curves_of(points)
    result = Evaluation(
        rows=rows,
        points=points,
        curves=curves,
        anchors=published,
        bd=report.bd_entries(curves, [*curves, *published.values()]),
        absent=absent() if peers is None else {},  # worth a word only where all were wanted
        environment=environment,
    )
    own = [entrant.name for entrant in entrants[: len(models)]]
    _write(
        result, out, emphasis=own, title=f"{Path(data_dir).name}, {len(images)} images", jobs=jobs
    )
    return result


def _write(result: Evaluation, out: Path, *, emphasis: list[str], title: str, jobs: int) -> None:
    text = report.summary(
        result.rows,
        result.points,
        result.bd,
        absent=result.absent,
        environment=result.environment,
        jobs=jobs,
    )
    write_atomically(out / "points.csv", report.points_csv(result.points).encode())
    write_atomically(out / "bd.csv", report.bd_csv(result.bd).encode())
    write_atomically(out / "summary.md", text.encode())
    # Codecs measured anew on other versions of their libraries are in the tables only.
    published = [c for name, c in result.anchors.items() if not name.endswith("(anchor)")]
    for metric in METRICS:
        plot(
            out / f"{metric}.png", metric, result.curves, published, emphasis=emphasis, title=title
        )


def _model(model: Any, qualities: Sequence[float] | None, device: str) -> Entrant:
    """A shipped model by name, or any object that encodes and decodes."""
    version = getattr(model, "version", "")
    if isinstance(model, str):
        name = model
        version = next((info.digest[:16] for info in zoo.models() if info.name == name), "")
        model = zoo.load(name, device)
    if qualities is None:
        qualities = getattr(model, "qualities", QUALITIES)
    return Entrant(model.name, model, tuple(qualities), version)
