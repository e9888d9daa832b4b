"""Running out of memory, said in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurocodec.errors import ImageTooLarge

_OF_TORCH = ("can't allocate memory", "not enough memory", "out of memory")


def ran_out(error: BaseException) -> bool:
    """Whether an error says so; torch does with a RuntimeError like any other."""
    if isinstance(error, RuntimeError):
        return any(said in str(error) for said in _OF_TORCH)
    return isinstance(error, MemoryError)


@contextmanager
def memory_for(width: int, height: int, remedy: str) -> Iterator[None]:
    """Raises ImageTooLarge where this block, which works on such an image, runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise ImageTooLarge(
            f"{width}x{height} pixels need more memory than there is: {remedy}"
        ) from error
