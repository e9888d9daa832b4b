"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import click

from neurocodec.cli.report import State
from neurocodec.threads import MOST


def _remember_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(State).debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)

device_option = click.option(
    "--device", default="cpu", show_default=True, metavar="D", help="Torch device, as cpu or cuda."
)

threads_option = click.option(
    "--threads", type=click.IntRange(1, MOST), metavar="N", help="Threads of torch."
)

clobber_option = click.option(
    "--no-clobber/--force",
    default=False,
    help="Refuse to replace an existing output, or do so, which is the default.",
)

resume_option = click.option(
    "--resume", is_flag=True, help="Skip inputs whose output is there and newer."
)

output_option = click.option(
    "-o", "--output", metavar="DIR", help="Folder for the outputs, instead of OUT; made if needed."
)

jobs_option = click.option(
    "--jobs", "processes", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Processes that share the files, and the threads unless --threads is given.",
)  # fmt: skip

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def comma_list(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """``a,b`` as a tuple; the word none, or nothing, as an empty one."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    return () if names == ("none",) else names


def number_list(
    context: click.Context, parameter: click.Parameter, value: Any
) -> tuple[float, ...] | None:
    """``10,20.5`` as a tuple of numbers."""
    names = comma_list(context, parameter, value)
    if names is None:
        return None
    try:
        return tuple(map(float, names))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no list of numbers: write 10,20,30") from error
