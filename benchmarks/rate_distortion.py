"""Regenerate every published figure of rate and distortion, in one command:

    python -m benchmarks.rate_distortion --data KODAK --out runs/kodak --anchors kodak.json

The folder gets what ``ncz eval`` writes, and besides it per_image.tsv (every measurement, under
lines that name the hardware), costs.tsv (time and memory of each codec on the first image, see
`benchmarks.speed`) and readme.md (the tables of the README; ``--readme README.md`` puts them there,
between the lines ``<!-- scores:begin -->`` and ``<!-- scores:end -->``). An interrupted run
continues where it stopped.

    python -m benchmarks.rate_distortion --anchors kodak.json

without ``--data`` measures nothing and prints the BD-rates of the curves in that file.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks import speed, timings
from neurocodec import zoo
from neurocodec.errors import InvalidArgument, NczError
from neurocodec.evaluation.bench import Evaluation, run
from neurocodec.evaluation.curves import Curve, load_anchors
from neurocodec.evaluation.images import find_images, read_rgb
from neurocodec.evaluation.points import Point
from neurocodec.evaluation.report import bd_entries, points_table, scores_table, table

COST_BPP = 0.5
"""Each codec's time and memory are taken where its curve is nearest to this."""
BEGIN, END = "<!-- scores:begin -->", "<!-- scores:end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        if options.data is None:
            print(anchor_table(options.anchors, options.reference), end="")
        else:
            measure(options)
    except (NczError, RuntimeError) as error:
        print(f"rate_distortion: error: {error}", file=sys.stderr)
        return 1
    return 0


def anchor_table(path: Path, reference: str) -> str:
    """BD-rates of all curves of the file ``path`` against the one called ``reference``."""
    curves = load_anchors(path)
    if reference not in curves:
        raise InvalidArgument(f"{path} has no curve {reference!r}: choose from {', '.join(curves)}")
    return scores_table(bd_entries(list(curves.values()), [curves[reference]]), reference)


def measure(options: argparse.Namespace) -> None:
    result = run(
        options.data,
        options.out,
        models=options.models,
        qualities=options.qualities,
        peers=options.peers,
        anchors=options.anchors,
        device=options.device,
        threads=options.threads,
        jobs=options.jobs,
    )
    facts = {**result.environment, "jobs": str(options.jobs)}
    timings.save_rows(options.out / "per_image.tsv", facts, result.rows)
    photo = find_images(options.data)[0]
    spent = costs(result.points, photo, options)
    timings.save(options.out / "costs.tsv", {**result.environment, "image": photo.name}, spent)
    tables = readme_tables(result, options.models, options.reference, photo.name, spent)
    (options.out / "readme.md").write_text(tables, encoding="utf-8")
    if options.readme:
        insert(options.readme, tables)


def costs(
    points: Sequence[Point], photo: Path, options: argparse.Namespace
) -> list[dict[str, str]]:
    """Time and memory of every codec on one photograph, a row each."""
    rows = []
    height, width = read_rgb(photo).shape[:2]
    for codec, own in groupby(points, key=lambda point: point.codec):
        point = min(own, key=lambda point: abs(point.bpp - COST_BPP))
        arguments = ["--codec", codec, "--quality", f"{point.quality:g}", "--image", str(photo)]
        arguments += ["--device", options.device]
        arguments += ["--threads", str(options.threads)] if options.threads else []
        with tempfile.TemporaryDirectory() as folder:
            found = speed.warm(speed.parse(arguments), Path(folder))
        rows.append(
            {
                "codec": codec,
                "quality": f"{point.quality:g}",
                "bytes": str(found["bytes"]),
                "bpp": f"{8 * found['bytes'] / (height * width):.3f}",
                "PSNR": f"{found['psnr']:.2f}",
                "encode s": f"{found['encode_s']:.3f}",
                "decode s": f"{found['decode_s']:.3f}",
                "encode MB": f"{found['encode_peak_mb']:.0f}",
                "decode MB": f"{found['decode_peak_mb']:.0f}",
            }
        )
    return rows


def readme_tables(
    result: Evaluation,
    models: Sequence[str],
    reference: str,
    photo: str,
    spent: Sequence[dict[str, str]],
) -> str:
    """BD-rates of everything against ``reference`` (JPEG where it is not there), our points, and
    what each codec spends on a photograph."""
    # Curves measured in this run and before: this run's stand.
    before = {f"{curve.name} (anchor)" for curve in result.curves}
    published = [curve for name, curve in result.anchors.items() if name not in before]
    everything = [*result.curves, *published]
    if reference not in {curve.name for curve in everything}:
        reference = "jpeg"
    chosen = [curve for curve in everything if curve.name == reference]
    own = [point for point in result.points if point.codec in models]
    machine = result.environment
    return "\n".join(
        [
            "BD-rate (negative: fewer bytes for the same quality) of the codecs of this run:",
            "",
            scores_table(bd_entries(result.curves, chosen), reference),
            *_published(published, chosen, reference),
            f"Means over {len({row.image for row in result.rows})} images; times on "
            f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}:",
            "",
            points_table(own),
            f"Time (medians of 5) and peak memory of a process on {photo}, each codec at its "
            f"quality nearest to {COST_BPP:g} bpp:",
            "",
            table(list(spent[0]), [list(row.values()) for row in spent]),
        ]
    )


def _published(published: Sequence[Curve], chosen: Sequence[Curve], reference: str) -> list[str]:
    """The same of published curves, as far as they can be compared."""
    entries = bd_entries(published, chosen)
    comparable = {entry.codec for entry in entries if entry.result is not None}
    entries = [entry for entry in entries if entry.codec in comparable]
    return ["Published curves:", "", scores_table(entries, reference)] if entries else []


def insert(readme: Path, tables: str) -> None:
    """Put ``tables`` between the two marker lines of ``readme``."""
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InvalidArgument(f"{readme} needs one line {BEGIN} and, below it, one line {END}")
    before, rest = text.split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{tables}{END}{rest.split(END)[1]}", encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of images")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of results")
    parser.add_argument("--anchors", type=Path, metavar="JSON", help="published curves")
    parser.add_argument("--reference", default="bpg-444", metavar="CURVE")
    parser.add_argument("--models", nargs="*", default=[zoo.DEFAULT], metavar="NAME")
    parser.add_argument("--qualities", nargs="+", type=float, metavar="Q", help="of the models")
    parser.add_argument("--peers", nargs="*", metavar="NAME", help="default: all installed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--jobs", type=int, default=1, help="measurements at once")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the tables in here")
    options = parser.parse_args(arguments)
    if options.data is None and options.anchors is None:
        parser.error("give --data and --out to measure, or --anchors alone to judge its curves")
    if (options.data is None) != (options.out is None):
        parser.error("--data and --out belong together")
    return options


if __name__ == "__main__":
    sys.exit(main())
