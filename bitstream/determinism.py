"""Do the integers handed to the coder depend on file and weights alone? Tries it, setting by
setting, and writes DETERMINISM.md.

    python bitstream/determinism.py [--python OTHER/bin/python]...

This process encodes a photograph with every shipped model, takes the conformance files besides, and
decodes them all. A fresh process a setting then decodes the same files; symbols, grid indices (what
the probabilities are made of) and CDFs must come out equal. Settings that this machine cannot run
are listed with the reason. Exits with 1 where anything differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np

import neurocodec
from neurocodec import coding, container, zoo
from neurocodec.coding.grid import guard_for
from neurocodec.errors import NczError
from neurocodec.evaluation import hardware
from neurocodec.threads import torch_threads

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PHOTO = ROOT / "docs" / "astronaut.png"
MAX_PIXEL_DIFFERENCE = 1
"""Grey levels by which the synthesis networks, in float32, may differ between machines."""


@dataclass(frozen=True)
class Setting:
    """One way to run the decoder.

    environment: variables that the numerical libraries read when they load. layout: memory format
    of all weights, "own" for the codec's choice. needs: flags of /proc/cpuinfo without which the
    setting would be no other than the default, or crash.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    onednn: bool = True
    layout: str = "own"
    device: str = "cpu"
    needs: tuple[str, ...] = ()
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


# What the coder is handed.


@dataclass(frozen=True)
class Trace:
    """What the decoder handed to the coder and got from it.

    symbols, grid, cdf: SHA-256 of all of a file's. logits: float64, flat, in coded order.
    boundary: distance of the nearest of them to a rounding boundary. pixels: of the picture.
    """

    symbols: str
    grid: str
    cdf: str
    logits: np.ndarray
    boundary: float
    pixels: np.ndarray


def trace(codec: Any, data: bytes) -> Trace:
    """Decode a file and watch its way through `neurocodec.coding`."""
    snap, decode_symbols = coding.snap, coding.decode_symbols
    symbols, grid, cdfs = (hashlib.sha256() for _ in range(3))
    logits: list[np.ndarray] = [np.empty(0)]
    boundary = coding.LOGIT_STEP / 2

    def watched_snap(values: np.ndarray, offset: int = 0) -> np.ndarray:
        nonlocal boundary
        indices = snap(values, offset)
        logits.append(values.ravel())
        boundary = min(boundary, coding.boundary_distance(values, offset))
        grid.update(indices.astype("<i4").tobytes())
        return indices

    def watched_decode(cdf: np.ndarray, stream: bytes) -> np.ndarray:
        cdfs.update(cdf.astype("<i2").tobytes())
        found = decode_symbols(cdf, stream)
        symbols.update(found.astype("<i2").tobytes())
        return found

    with (
        patch.object(coding, "snap", watched_snap),
        patch.object(coding, "decode_symbols", watched_decode),
    ):
        pixels = np.asarray(codec.decode(data))
    digests = (hasher.hexdigest() for hasher in (symbols, grid, cdfs))
    return Trace(*digests, np.concatenate(logits), boundary, pixels)


@dataclass(frozen=True)
class Outcome:
    """A file under a setting, beside the parent's trace.

    equal: symbols, grid indices and CDFs, all of them. difference: largest of the float logits,
    None where there are others, or other numbers of them. boundary: see `Trace`. pixels: largest
    difference of the pictures, in grey levels.
    """

    equal: bool
    logits: int
    difference: float | None
    boundary: float
    pixels: int
    error: str = ""


def compare(found: Trace, reference: Trace) -> Outcome:
    difference = None
    if found.logits.shape == reference.logits.shape:
        difference = float(np.abs(found.logits - reference.logits).max(initial=0.0))
    digests = [(t.symbols, t.grid, t.cdf) for t in (found, reference)]
    return Outcome(
        equal=digests[0] == digests[1],
        logits=found.logits.size,
        difference=difference,
        boundary=found.boundary,
        pixels=int(np.abs(found.pixels.astype(int) - reference.pixels).max()),
    )


# A process a setting.


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
        job.write_text(json.dumps({"setting": asdict(setting), "names": self.names}))
        result.unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment = {**kept, "PYTHONPATH": str(ROOT), **setting.environment}
        command = [setting.python, str(HERE / "determinism.py"), "--child", str(self.folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not result.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"exit code {done.returncode}: {last}")
        answer = json.loads(result.read_text())
        outcomes = {name: Outcome(**fields) for name, fields in answer["files"].items()}
        return answer["torch"], outcomes


def child(folder: Path) -> None:
    """Decode the files of a `Bench` under the setting of its job.json; write result.json."""
    import torch

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
    import torch

    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    wanted = setting.environment.get("ATEN_CPU_CAPABILITY", capability)
    if (threads, capability) != (setting.threads, wanted.upper()):
        raise SystemExit(f"torch runs on {threads} threads with {capability}: not as it was told")


def _plain(value: np.ndarray) -> Any:
    return value if value.ndim else value.item()


def codec_of(data: bytes, device: str = "cpu") -> Any:
    """The codec that reads the file."""
    return neurocodec.load(zoo.by_wire_id(container.read(data).model).name, device)


@contextmanager
def laid_out(codec: Any, layout: str) -> Iterator[None]:
    """The weights of 2D and 3D convolutions in a memory format of all the same kind."""
    import torch

    if layout == "own":
        yield
        return
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    networks = [codec.model, *([codec.context] if hasattr(codec, "context") else [])]
    parameters = [p for network in networks for p in network.parameters() if p.dim() in formats]
    before = [parameter.data for parameter in parameters]
    for p in parameters:
        wanted = formats[p.dim()] if layout == "channels_last" else torch.contiguous_format
        p.data = p.data.contiguous(memory_format=wanted)
    try:
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data


# The files.


def conformance_files() -> dict[str, bytes]:
    names = json.loads((HERE / "conformance" / "manifest.json").read_text())
    return {name: (HERE / "conformance" / f"{name}.ncz").read_bytes() for name in sorted(names)}


def photographs() -> dict[str, bytes]:
    """The photograph of the README, coded with every shipped model."""
    return {
        f"{PHOTO.stem}-{model.name}": neurocodec.encode(
            PHOTO, model=model.name, quality=model.default_quality, threads=1
        )
        for model in neurocodec.models()
    }


# The page.


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    setting: str
    torch: str = ""
    compared: str = ""
    equal: str = ""
    difference: str = ""
    boundary: str = ""
    pixels: str = ""
    good: bool = True


def try_setting(bench: Bench, setting: Setting) -> Line:
    """Run it, or say why not."""
    reason = obstacle(setting)
    if reason:
        return Line(setting.name, equal=f"not tried: {reason}")
    try:
        version, outcomes = bench.run(setting)
    except RuntimeError as error:
        return Line(setting.name, equal=f"**did not run**, {error}", good=False)
    results = outcomes.values()
    unequal = [name for name, outcome in outcomes.items() if not outcome.equal]
    differences = [o.difference for o in results if o.difference is not None]
    pixels = max(o.pixels for o in results)
    return Line(
        setting.name,
        version,
        f"{len(outcomes)} files, {sum(o.logits for o in results):,} logits",
        f"**no**: {', '.join(unequal)}" if unequal else "yes",
        f"{max(differences):.1e}" if len(differences) == len(outcomes) else "other logits",
        f"{min(o.boundary for o in results):.1e}",
        str(pixels),
        good=not unequal and pixels <= MAX_PIXEL_DIFFERENCE,
    )


def emulation() -> str:
    """Why aarch64 was not tried from here."""
    if platform.machine() in ("aarch64", "arm64"):
        return "this machine is one: see the lines above"
    if shutil.which("qemu-aarch64-static"):
        return "qemu-user-static is installed, an arm64 system with torch is not"
    candidate = ""
    if shutil.which("apt-cache"):
        policy = subprocess.run(
            ["apt-cache", "policy", "qemu-user-static"], capture_output=True, text=True, check=False
        ).stdout
        found = [line.split()[-1] for line in policy.splitlines() if "Candidate:" in line]
        candidate = found[0] if found else ""
    if candidate in ("", "(none)"):
        return "qemu-user-static is not among this system's packages"
    return f"qemu-user-static {candidate} can be had but is not installed, nor an arm64 torch"


def page(bench: Bench, conformance: Sequence[str], lines: Sequence[Line]) -> str:
    """DETERMINISM.md."""
    facts = hardware.describe(threads=1)
    together = hashlib.sha256("".join(bench.traces[n].grid for n in conformance).encode())
    largest = max(found.logits.size for found in bench.traces.values())
    keys = ("setting", "torch", "compared", "equal", "difference", "boundary", "pixels")
    heads = (
        "setting of the decoder", "torch", "compared", "equal", "logits differ by at most",
        "nearest boundary", "pixels differ by at most",
    )  # fmt: skip
    rows = [heads, ("---",) * len(heads)]
    rows += [tuple(getattr(line, key) for key in keys) for line in lines]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""# The same symbols on every machine: what was tried

Written by `python bitstream/determinism.py`; do not edit. Files are encoded with torch
{facts["torch"]} on one thread, or taken from `conformance/`, and decoded by a fresh process a line.
*Equal* means: all symbols, all grid indices (the integers that the probabilities are made of) and
all CDFs. The next two columns say how much room there was: a symbol is at risk where the logits
differ by as much as one of them is away from a rounding boundary of the grid. The encoder sees to
a distance of {guard_for(largest):.0e} at least (SPEC, grid_offset). Logits that differ by 0 mean
that the setting does not reach the float64 arithmetic; pixels, from float32, may still differ, by
one grey level at most. Files of an inner codec such as JPEG have no logits, only pixels.

Machine: {facts["cpu"]}, {facts["cores"]} cores, {facts["system"]}.

{table}

The grid indices of the {len(conformance)} conformance files together have the SHA-256
`{together.hexdigest()}`;
another machine that runs this script must arrive at the same.
"""


@click.command()
@click.option("--python", "pythons", multiple=True, help="Of another environment, with its torch.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "DETERMINISM.md")
@click.option("--child", "job", type=click.Path(path_type=Path), hidden=True)
def main(pythons: tuple[str, ...], out: Path, job: Path | None) -> None:
    """Decode under every setting and write the table."""
    if job is not None:
        child(job)
        return
    conformance = conformance_files()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), {**conformance, **photographs()})
        lines = []
        for python in (sys.executable, *pythons):
            for setting in SETTINGS:
                line = try_setting(bench, replace(setting, python=python))
                if python != sys.executable and line.equal.startswith("not tried"):
                    continue  # the same reason as above
                lines.append(line)
                click.echo(f"{line.setting}: {line.equal} ({line.difference or '-'})", err=True)
        lines.append(Line("aarch64, emulated", equal=f"not tried: {emulation()}"))
        out.write_text(page(bench, list(conformance), lines), encoding="utf-8")
    if not all(line.good for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
