"""Files of one photograph, in any format, against their original."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neurocodec.container import MAGIC
from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.images import to_rgb
from neurocodec.evaluation.page import Box, Panel, draw_page
from neurocodec.image import on_white, open_photo, save, to_pil
from neurocodec.metrics import MS_SSIM_MIN_SIDE, Pixels, ms_ssim, psnr


@dataclass(frozen=True)
class ComparisonRow:
    """One file against the original."""

    file: str
    bytes: int
    bpp: float
    psnr: float
    """dB over RGB; inf where lossless."""
    ms_ssim: float
    """nan where the image is too small for it."""


def compare(
    original: str | Path,
    files: Sequence[str | Path],
    page: str | Path | None = None,
    *,
    crops: Sequence[Box] | None = None,
    device: str = "cpu",
) -> list[ComparisonRow]:
    """Measure each of ``files``: .ncz, or any format that ``image.open_photo`` reads. Transparent
    pictures are shown, and measured, on white.

    With ``page``, also write a PNG of the same crops of the original and of every file side by
    side. ``crops`` are (x, y, width, height); by default two of 192 pixels, one from the middle,
    one where the files differ most from the original.

    Raises :class:`InvalidArgument` where a file has another size than the original or a crop lies
    outside it, or ``page`` is one of the files itself; what cannot be read raises as it does in
    decode and in open_photo.
    """
    if not files:
        raise InvalidArgument("no files to compare: name at least one")
    for path in (original, *files):
        if page is not None and os.path.exists(page) and os.path.samefile(page, path):
            raise InvalidArgument(f"{page} is the input {path} itself: give the page another name")
    truth = _read(Path(original), device)
    rows, panels = [], [Panel(Path(original).name, "original", truth)]
    for path in map(Path, files):
        copy = _read(path, device)
        if copy.shape != truth.shape:
            raise InvalidArgument(
                f"{path} is {copy.shape[1]}x{copy.shape[0]} but {original} is "
                f"{truth.shape[1]}x{truth.shape[0]}: compare files of the same photograph"
            )
        row = _row(path, truth, copy)
        rows.append(row)
        if page is not None:
            panels.append(Panel(path.name, _caption(row), copy))
    if page is not None:
        save(draw_page(panels, crops), Path(page), "PNG")
    return rows


def _row(path: Path, truth: Pixels, copy: Pixels) -> ComparisonRow:
    height, width = truth.shape[:2]
    size = path.stat().st_size
    small = min(height, width) < MS_SSIM_MIN_SIDE
    return ComparisonRow(
        file=str(path),
        bytes=size,
        bpp=8 * size / (width * height),
        psnr=psnr(truth, copy),
        ms_ssim=float("nan") if small else ms_ssim(truth, copy),
    )


def _caption(row: ComparisonRow) -> str:
    similarity = "" if math.isnan(row.ms_ssim) else f", MS-SSIM {row.ms_ssim:.4f}"
    return f"{row.bytes:,} bytes, {row.bpp:.3f} bpp\nPSNR {row.psnr:.2f} dB{similarity}"


def _read(path: Path, device: str) -> Pixels:
    """What is seen of a file, on white where it is transparent."""
    with open(path, "rb") as file:
        ours = file.read(len(MAGIC)) == MAGIC or path.suffix.lower() == ".ncz"
    if not ours:
        return to_rgb(on_white(to_pil(open_photo(path))))
    import neurocodec

    return to_rgb(on_white(neurocodec.decode(path.read_bytes(), device=device)))
