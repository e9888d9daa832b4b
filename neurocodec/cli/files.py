"""Inputs and outputs of ``encode`` and ``decode``: which file becomes which, and the way there."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unicodedata import normalize

import click

from neurocodec.errors import InvalidArgument

STANDARD = "-"
"""Standard input or output on the command line."""


@dataclass(frozen=True)
class Job:
    """One file to convert. makes_folder: whether the folder of the target may be created."""

    source: str
    target: str
    makes_folder: bool = False

    @property
    def label(self) -> str:
        """What a message calls the source."""
        return "standard input" if self.source == STANDARD else self.source


def plan(
    paths: Sequence[str], suffix: str, wanted: Collection[str], folder: str | None = None
) -> list[Job]:
    """The jobs of a command line IN... OUT, or of IN... where a ``folder`` is given for the output.

    One file goes to a file. A folder, or several files, go to a folder, each under its own name
    with ``suffix``; of a folder, and the folders in it, the files whose extension is ``wanted``.

    Raises UsageError, and InvalidArgument where two inputs would become the same output, or an
    output would replace an input.
    """
    if len(paths) < (2 if folder is None else 1):
        raise click.UsageError(f"Give an input{' and an output' if folder is None else ''}.")
    *sources, target = paths if folder is None else (*paths, folder)
    if "" in (*sources, target):  # a variable that is not set; as a path, the current folder
        raise click.UsageError("An empty name is no file: give all inputs and outputs names.")
    if folder is not None:
        _check_folder(folder)
    elif len(sources) == 1 and not Path(sources[0]).is_dir() and not _is_folder(target):
        jobs = [Job(sources[0], target)]
        _check_inputs_stay(jobs)
        return jobs
    else:
        _check_target(target, sources)
    if STANDARD in sources:
        raise click.UsageError("Standard input has no name: give it an output file of its own.")
    jobs = [job for source in sources for job in _into_folder(source, target, suffix, wanted)]
    _check_targets_differ(jobs)
    _check_inputs_stay(jobs)
    return jobs


def _into_folder(source: str, target: str, suffix: str, wanted: Collection[str]) -> Iterator[Job]:
    """The jobs of one input, a file or a folder. Raises InvalidArgument for a folder of none."""
    path = Path(source)
    if not path.is_dir():
        yield Job(str(path), str(Path(target, path.name).with_suffix(suffix)), makes_folder=True)
        return
    found = _files_in(path, wanted)
    if not found:
        raise InvalidArgument(f"{source} holds no files ending in {', '.join(sorted(wanted))}")
    for name in found:
        output = Path(target, name).with_suffix(suffix)
        yield Job(str(path / name), str(output), makes_folder=True)


def check_way(job: Job) -> None:
    """Find out whether there is a folder for the output, or one to create it in, before any work is
    done for it. Raises OSError, with the name that the caller knows."""
    if job.target == STANDARD:
        return
    folder = Path(job.target).absolute().parent
    if job.makes_folder:
        folder = next(one for one in (folder, *folder.parents) if one.exists())
    if not folder.is_dir():
        code = errno.ENOTDIR if folder.exists() else errno.ENOENT
        raise OSError(code, os.strerror(code), job.target)


def make_way(job: Job) -> None:
    """Create the folder of the output where that may be. Raises OSError."""
    if job.makes_folder:
        Path(job.target).parent.mkdir(parents=True, exist_ok=True)


def mark_incomplete(job: Job) -> None:
    """Give the output the time of the input, so that ``--resume`` does the job again."""
    if STANDARD not in (job.source, job.target) and os.path.isfile(job.target):
        found = os.stat(job.source)
        os.utime(job.target, ns=(found.st_atime_ns, found.st_mtime_ns))


def read(job: Job) -> str | bytes:
    """What the library reads the source from: its path, or the bytes of standard input."""
    if job.source != STANDARD:
        return job.source
    if sys.stdin is None:
        raise InvalidArgument("standard input is closed: give a file")
    return sys.stdin.buffer.read()


@contextmanager
def standard_output(jobs: Sequence[Job]) -> Iterator[IO[bytes] | None]:
    """Standard output for the file alone, if a job writes there, else None.

    Whatever is printed meanwhile, by C libraries and compilers too, goes to standard error.
    """
    if all(job.target != STANDARD for job in jobs):
        yield None
        return
    if sys.stdout is None:
        raise InvalidArgument("standard output is closed: give a file")
    if sys.stdout.isatty():
        raise click.UsageError("An image is no text for a terminal: redirect standard output.")
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield stream
    finally:
        os.dup2(stream.fileno(), 1)
        with suppress(OSError):  # whoever wrote has flushed, and has told what went wrong
            stream.close()


def _check_inputs_stay(jobs: Sequence[Job]) -> None:
    """Refuse to write to what is read, whatever names and links lead there."""
    read = {_identity(job.source): job.source for job in jobs}
    for job in jobs:
        found = _identity(job.target)
        if found is not None and found in read:
            raise InvalidArgument(
                f"{job.target} is the input {read[found]} itself: give the output another name"
            )


def _check_targets_differ(jobs: Sequence[Job]) -> None:
    """Refuse two jobs with one output, also where their names differ in case or in the encoding of
    accents only, and the file system takes them for one."""
    same, count = Counter(job.target for job in jobs).most_common(1)[0]
    if count == 1:
        folded = Counter(normalize("NFC", job.target).casefold() for job in jobs)
        same, count = folded.most_common(1)[0]
        if count > 1 and _tells_case_apart(Path(jobs[0].target)):
            return
    if count > 1:
        raise InvalidArgument(f"{count} of the inputs would become {same}: rename all but one")


def _tells_case_apart(path: Path) -> bool:
    """Whether the file system that a path leads to, as far as it is there, has a and A."""
    from tempfile import NamedTemporaryFile

    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    try:
        with NamedTemporaryFile(dir=folder, prefix=".ncz-a") as probe:
            path = Path(probe.name)
            return not path.with_name(path.name.swapcase()).exists()
    except OSError:
        return True  # nothing can be written there, and whoever tries will say why


def _identity(path: str) -> tuple[int, int] | None:
    """Device and number of a file; None for what is none, or not there."""
    if path == STANDARD or not os.path.isfile(path):
        return None
    found = os.stat(path)
    return found.st_dev, found.st_ino


_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


def _looks_like_a_file(folder: str) -> bool:
    """Whether it is meant as a file: a folder a.ncz with an a.ncz in it would surprise."""
    from neurocodec.image import readable_suffixes

    return Path(folder).suffix.lower() in (".ncz", *readable_suffixes())


def _is_folder(target: str) -> bool:
    """Whether an output is a folder, or meant as one."""
    return target != STANDARD and (Path(target).is_dir() or target.endswith(_SEPARATORS))


def _check_target(target: str, sources: Sequence[str]) -> None:
    """Refuse an output of several files that is no folder, or is not meant as one."""
    if target == STANDARD:
        raise click.UsageError("Several inputs need a folder as output, not standard output.")
    if _is_folder(target):
        return
    if Path(target).exists() or not all(Path(source).is_dir() for source in sources):
        raise click.UsageError(f"{target} is no folder: several inputs need one, end it in '/'.")
    if _looks_like_a_file(target):
        raise click.UsageError(
            f"{target} looks like a file: a folder as input needs one as output, end it in '/'."
        )


def _check_folder(folder: str) -> None:
    """Refuse what is no folder, or is not meant as one."""
    path = Path(folder)
    if path.is_dir():
        return
    named_as_folder = folder.endswith(_SEPARATORS)
    if folder == STANDARD or path.exists() or (_looks_like_a_file(folder) and not named_as_folder):
        raise click.UsageError(
            f"-o takes a folder, not {folder}: give an output file last and without -o."
        )


def _files_in(folder: Path, wanted: Collection[str]) -> list[Path]:
    """Relative paths of the files to convert, in order, hidden ones left out. Among them are those
    of files and folders that cannot be read: whoever tries will say why, and go on with others.

    Raises OSError where the folder itself cannot be read.
    """
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        found.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith(".") or Path(name).suffix.lower() not in wanted:
                continue
            path = Path(parent, name)
            if os.path.isfile(path) or not os.path.exists(path):  # no pipe, no device
                found.append(path)
    return sorted(path.relative_to(folder) for path in found)
