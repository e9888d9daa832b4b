"""Rows of a large table a few at a time: what is computed of them stays in the cache.

Several times as fast as the whole at once, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator

ENTRIES = 1 << 16


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of about `ENTRIES` entries, at least a row each, that cover the rows in order.

    >>> [(s.start, s.stop) for s in blocks(5, 2**15)]
    [(0, 2), (2, 4), (4, 6)]
    """
    step = max(1, ENTRIES // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, start + step)
