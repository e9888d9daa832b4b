"""Doing the jobs of a command line: what is skipped, what fails, and the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing

import click

from neurocodec.cli import workers
from neurocodec.cli.files import STANDARD, Job
from neurocodec.cli.report import INCOMPLETE, Failure, State, show
from neurocodec.cli.workers import Work
from neurocodec.errors import InvalidArgument
from neurocodec.progress import told_to

PATIENCE = 1.0
"""Seconds after which the tiles of a single picture are counted on the terminal."""


def run(jobs: Sequence[Job], work: Work, *, clobber: bool, resume: bool, processes: int) -> None:
    """Do each job. A job that fails is reported, and stops no other; the exit code is then 1,
    or 3 where all outputs were written but some are incomplete.

    clobber: whether to replace outputs. resume: leave out jobs that are done, see `is_done`.
    processes: as many share the jobs, if there are several.
    """
    from tqdm import tqdm

    context = click.get_current_context()
    state = context.ensure_object(State)
    todo = [job for job in jobs if not (resume and is_done(job))]
    code = 0
    hidden = sys.stderr is None or not sys.stderr.isatty()
    alone = len(jobs) == 1  # its tiles are counted, if there are enough to take a while

    def count_tiles(done: int, total: int) -> None:
        bar.total = total
        if done == 0:
            bar.n = bar.last_print_n = 0
        else:
            bar.update()

    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(
                total=len(jobs), initial=len(jobs) - len(todo), unit="tile" if alone else "file",
                file=sys.stderr, disable=hidden, leave=False, delay=PATIENCE if alone else 0,
            )
        )  # fmt: skip
        if alone:
            stack.enter_context(told_to(count_tiles))
        try:
            with closing(_results(todo, work, clobber, processes)) as results:
                for failure in results:
                    if failure is not None:
                        bar.clear()
                        show(failure, state)
                        code = INCOMPLETE if failure.incomplete and code != 1 else 1
                    if not alone:
                        bar.update()
        except workers.WorkerError as error:
            bar.clear()
            show(error.failure, state)
            code = 1
    if code:
        context.exit(code)


def is_done(job: Job) -> bool:
    """Whether the output is there and newer than the input."""
    if STANDARD in (job.source, job.target) or not os.path.isfile(job.target):
        return False
    try:
        return os.stat(job.target).st_mtime_ns > os.stat(job.source).st_mtime_ns
    except OSError:
        return False  # whoever does the job will say why


def _results(
    jobs: Sequence[Job], work: Work, clobber: bool, processes: int
) -> Generator[Failure | None, None, None]:
    allowed = []
    for job in jobs:
        if not clobber and job.target != STANDARD and os.path.lexists(job.target):
            exists = InvalidArgument(f"{job.target} exists: remove it or use --force")
            yield Failure.of(exists, job.label)
        else:
            allowed.append(job)
    if min(processes, len(allowed)) > 1:
        yield from workers.results(work, allowed, processes)
        return
    if len(allowed) > 1:
        work.prepare()
    for job in allowed:
        try:
            work(job)
        except Exception as error:
            yield Failure.of(error, job.label)
        else:
            yield None
