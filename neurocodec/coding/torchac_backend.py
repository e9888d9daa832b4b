"""torchac's compiled coder, without torchac's Python: silent, and quick to load.

`import torchac` asks torch to build its C++ source at every start, which prints to stdout and costs
seconds even when the build is up to date, and which leaves the code unoptimized. Here the same
source is built once for a machine (:mod:`neurocodec.coding.torchac_build`) and kept in a cache
folder under a name that says all it depends on; every later start loads that one file.

The cache folder is `$TORCH_EXTENSIONS_DIR/neurocodec`, else `$XDG_CACHE_HOME/neurocodec`, else
`~/.cache/neurocodec`.

Arguments of `encode` and `decode` are trusted: :mod:`neurocodec.coding` checks them. That matters:
the C++ reads out of bounds for a symbol outside [0, L), and hangs where a CDF stands still.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding import python_backend, torchac_build
from neurocodec.coding.torchac_build import MODULE, REMEDY, SUFFIX
from neurocodec.errors import MissingDependency

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_module: ModuleType | None = None
_failure: str | None = None


def encode(cdf: NDArray[np.int16], symbols: NDArray[np.int16]) -> bytes:
    """Code symbols (N,) under a CDF (N, L + 1), N >= 1."""
    import torch

    module = load()
    data: bytes = module.encode_cdf(torch.from_numpy(_own(cdf)), torch.from_numpy(_own(symbols)))
    return data


def decode(cdf: NDArray[np.int16], data: bytes) -> NDArray[np.int16]:
    """Decode N symbols (N,) int16 from a CDF (N, L + 1), N >= 1.

    Any bytes decode to some symbols; past their end the stream reads as zeros.
    """
    import torch

    symbols: NDArray[np.int16] = load().decode_cdf(torch.from_numpy(_own(cdf)), data).numpy()
    return symbols


def load() -> ModuleType:
    """The compiled module; the first call in a process loads it, the first on a machine builds it.

    Raises MissingDependency where it can be neither loaded nor built; a process tries only once.
    """
    global _module, _failure
    with _lock:
        if _module is None and _failure is None:
            try:
                _module = _load_or_build()
            except MissingDependency as error:
                _failure = str(error)
        if _module is None:
            raise MissingDependency(_failure)
        return _module


def _own(values: NDArray[np.int16]) -> NDArray[np.int16]:
    # The C++ ignores strides, and torch warns on stderr about an array it may not write to.
    return np.require(values, requirements=["C_CONTIGUOUS", "WRITEABLE"])


def _load_or_build() -> ModuleType:
    source = torchac_build.find_source()
    library = _cache_folder() / f"torchac-{torchac_build.key(source)}{SUFFIX}"
    try:
        module = _load_library(library)
        if module is not None:
            return module
        library.parent.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(library.with_suffix(".lock")):
            module = _load_library(library)  # another process may have built it meanwhile
            if module is None:
                torchac_build.build(source, library)
                module = _load_library(library)
    except OSError as error:
        raise MissingDependency(
            f"torchac cannot be built in {library.parent} ({error.strerror}): "
            f"set TORCH_EXTENSIONS_DIR to a writable folder, {REMEDY}"
        ) from error
    if module is None:
        raise MissingDependency(
            f"torchac was built, but its library {library} does not work: "
            f"reinstall torch and torchac, {REMEDY}"
        )
    return module


def _cache_folder() -> Path:
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(root or Path.home() / ".cache") / "neurocodec"
    except RuntimeError as error:  # no home folder
        raise MissingDependency(
            f"torchac cannot be built without a home folder: set TORCH_EXTENSIONS_DIR, {REMEDY}"
        ) from error


def _load_library(library: Path) -> ModuleType | None:
    """The module in `library`, or None where it is absent, does not load or codes wrongly."""
    import torch  # the library links to torch's

    if not library.is_file():
        return None
    loader = importlib.machinery.ExtensionFileLoader(MODULE, str(library))
    spec = importlib.util.spec_from_file_location(MODULE, library, loader=loader)
    if spec is None:
        return None
    cdf = np.array([[0, 9000, 20000, 0], [0, 1, 2, 0], [0, -3, -1, 0]], dtype=np.int16)
    symbols = np.array([1, 2, 0], dtype=np.int16)
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        data = module.encode_cdf(torch.from_numpy(cdf), torch.from_numpy(symbols))
        decoded = module.decode_cdf(torch.from_numpy(cdf), data).numpy()
    except Exception as error:
        _logger.info("%s does not load: %s", library, error)
        return None
    works = data == python_backend.encode(cdf, symbols) and np.array_equal(decoded, symbols)
    return module if works else None


@contextlib.contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    """Hold a file lock, which the system frees when its holder dies.

    Without locks (Windows, some network folders) processes build side by side, which is only
    wasteful: each builds in a folder of its own and renames its result into place.
    """
    with path.open("w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
