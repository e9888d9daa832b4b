"""The scripts of bitstream/attacks as modules, and the small models they need."""

import contextlib
import importlib
import sys
from pathlib import Path

from neurocodec import zoo

FOLDER = Path(__file__).parents[1] / "bitstream" / "attacks"


def module(name):
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


@contextlib.contextmanager
def small_models(folder):
    """The small models beside the shipped ones, for as long as the block lasts."""
    shipped = zoo.folder
    module("small").install(folder)
    try:
        yield
    finally:
        zoo.folder = shipped
        zoo.models.cache_clear()
