"""neurocodec: learned image codecs with a real file format.

>>> import neurocodec
>>> data = neurocodec.encode("photo.jpg", quality=50)  # doctest: +SKIP
>>> neurocodec.decode(data).save("photo.png")  # doctest: +SKIP

Importing the package imports neither torch nor numpy; the first call that needs them does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurocodec.api import Info, decode, encode, info, load, models
    from neurocodec.errors import NczError

__version__ = "0.1.0"

__all__ = ["Info", "NczError", "__version__", "decode", "encode", "info", "load", "models"]

_HOMES = {
    "Info": "neurocodec.api",
    "NczError": "neurocodec.errors",
    "decode": "neurocodec.api",
    "encode": "neurocodec.api",
    "info": "neurocodec.api",
    "load": "neurocodec.api",
    "models": "neurocodec.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
