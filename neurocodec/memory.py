"""Running out of memory, said in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurocodec.errors import ImageTooLarge

_OF_TORCH = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def memory_for(width: int, height: int, remedy: str) -> Iterator[None]:
    """Raises ImageTooLarge where this block, which works on such an image, runs out of memory.

    Torch says so with a RuntimeError like any other.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(said in str(error) for said in _OF_TORCH):
            raise
        raise ImageTooLarge(
            f"{width}x{height} pixels need more memory than there is: {remedy}"
        ) from error
