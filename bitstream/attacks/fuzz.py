"""Mutants by the million: each is decoded, or refused with an `NczError`, and nothing else.

    python bitstream/attacks/fuzz.py --seconds 60 --out FOLDER [--engine atheris]

One process works, another watches. What raises anything but an `NczError`, takes longer than
``--hang`` seconds of the processor, or more memory than ``--memory`` MiB beyond what its metadata
announce, or kills the process, is kept in the folder as a file; the exit code is then 1.
``--engine atheris`` lets coverage guide the mutants (needs the package atheris); ``random`` takes
every one from a valid file.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import json
import mmap
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

HEAD = struct.Struct("<QddQ")  # number of files begun; when, by both clocks; bytes of the last
SHARED_BYTES = 1 << 20
ADDRESS_SPACE = 16 << 30
"""A backstop for the machine. What counts is the resident memory, since some libraries reserve much
more than they use."""


class Shared:
    """The file at hand, where the watching process can see it."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SHARED_BYTES)

    @staticmethod
    def create(path: Path) -> Shared:
        path.write_bytes(bytes(SHARED_BYTES))
        return Shared(path)

    def put(self, number: int, data: bytes) -> None:
        """Begins a file; an empty one is a pause."""
        data = data[: SHARED_BYTES - HEAD.size]
        self._map[HEAD.size : HEAD.size + len(data)] = data
        now = time.monotonic(), time.process_time()
        self._map[: HEAD.size] = HEAD.pack(number, *now, len(data))

    def get(self) -> tuple[int, float, float, bytes]:
        """The number of the file; when it began, on the wall and in the worker's own time; its
        bytes."""
        number, wall, own, length = HEAD.unpack(self._map[: HEAD.size])
        return number, wall, own, self._map[HEAD.size : HEAD.size + length]


def own_time(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep(folder: Path, kind: str, data: bytes, cause: str) -> None:
    """An offender, and what it did, for ever."""
    number = len(list(folder.glob("*.ncz")))
    (folder / f"{number:03d}-{kind}.ncz").write_bytes(data)
    (folder / f"{number:03d}-{kind}.txt").write_text(cause)
    print(f"fuzz: {kind}: {cause.strip().splitlines()[-1]}", file=sys.stderr)


# The process that works.


class Depth(Counter[str]):
    """How many files reached what, and how they ended."""

    def __init__(self) -> None:
        from neurocodec import coding
        from neurocodec.codecs import inner, tiles
        from neurocodec.container import packing
        from neurocodec.image import alpha

        super().__init__()
        self._seen: set[str] = set()
        self._watch(packing, "inflate", "inflated something")
        self._watch(coding, "decode_symbols", "reached the entropy decoder")
        self._watch(inner.Inner, "decode", "reached the check of an inner codec's file")
        self._watch(inner, "read_image", "reached an inner codec's library")
        self._watch(inner, "check_size", "reached an inner codec's library")  # HEIC
        self._watch(alpha, "read_image", "reached the PNG of alpha")
        self._watch(tiles, "decode", "reached tiles")
        self._watch(tiles, "_assemble", "put a tile together with its neighbours")

    def _watch(self, owner: object, name: str, what: str) -> None:
        real = getattr(owner, name)

        def watched(*args: object, **kwargs: object) -> object:
            self._seen.add(what)
            return real(*args, **kwargs)

        setattr(owner, name, watched)

    def file(self, outcome: str) -> None:
        """Closes the account of one file."""
        self.update({"files", outcome} | self._seen)
        self._seen.clear()

    def forget(self) -> None:
        self.clear()
        self._seen.clear()


class Worker:
    """Tries files and keeps account. Written down every so often: a worker may not live long."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.shared = Shared(options.out / "current")
        self.number = 0
        import small
        import torch

        torch.set_num_threads(1)
        self.scratch = tempfile.TemporaryDirectory()
        small.install(Path(self.scratch.name))
        self.files = small.files()
        target = importlib.import_module(options.target)
        self.try_one = target.parse_one if options.parse else target.try_one
        self.depth = Depth()
        for name, data in self.files.items():  # what is loaded only once is not the mutants' fault
            if self.try_one(data) not in ("decoded", "parsed"):
                raise SystemExit(f"fuzz: {name} is no valid file")
        self.depth.forget()
        self.allowed = forget_peak() + options.memory
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    def run(self, data: bytes) -> None:
        self.number += 1
        self.shared.put(self.number, data)
        try:
            outcome = self.try_one(data)
        except Exception as error:
            outcome = f"OFFENCE: {type(error).__name__}"
            keep(self.options.out, "error", data, traceback.format_exc())
        self.depth.file(outcome)
        if peak() > self.allowed:
            self._weigh(data)
        if self.number % 500 == 0:
            self.account()

    def account(self) -> None:
        (self.options.out / f"account-{os.getpid()}.json").write_text(json.dumps(self.depth))

    def pause(self) -> None:
        self.shared.put(self.number, b"")
        self.account()

    def _weigh(self, data: bytes) -> None:
        """The most memory ever held has grown: perhaps through this file, which is tried again."""
        before = forget_peak()
        with contextlib.suppress(Exception):
            self.try_one(data)
        grown = peak() - before
        if grown > self.options.memory + 3 * announced(data):
            keep(self.options.out, "memory", data, f"took {grown} MiB")
            self.depth["OFFENCE: memory"] += 1
        self.allowed = forget_peak() + self.options.memory


def peak() -> int:
    """The most memory that this process has held, MiB.

    Linux's own count for it; that of getrusage begins with the peak of the process it came from.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def forget_peak() -> int:
    """Returns what is held now, MiB, from which on `peak` counts."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux
    return peak()


def announced(data: bytes) -> int:
    """MiB of the metadata that a file announces, and the format allows."""
    from neurocodec import container
    from neurocodec.errors import NczError

    try:
        file = container.read(data)
    except NczError:
        return 0
    return sum(map(len, filter(None, (file.icc, file.exif, file.xmp)))) >> 20


def work(options: argparse.Namespace) -> None:
    if options.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["neurocodec"]):
            import neurocodec.cli.app
            import neurocodec.codecs.weights  # noqa: F401
    from mutate import MOST, mutate

    worker = Worker(options)
    others = list(worker.files.values())
    shares = [1 if name.startswith("shipped") else 8 for name in worker.files]
    random = Random(options.seed)
    if options.engine == "random":
        end = time.monotonic() + options.seconds
        while time.monotonic() < end and worker.number < options.count:
            worker.run(mutate(random.choices(others, shares)[0], random, others))
        worker.pause()
        return
    corpus = options.out / "corpus"
    corpus.mkdir(exist_ok=True)
    for name, data in worker.files.items():
        (corpus / name).write_bytes(data)
    atexit.register(worker.pause)
    arguments = [
        sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", f"-runs={options.count}",
        f"-max_len={MOST}", f"-seed={options.seed}", "-rss_limit_mb=0", "-verbosity=0",
        f"-artifact_prefix={options.out}/", "-len_control=0",
    ]  # fmt: skip

    def mutant(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 1 / 8:  # what coverage picks drifts away from what can be decoded
            data = random.choices(others, shares)[0]
        return mutate(data, random, others)[:most]

    atheris.Setup(arguments, worker.run, custom_mutator=mutant)
    atheris.Fuzz()


# The process that watches.


def watch(options: argparse.Namespace) -> Counter[str]:
    """Runs workers, one after the other, until the time or the number is used up."""
    shared = Shared.create(options.out / "current")
    end = time.monotonic() + options.seconds
    done = 0
    while (left := end - time.monotonic()) > 0 and done < options.count:
        shared.put(0, b"")
        worker = subprocess.Popen(
            [
                sys.executable, __file__, "--work", "--engine", options.engine,
                "--seconds", str(max(1, int(left))), "--count", str(options.count - done),
                "--seed", str(options.seed + done), "--memory", str(options.memory),
                "--target", options.target, "--out", options.out,
                *(["--parse"] if options.parse else []),
            ],
        )  # fmt: skip
        awake = time.monotonic()
        while worker.poll() is None:
            asleep = time.monotonic()
            time.sleep(0.1)
            if time.monotonic() - asleep > 10:  # both were stopped: no time of the file's
                awake = time.monotonic()
            _, wall, own, data = shared.get()
            # On a busy machine only the worker's own time tells; who sleeps uses none.
            late = own_time(worker.pid) - own > options.hang
            if data and (late or time.monotonic() - max(wall, awake) > 60 * options.hang):
                worker.kill()
                worker.wait()
                keep(options.out, "hang", data, f"took more than {options.hang} s")
        number, _, _, data = shared.get()
        done += number
        if worker.returncode == 1:
            raise SystemExit("fuzz: the fuzzer itself failed: see above")
        if worker.returncode not in (0, -9):
            keep(options.out, "crash", data, f"the process ended with {worker.returncode}")
    total: Counter[str] = Counter()
    for path in options.out.glob("account-*.json"):
        total.update(json.loads(path.read_text()))
    return total


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutants by the million; see the source.")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--count", type=int, default=10**9, help="stop after so many files")
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", type=float, default=5, help="seconds that a file may take")
    parser.add_argument("--memory", type=int, default=64, help="MiB that a file may take")
    parser.add_argument("--out", type=Path, required=True, help="new folder for offenders")
    parser.add_argument("--parse", action="store_true", help="parse and inflate, decode nothing")
    parser.add_argument("--target", default="target", help="module that has parse_one and try_one")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.work:
        work(options)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    total: Any = watch(options)
    for outcome, number in sorted(total.items(), key=lambda item: -item[1]):
        print(f"{number:>9}  {outcome}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:>9.0f}  seconds of the processor")
    print(f"{used.ru_maxrss >> 10:>9}  MiB held at most")
    offenders = list(options.out.glob("*.ncz"))
    print(f"{len(offenders):>9}  offenders in {options.out}")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
