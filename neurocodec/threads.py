"""Torch's number of threads as an argument of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurocodec.errors import InvalidArgument


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Torch has one number of threads for the process: set for this block, then put back.

    None leaves it alone. Raises InvalidArgument below 1.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise InvalidArgument(f"threads is {count}: use 1 or more")
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
