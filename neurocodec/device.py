"""Torch's devices by name."""

from __future__ import annotations

import textwrap

from neurocodec.errors import InvalidArgument


def check(name: str) -> None:
    """Raises InvalidArgument for a device that torch does not have."""
    if name == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=name).item()
    # Not compiled in, without values (meta), unknown or absent.
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        cause = textwrap.shorten(str(error).partition("\n")[0], 100)
        raise InvalidArgument(f"device {name!r} cannot be used ({cause}): use cpu") from error
