"""Work in a fresh process, whose memory and first use of everything are its own.

Imports neither torch nor numpy: on Linux a child's peak memory starts from its parent's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def answer(module: str, job: dict[str, Any], threads: int | None = None) -> dict[str, Any]:
    """Give a job to ``module``, run with ``--worker``; what it prints last, JSON, is its result."""
    command = [sys.executable, "-m", module, "--worker", json.dumps(job)]
    result: dict[str, Any] = json.loads(output(command, threads).splitlines()[-1])
    return result


def output(command: list[str], threads: int | None = None) -> str:
    """What a command prints. Raises RuntimeError with the last line of its errors."""
    variables = _environment(threads)
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        what = command[2] if command[1] == "-m" else command[1]
        raise RuntimeError(f"{Path(command[0]).name} {what} failed: {last}")
    return done.stdout


def _environment(threads: int | None) -> dict[str, str]:
    """Variables of a process that finds this package and has so many threads."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    limit = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **limit}
