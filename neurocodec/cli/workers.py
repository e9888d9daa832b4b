"""Worker processes that share the files of a batch.

Processes and not threads: the coder, Pillow and the Python between the networks hold the
interpreter lock; and a process that crashes, or that the system ends when memory is short, costs
one file and not the batch. Spawned and not forked, because torch's own threads do not survive a
fork.

A worker has a pipe to this process. It says when it is ready, gets one job, says how that went,
gets the next; the end of the pipe is its end too, so that none outlives this process by more than
the job at hand.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from neurocodec.cli.files import Job
from neurocodec.cli.report import Failure

GRACE = 2.0  # seconds in which a worker that is told to end may remove what it was writing


class Work(Protocol):
    """What is done with each file; can be pickled, unless it writes to standard output."""

    def prepare(self) -> None:
        """Load what all jobs need. Raises what would go wrong with every one of them."""

    def __call__(self, job: Job) -> None:
        """Do one job."""


class WorkerError(Exception):
    """Not one worker could start; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.line)
        self.failure = failure


@dataclass
class _Worker:
    """job: at hand; None while it prepares."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None

    def answer(self) -> tuple[Failure | None, bool]:
        """What went wrong with its job or its preparation, and whether it can do another."""
        try:
            return self.pipe.recv(), True
        except (EOFError, OSError):
            self.pipe.close()
        self.process.join(GRACE)
        code = self.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        source = f"{self.job.label}: " if self.job else ""
        return Failure(
            f"{source}the worker process {how}: if memory is short, use fewer --jobs or smaller "
            "images"
        ), False


def results(work: Work, jobs: Sequence[Job], count: int) -> Iterator[Failure | None]:
    """Do the jobs in ``count`` processes; yields what went wrong, if it did, as each job ends.

    Each process has its share of torch's threads, and at least one. A process that ends by itself
    takes only its own job with it. To leave early, by closing or by an exception, ends the
    processes at once; what they were writing is then not there. Raises WorkerError.
    """
    count = min(count, len(jobs))
    waiting = deque(jobs)
    started: list[BaseProcess] = []
    busy: dict[Connection, _Worker] = {}

    def start() -> None:
        worker = _start(work, count)
        started.append(worker.process)
        busy[worker.pipe] = worker

    def give_next(worker: _Worker) -> None:
        if not waiting:
            del busy[worker.pipe]
            worker.pipe.close()
            return
        worker.job = waiting.popleft()
        with contextlib.suppress(OSError):  # it has just died: the pipe will tell
            worker.pipe.send(worker.job)

    try:
        for _ in range(count):
            start()
        while busy:
            ready = wait(list(busy))
            for worker in [worker for pipe, worker in busy.items() if pipe in ready]:
                failure, alive = worker.answer()
                if worker.job is None and failure is not None:
                    del busy[worker.pipe]
                    worker.pipe.close()
                    if waiting and not busy:
                        raise WorkerError(failure)
                    continue  # fewer share the work
                if worker.job is not None:
                    yield failure
                if alive:
                    give_next(worker)
                    continue
                del busy[worker.pipe]
                if waiting:
                    start()
    except BaseException:
        for process in started:
            process.terminate()
        raise
    finally:
        _reap(started)


def _start(work: Work, count: int) -> _Worker:
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs, work, count), daemon=True)
    with _no_interrupts():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _reap(processes: Sequence[BaseProcess]) -> None:
    until = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal. Those started here never see it: this process
    ends them, and a Ctrl-C meanwhile waits."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else started within, and that unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the worker.


def _serve(pipe: Connection, work: Work, count: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    warnings.simplefilter("ignore")  # stderr is for errors, one line each
    # An end of the pipe is the end of the batch, or of the process that runs it.
    with contextlib.suppress(SystemExit, EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_failure(None, _prepare, work, count))
        while True:
            job: Job = pipe.recv()
            pipe.send(_failure(job.label, work, job))
    os._exit(0)  # nothing is left to do, and torch takes a while to say goodbye


def _prepare(work: Work, count: int) -> None:
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    work.prepare()


def _failure(source: str | None, step: Callable[..., None], *arguments: Any) -> Failure | None:
    try:
        step(*arguments)
    except Exception as error:
        return Failure.of(error, source)
    return None


def _leave(*_: object) -> None:
    raise SystemExit
