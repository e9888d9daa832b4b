"""Rate-distortion curves, measured here or read from a file of published ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurocodec.errors import InvalidArgument
from neurocodec.metrics import ms_ssim_db

Metric = Literal["psnr", "ms_ssim"]
METRICS: tuple[Metric, ...] = ("psnr", "ms_ssim")


@dataclass(frozen=True)
class Curve:
    """Points of one codec, by rate: bpp, PSNR in dB, MS-SSIM in [0, 1] (None: not known)."""

    name: str
    bpp: tuple[float, ...]
    psnr: tuple[float, ...] | None
    ms_ssim: tuple[float, ...] | None

    def quality(self, metric: Metric) -> tuple[float, ...] | None:
        """The metric on a scale of dB: MS-SSIM as −10·log10(1 − x)."""
        if metric == "psnr":
            return self.psnr
        return None if self.ms_ssim is None else tuple(map(ms_ssim_db, self.ms_ssim))


def load_anchors(path: Path) -> dict[str, Curve]:
    """Curves from a JSON file: sections ``published`` and ``measured``, each name -> record.

    A record has lists ``bpp``, ``psnr`` and ``ms_ssim`` of one length; one of the last two may be
    null. Measured ones get " (anchor)" behind their name, so that they can stand beside the same
    codec measured now. Raises :class:`InvalidArgument` for anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidArgument(
            f"cannot read the anchors {path}: {error}; give a JSON file"
        ) from error
    curves = {}
    for section, suffix in (("published", ""), ("measured", " (anchor)")):
        records = content.get(section, {}) if isinstance(content, dict) else None
        if not isinstance(records, dict):
            raise InvalidArgument(
                f"{path}: expected an object with a section {section!r} of named curves"
            )
        for name, record in records.items():
            curves[name + suffix] = _curve(name + suffix, record, f"{path}, {section}.{name}")
    return curves


def _curve(name: str, record: object, where: str) -> Curve:
    record = record if isinstance(record, Mapping) else {}
    bpp = _numbers(record.get("bpp"), where)
    if bpp is None:
        raise InvalidArgument(f"{where}: no rates; expected a list 'bpp'")
    order = sorted(range(len(bpp)), key=bpp.__getitem__)
    columns: list[tuple[float, ...] | None] = []
    for metric in METRICS:
        values = _numbers(record.get(metric), where)
        if values is not None and len(values) != len(bpp):
            raise InvalidArgument(
                f"{where}: {len(bpp)} rates but {len(values)} values of {metric}; give one a rate"
            )
        columns.append(None if values is None else tuple(values[i] for i in order))
    return Curve(name, tuple(bpp[i] for i in order), *columns)


def _numbers(value: object, where: str) -> Sequence[float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in value
    ):
        raise InvalidArgument(f"{where}: expected a list of numbers, got {str(value)[:40]}")
    return value
