"""Errors as one line on standard error."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import click

from neurocodec.errors import NczError


@dataclass
class State:
    """What holds for one run of ``ncz``."""

    debug: bool = False


def report(error: BaseException, state: State, source: str | None = None) -> None:
    """Print the error, and with --debug its traceback. ``source`` is the input at hand."""
    if state.debug:
        traceback.print_exception(error)
    cause = _cause(error)
    write_line(cause if source is None or source in cause else f"{source}: {cause}")


def write_line(cause: str) -> None:
    """One line, whatever line breaks the cause has."""
    click.echo(f"ncz: error: {' '.join(cause.split())}", err=True)


def _cause(error: BaseException) -> str:
    if isinstance(error, NczError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "out of memory: use a smaller image or a machine with more"
    return (
        f"{type(error).__name__}: {error}; this is a defect of neurocodec: "
        "run again with --debug and report it"
    )
