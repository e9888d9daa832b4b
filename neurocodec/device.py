"""Torch's devices by name."""

from __future__ import annotations

import textwrap

from neurocodec.errors import InvalidArgument


def check(name: str) -> None:
    """Raises InvalidArgument for a device that torch does not have, or that lacks float64, in which
    probabilities are the same everywhere."""
    if name == "cpu":
        return
    import torch

    try:
        torch.zeros(1, dtype=torch.float64, device=name).item()
    # Not compiled in, without values (meta), unknown or absent, without float64 (mps).
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        cause = textwrap.shorten(str(error).partition("\n")[0], 100)
        raise InvalidArgument(f"device {name!r} cannot be used ({cause}): use cpu") from error
