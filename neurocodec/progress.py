"""How far long work on one picture is, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]
"""Takes how many tiles are done, and of how many. Each pass over a picture begins with 0 again."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(done: int, total: int) -> None:
    """Said by the work, at the beginning and after each tile."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """A block whose work, in this thread, tells the listener."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)
