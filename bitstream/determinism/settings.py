"""The ways to run the decoder that are tried, and whether this machine can."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """One way to run the decoder.

    environment: variables that the numerical libraries read when they load. layout: memory format
    of all weights, "own" for the codec's choice. needs: flags of /proc/cpuinfo without which the
    setting would be no other than the default, or crash. most_pixels: larger pictures are left out.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    onednn: bool = True
    layout: str = "own"
    device: str = "cpu"
    needs: tuple[str, ...] = ()
    most_pixels: int | None = None
    python: str = sys.executable


def _variable(name: str, value: str, *needs: str) -> Setting:
    return Setting(f"`{name}={value}`", {name: value}, needs=needs)


SETTINGS = (
    Setting("1 thread, the parent's setting in a process of its own"),
    Setting("2 threads", threads=2),
    Setting("3 threads", threads=3),
    _variable("ATEN_CPU_CAPABILITY", "default", "sse2"),
    _variable("ATEN_CPU_CAPABILITY", "avx2", "avx2"),
    _variable("ATEN_CPU_CAPABILITY", "avx512", "avx512f"),
    _variable("ONEDNN_MAX_CPU_ISA", "SSE41", "sse4_1"),
    _variable("ONEDNN_MAX_CPU_ISA", "AVX", "avx"),
    _variable("ONEDNN_MAX_CPU_ISA", "AVX2", "avx2"),
    _variable("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI", "avx_vnni"),
    _variable("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", "avx512f"),
    Setting("oneDNN off", onednn=False),
    # oneDNN has no float64 convolution: the context models' sums are MKL's. The last of these four
    # does nothing on processors that are not Intel's.
    _variable("MKL_CBWR", "COMPATIBLE", "sse2"),
    _variable("MKL_CBWR", "AVX2", "avx2"),
    _variable("MKL_CBWR", "AVX512", "avx512f"),
    _variable("MKL_ENABLE_INSTRUCTIONS", "SSE4_2", "sse4_2"),
    Setting("all weights contiguous", layout="contiguous"),
    Setting("all weights channels_last", layout="channels_last"),
    Setting(
        "3 threads, ATen default, MKL compatible, oneDNN off, channels_last",
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        threads=3, onednn=False, layout="channels_last", needs=("sse2",),
    ),
    Setting("GPU", device="cuda"),
)  # fmt: skip
EMULATED = Setting("aarch64, emulated", most_pixels=2**16)
"""A thousand times slower than the processor: the small files, and `python` is the emulator."""
VARIABLES = {name for setting in SETTINGS for name in setting.environment}


def obstacle(setting: Setting) -> str | None:
    """Why this machine cannot run a setting; None where it can."""
    missing = sorted(set(setting.needs) - cpu_flags())
    if missing:
        return f"the processor has no {', '.join(missing)}"
    if setting.device == "cuda" and not _sees_gpu(setting.python):
        return "no GPU"
    return None


def _sees_gpu(python: str) -> bool:
    question = "import torch; print(torch.cuda.is_available())"
    done = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False)
    return done.stdout.strip() == "True"


def cpu_flags() -> set[str]:
    """Instruction sets by the names of /proc/cpuinfo; none off Linux and off x86."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}
