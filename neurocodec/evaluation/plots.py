"""Rate-distortion plots, drawn straight onto Agg: pyplot and its global state are not involved."""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from neurocodec.evaluation.curves import Curve, Metric
from neurocodec.extras import require
from neurocodec.image import write_atomically

_LABELS: dict[Metric, str] = {
    "psnr": "PSNR over RGB (dB)",
    "ms_ssim": "MS-SSIM over RGB, −10·log₁₀(1 − x) (dB)",
}
_MARKERS = "osD^vP*X"
_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2))
_MAX_BPP = 1.6


def plot(
    path: Path,
    metric: Metric,
    measured: Sequence[Curve],
    published: Sequence[Curve] = (),
    *,
    emphasis: Sequence[str] = (),
    title: str = "",
    max_bpp: float = _MAX_BPP,
) -> None:
    """Write a PNG of quality over rate, up to ``max_bpp``.

    Curves measured here are solid with markers, those in ``emphasis`` thick; published ones are
    thin and dashed. A curve without this metric is left out, and so is one that was trained for
    the other metric where its twin is there (names that end in -mse and -msssim).
    """
    require("matplotlib")
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bold, muted = colormaps["tab10"], colormaps["Dark2"]
    for i, curve in enumerate(_of_metric(measured, metric)):
        axes.plot(
            *_visible(curve, metric, max_bpp),
            color=bold(i % 10),
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=5,
            linewidth=3 if curve.name in emphasis else 1.6,
            zorder=4 if curve.name in emphasis else 3,
            label=_plain(curve.name).replace("$", r"\$"),
        )
    for i, curve in enumerate(_of_metric(published, metric)):
        x, y = _visible(curve, metric, max_bpp)
        axes.plot(
            x,
            y,
            color=muted(i % 8),
            linewidth=1,
            dashes=_DASHES[i % len(_DASHES)],
            marker="x" if len(x) == 1 else None,
            zorder=2,
            label=_plain(curve.name).replace("$", r"\$"),
        )
    axes.set(xlabel="bits per pixel, whole files", ylabel=_LABELS[metric])
    axes.set_title(_plain(title), parse_math=False)
    axes.set_xlim(0, max_bpp)
    drawn = [
        _visible(c, metric, max_bpp)
        for group in (measured, published)
        for c in _of_metric(group, metric)
    ]
    shown = [y for xs, ys in drawn for x, y in zip(xs, ys, strict=True) if x <= max_bpp]
    if shown:
        axes.set_ylim(min(shown) - 0.5, max(shown) + 0.5)
    axes.grid(True, color="0.9")
    axes.set_axisbelow(True)
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    stream = BytesIO()
    figure.savefig(stream, format="png")
    write_atomically(path, stream.getvalue())


def _plain(text: str) -> str:
    """What matplotlib can draw of a name that is no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _of_metric(curves: Sequence[Curve], metric: Metric) -> list[Curve]:
    own, other = ("-mse", "-msssim") if metric == "psnr" else ("-msssim", "-mse")
    names = {curve.name for curve in curves}
    return [
        curve
        for curve in curves
        if curve.quality(metric) is not None
        and not (curve.name.endswith(other) and curve.name.removesuffix(other) + own in names)
    ]


def _visible(curve: Curve, metric: Metric, max_bpp: float) -> tuple[list[float], list[float]]:
    """Finite points up to the end of the axis, and one beyond so that the line runs on to it."""
    points = [
        (x, y)
        for x, y in zip(curve.bpp, curve.quality(metric) or (), strict=True)
        if math.isfinite(y)
    ]
    inside = sum(x <= max_bpp for x, _ in points)
    kept = points[: inside + 1]
    return [x for x, _ in kept], [y for _, y in kept]
