"""Errors as one line on standard error."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass

import click

from neurocodec.errors import NczError


@dataclass
class State:
    """What holds for one run of ``ncz``."""

    debug: bool = False


INCOMPLETE = 3
"""Exit code where outputs were written, but some without all that they should hold."""


_REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "write elsewhere",
    errno.ENOSPC: "make room or write elsewhere",
    errno.EDQUOT: "make room or write elsewhere",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
"""What helps against errors of the system, whose own words end with the cause."""


class Incomplete(Exception):  # noqa: N818 - no error: what could be done was done
    """The output was written, but not all of it could be decoded; the message says what not."""


@dataclass(frozen=True)
class Failure:
    """An error in words, which travel between processes where the error itself may not.

    incomplete: there is an output nevertheless.
    """

    line: str
    trace: str = ""
    incomplete: bool = False

    @staticmethod
    def of(error: BaseException, source: str | None = None) -> Failure:
        """``source`` is the input at hand."""
        cause = _cause(error)
        named = source is None or cause.startswith((f"{source}:", f"{source} "))
        return Failure(
            cause if named else f"{source}: {cause}",
            "".join(traceback.format_exception(error)),
            isinstance(error, Incomplete),
        )


def report(error: BaseException, state: State, source: str | None = None) -> None:
    """Print the error, and with --debug its traceback. ``source`` is the input at hand."""
    show(Failure.of(error, source), state)


def show(failure: Failure, state: State) -> None:
    """Print the line, and with --debug the traceback."""
    if state.debug:
        click.echo(failure.trace, err=True, nl=False)
    write_line(failure.line, "warning" if failure.incomplete else "error")


def write_line(cause: str, kind: str = "error") -> None:
    """One line, whatever line breaks the cause has."""
    click.echo(f"ncz: {kind}: {' '.join(cause.split())}", err=True)


def _cause(error: BaseException) -> str:
    if isinstance(error, NczError | Incomplete):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        cause = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        remedy = _REMEDIES.get(error.errno or 0)
        return f"{cause}; {remedy}" if remedy else cause
    if isinstance(error, MemoryError):
        return "out of memory: use a smaller image or a machine with more"
    return (
        f"{type(error).__name__}: {error}; this is a defect of neurocodec: "
        "run again with --debug and report it"
    )
