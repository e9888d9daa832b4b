"""The command line, ``ncz``: click commands that parse, call the library and report."""

from neurocodec.cli.app import main

__all__ = ["main"]
