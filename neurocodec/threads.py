"""Torch's number of threads as an argument of a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from neurocodec.errors import InvalidArgument

MOST = 1024
"""Threads. Where they cannot all be had, OpenMP ends the process, or crashes."""

_lock = threading.Lock()
_blocks: list[tuple[int, int]] = []  # of each block in force: its thread, the number to put back


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Torch has a number of threads for each thread that calls it, and starts new ones with the
    number set last, by whichever thread: set for this block, then put back.

    Blocks of several threads may overlap: each has its own number, and after the last of them
    torch has that from before the first. None leaves it alone. Raises InvalidArgument below 1 or
    above ``MOST``.
    """
    if count is None:
        yield
        return
    if not 1 <= count <= MOST:
        raise InvalidArgument(f"threads is {count}: use 1 to {MOST}")
    import torch

    here = threading.get_ident()
    with _lock:
        before = torch.get_num_threads()
        if _blocks and all(thread != here for thread, _ in _blocks):
            before = _blocks[0][1]  # what torch says here may be the number of another's block
        torch.set_num_threads(count)
        block = here, before
        _blocks.append(block)
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(block)
            torch.set_num_threads(before)
