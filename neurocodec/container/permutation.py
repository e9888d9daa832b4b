"""A permutation as one integer: its rank among all permutations in lexicographic order.

That is its shortest form, and every integer below n! is a valid one. After D. H. Lehmer, "Teaching
combinatorial tricks to a computer" (1960).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial


def rank_bytes(n: int) -> int:
    """Bytes that hold any rank of a permutation of range(n): 15 for n = 32, 149 for n = 192."""
    return ((factorial(n) - 1).bit_length() + 7) // 8


def rank(permutation: Sequence[int]) -> int:
    """The position of a permutation of range(n) in lexicographic order, 0 to n! - 1.

    >>> rank((2, 0, 1))
    4
    """
    remaining = sorted(permutation)
    result = 0
    for item in permutation:
        digit = remaining.index(item)
        result = result * len(remaining) + digit
        del remaining[digit]
    return result


def unrank(position: int, n: int) -> tuple[int, ...]:
    """The permutation of range(n) with this rank, which has to be below n!.

    >>> unrank(4, 3)
    (2, 0, 1)
    """
    digits = []
    for base in range(1, n + 1):
        position, digit = divmod(position, base)
        digits.append(digit)
    remaining = list(range(n))
    return tuple(remaining.pop(digit) for digit in reversed(digits))
