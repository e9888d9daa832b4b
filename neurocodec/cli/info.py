"""``ncz info``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

import neurocodec
from neurocodec.api import Info
from neurocodec.cli import files
from neurocodec.cli.options import debug_option, json_option
from neurocodec.cli.report import State, report


@click.command()
@click.argument("path", metavar="FILE")
@json_option
@debug_option
@click.pass_context
def info(context: click.Context, path: str, as_json: bool) -> None:
    """Show every header field of an .ncz file, and how many bytes each part of it takes."""
    job = files.Job(path, files.STANDARD)
    try:
        found = neurocodec.info(files.read(job))
    except Exception as error:
        report(error, context.ensure_object(State), job.label)
        context.exit(1)
    if as_json:
        click.echo(json.dumps(_fields(found), indent=2))
        return
    for name, value in _lines(found):
        click.echo(f"{name:<16}{value}")


_FIELDS_OF = {
    "cvqn": ("groups", "channel_order", "importance"),
    "comrec": ("arrangement", "inner", "inner_quality"),
    "vae": ("groups",),
}
"""Fields of Info that not every codec has."""


def _fields(info: Info) -> dict[str, Any]:
    """The fields that the codec of the file has, by name."""
    foreign = {name for own in _FIELDS_OF.values() for name in own} - {*_FIELDS_OF[info.codec]}
    return {name: value for name, value in asdict(info).items() if name not in foreign}


def _lines(info: Info) -> Iterator[tuple[str, str]]:
    yield "format version", f"{info.version}"
    yield "codec", f"{info.codec} ({info.codec_id})"
    yield "model", f"{info.model or 'not installed'} ({info.model_id})"
    yield "weights", info.model_digest
    yield "width", f"{info.width}"
    yield "height", f"{info.height}"
    yield "mode", f"{info.mode}, {'with' if info.alpha else 'without'} alpha"
    yield "quality", f"{info.quality:g}"
    if not info.tiles:
        yield "grid offset", f"{info.grid_offset}"
    yield from _LINES_OF[info.codec](info)
    if info.tiles:
        yield "tiles", f"{len(info.tiles)} of up to {info.tile_width}x{info.tile_height} pixels"
        yield "damaged tiles", " ".join(map(str, info.damaged)) or "none"
    else:
        yield "streams", f"{len(info.streams)}, of {', '.join(map(str, info.streams))} bytes"
    yield "file", f"{info.bytes} bytes, {info.bpp:.4f} bpp"
    for section, size in info.sections.items():
        yield f"  {section}", f"{size:>9}"


def _lines_of_cvqn(info: Info) -> Iterator[tuple[str, str]]:
    yield from _groups(info)
    order, importance = info.channel_order, info.importance
    if info.tiles:
        return  # each has its own
    yield "channel order", "the model's" if order is None else " ".join(map(str, order))
    if importance is None:
        yield "importance", "uniform"
    else:
        counts = ", ".join(f"{level}: {n}" for level, n in enumerate(importance.positions))
        yield "importance", f"{importance.rows}x{importance.cols}, positions at level {counts}"


def _lines_of_comrec(info: Info) -> Iterator[tuple[str, str]]:
    yield "arrangement", f"{info.arrangement}"
    yield "inner codec", f"{info.inner}"
    yield "inner quality", f"{info.inner_quality:g}"


def _groups(info: Info) -> Iterator[tuple[str, str]]:
    if info.tiles:  # each has levels of its own
        yield "groups", ", ".join(f"{group.size}" for group in info.groups)
        return
    yield "groups", ", ".join(f"{group.size} of {group.levels} levels" for group in info.groups)


_LINES_OF = {"cvqn": _lines_of_cvqn, "comrec": _lines_of_comrec, "vae": _groups}
