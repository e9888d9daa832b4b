"""One setting, in the process of its own that `Bench.run` starts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bitstream.determinism.settings import Setting
from bitstream.determinism.trace import Outcome, Trace, codec_of, compare, laid_out, trace
from neurocodec.errors import NczError
from neurocodec.threads import torch_threads


def child(folder: Path) -> None:
    """Decode the files of a `Bench` under the setting of its job.json; write result.json."""
    job = json.loads((folder / "job.json").read_text())
    setting = Setting(**job["setting"])
    outcomes = {}
    with torch_threads(setting.threads), torch.backends.mkldnn.flags(enabled=setting.onednn):
        _check_in_force(setting)
        for name in job["names"]:
            with np.load(folder / f"{name}.npz") as saved:
                reference = Trace(**{key: _plain(value) for key, value in saved.items()})
            data = (folder / f"{name}.ncz").read_bytes()
            codec = codec_of(data, setting.device)
            try:
                with laid_out(codec, setting.layout):
                    outcome = compare(trace(codec, data), reference)
            except NczError as error:  # what other symbols lead to
                outcome = Outcome(False, 0, None, 0.0, 255, str(error))
            outcomes[name] = asdict(outcome)
    answer = {"torch": str(torch.__version__), "files": outcomes}
    (folder / "result.json").write_text(json.dumps(answer))


def _check_in_force(setting: Setting) -> None:
    """Ends the process where torch did not take what it was told, as far as it can be asked."""
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    wanted = setting.environment.get("ATEN_CPU_CAPABILITY", capability)
    if (threads, capability) != (setting.threads, wanted.upper()):
        raise SystemExit(f"torch runs on {threads} threads with {capability}: not as it was told")


def _plain(value: np.ndarray) -> Any:
    return value if value.ndim else value.item()


if __name__ == "__main__":
    child(Path(sys.argv[1]))
