"""The ``ncz`` command as a whole: its subcommands and its exit codes."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

import click

import neurocodec
from neurocodec.cli.compare import compare
from neurocodec.cli.decode import decode
from neurocodec.cli.encode import encode
from neurocodec.cli.evaluate import evaluate
from neurocodec.cli.info import info
from neurocodec.cli.models import models
from neurocodec.cli.options import debug_option
from neurocodec.cli.report import State, report, write_line
from neurocodec.cli.train import train

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@click.group(
    no_args_is_help=False,
    commands=[encode, decode, info, models, train, evaluate, compare],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(neurocodec.__version__, prog_name="ncz", message="%(prog)s %(version)s")
@debug_option
def ncz() -> None:
    """Learned image compression: photographs into .ncz files and back."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``ncz``; returns its exit code: 0, 1 for an error, 2 for wrong usage, 3 for a picture
    of which tiles are lost, 130 for Ctrl-C.

    arguments: without the name of the program; None for those of the process.
    """
    _occupy_closed_streams()
    _show_every_sign()
    state = State()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stderr is for errors, one line each
        try:
            return ncz.main(arguments, prog_name="ncz", standalone_mode=False, obj=state) or 0
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "ncz"
            write_line(f"{error.format_message().rstrip('.')}; see {command} --help")
            return error.exit_code
        except click.Abort:  # click's name for KeyboardInterrupt
            return INTERRUPTED
        except Exception as error:
            report(error, state)
            return 1


def _show_every_sign() -> None:
    """What the encoding of standard output or error lacks, such as a minus sign in cp1252 or a file
    name that is no UTF-8, is written by its number: a table is not to end after all the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _occupy_closed_streams() -> None:
    """Of standard input, output and error, those that the caller closed lead nowhere: else a file
    opened next would take their place, and get what libraries print."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)
