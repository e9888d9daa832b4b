"""Building torchac's C++ source: finding it, and compiling it without a word on stdout or stderr.

The source is that of the installed torchac, unchanged. torch's own recipe for extensions compiles
it, with optimization switched on, in a child process: that recipe prints, and silencing it within
this process would silence the user's other threads too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from neurocodec.errors import MissingDependency

MODULE = "neurocodec_torchac"
SUFFIX = ".pyd" if os.name == "nt" else ".so"
REMEDY = "or use backend='python', which is slower"

_FLAGS = ["-O2"]
_SCRIPT = """
import sys
from torch.utils.cpp_extension import load
name, source, folder, *flags = sys.argv[1:]
load(name, [source], build_directory=folder, extra_cflags=flags)
"""
_BUILD_SECONDS = 600
_COMPILERS = ("cl",) if os.name == "nt" else ("c++", "g++", "clang++")

_logger = logging.getLogger(__name__)


def find_source() -> Path:
    """torchac's C++ file; raises MissingDependency where torchac or torch is not installed."""
    torchac = importlib.util.find_spec("torchac")  # finds without importing
    if torchac is None or importlib.util.find_spec("torch") is None:
        raise MissingDependency(f"torchac or torch is missing: pip install torchac torch, {REMEDY}")
    for folder in torchac.submodule_search_locations or ():
        source = Path(folder, "backend", "torchac_backend.cpp")
        if source.is_file():
            return source
    raise MissingDependency(f"torchac lacks its C++ source: reinstall torchac, {REMEDY}")


def key(source: Path) -> str:
    """A digest of all that a compiled library depends on."""
    import torch

    digest = hashlib.sha256(source.read_bytes())
    for part in (
        torch.__version__,
        str(torch.version.git_version),
        str(sysconfig.get_config_var("EXT_SUFFIX")),
        platform.machine(),
        *_FLAGS,
    ):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()[:16]


def build(source: Path, library: Path) -> None:
    """Compile `source` to `library`; raise MissingDependency where that cannot be done."""
    path = _search_path()
    compiler = _find_compiler(path)
    if not shutil.which("ninja", path=path):
        raise MissingDependency(f"torchac needs ninja to be built: pip install ninja, {REMEDY}")
    if os.name != "nt" and not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise MissingDependency(
            f"torchac needs the headers of Python to be built: install python3-dev, {REMEDY}"
        )
    _logger.info("building torchac's coder, once for this machine: %s", library)
    environment = os.environ | {
        "PATH": path,
        "CXX": compiler,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with tempfile.TemporaryDirectory(prefix="build-", dir=library.parent) as folder:
        command = [sys.executable, "-c", _SCRIPT, MODULE, str(source), folder, *_FLAGS]
        try:
            result = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_BUILD_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingDependency(
                f"the build of torchac did not start, or took more than {_BUILD_SECONDS} s "
                f"({type(error).__name__}): check that {sys.executable or 'python'} runs, {REMEDY}"
            ) from error
        built = Path(folder, MODULE + SUFFIX)
        if result.returncode or not built.is_file():
            raise MissingDependency(
                f"torchac cannot be built ({_reason(result.stdout)}): "
                f"mend the C++ compiler {compiler}, {REMEDY}"
            )
        os.replace(built, library)


def _search_path() -> str:
    """PATH, after the folders where pip puts ninja: the interpreter's scripts, and the user's."""
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    folders = [sysconfig.get_path("scripts", scheme) for scheme in schemes]
    return os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def _find_compiler(path: str) -> str:
    wanted = os.environ.get("CXX")
    for name in [wanted] if wanted else _COMPILERS:
        if shutil.which(shlex.split(name)[0], path=path):
            return name
    raise MissingDependency(
        f"torchac needs a C++ compiler ({wanted or ' or '.join(_COMPILERS)}) to be built: "
        f"install one, {REMEDY}"
    )


def _reason(output: bytes) -> str:
    """The line of a build's output that says most about its failure."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower()]
    return (errors or lines[-1:] or ["no output"])[0][:200]
