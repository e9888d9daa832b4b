"""The files, as this process decodes them and as a fresh process a setting does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

import neurocodec
from bitstream.determinism.settings import VARIABLES, Setting
from bitstream.determinism.trace import Outcome, Trace, codec_of, trace
from neurocodec.threads import torch_threads

BITSTREAM = Path(__file__).resolve().parents[1]
ROOT = BITSTREAM.parent
PHOTO = ROOT / "docs" / "astronaut.png"


def conformance_files() -> dict[str, bytes]:
    names = json.loads((BITSTREAM / "conformance" / "manifest.json").read_text())
    return {
        name: (BITSTREAM / "conformance" / f"{name}.ncz").read_bytes() for name in sorted(names)
    }


def photographs() -> dict[str, bytes]:
    """The photograph of the README, coded with every shipped model."""
    return {
        f"{PHOTO.stem}-{model.name}": neurocodec.encode(PHOTO, model=model.name, threads=1)
        for model in neurocodec.models()
    }


class Bench:
    """The files, and the parent's traces of them, in a folder that the children read."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder, self.names = folder, list(files)
        self.traces: dict[str, Trace] = {}
        with torch_threads(1):
            for name, data in files.items():
                found = trace(codec_of(data), data)
                self.traces[name] = found
                (folder / f"{name}.ncz").write_bytes(data)
                np.savez(folder / f"{name}.npz", **asdict(found))

    def run(self, setting: Setting) -> tuple[str, dict[str, Outcome]]:
        """Torch's version, and the outcome of each file. Raises RuntimeError where the process
        fails."""
        job, result = self.folder / "job.json", self.folder / "result.json"
        names = [name for name in self.names if self._fits(name, setting.most_pixels)]
        job.write_text(json.dumps({"setting": asdict(setting), "names": names}))
        result.unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment = {**kept, "PYTHONPATH": str(ROOT), **setting.environment}
        command = [setting.python, "-m", "bitstream.determinism.child", str(self.folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not result.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"exit code {done.returncode}: {last}")
        answer = json.loads(result.read_text())
        outcomes = {name: Outcome(**fields) for name, fields in answer["files"].items()}
        return answer["torch"], outcomes

    def _fits(self, name: str, most_pixels: int | None) -> bool:
        rows, cols = self.traces[name].pixels.shape[:2]
        return most_pixels is None or rows * cols <= most_pixels
