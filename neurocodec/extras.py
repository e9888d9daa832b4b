"""Packages that only the bench needs, imported when they are needed."""

from importlib import import_module
from types import ModuleType

from neurocodec.errors import MissingDependency


def require(module: str, package: str | None = None) -> ModuleType:
    """Import ``module``; :class:`MissingDependency` names the extra that brings its ``package``."""
    try:
        return import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise MissingDependency(
            f"this needs the package {name} ({error}): pip install 'neurocodec[eval]'"
        ) from error
