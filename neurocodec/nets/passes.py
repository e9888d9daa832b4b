"""The order in which positions of a latent are coded: pass numbers on a repeating tile.

All symbols of one pass are coded in one call, given every earlier pass. A context model is thus
causal if it looks only at smaller pass numbers, whatever the order is.
"""

from __future__ import annotations

import torch
from torch import Tensor

# 2 is the checkerboard (He et al., arXiv 2103.15306). 3 and 5 refine a coarse grid first, for
# channels whose neighbours predict them well: a smaller share is coded without any neighbour.
TILES: dict[int, list[list[int]]] = {
    1: [[0]],
    2: [[0, 1], [1, 0]],
    3: [[0, 2], [2, 1]],
    5: [[0, 4, 2, 4], [4, 3, 4, 3], [2, 4, 1, 4], [4, 3, 4, 3]],
}


def check_passes(passes: int) -> None:
    """ValueError where there is no order of so many passes."""
    if passes not in TILES:
        raise ValueError(f"no order of {passes} passes: use one of {sorted(TILES)}")


def pass_numbers(passes: int, rows: int, cols: int, device: torch.device | str = "cpu") -> Tensor:
    """Pass number of each position: (rows, cols) int64 in [0, passes).

    >>> pass_numbers(2, 2, 3).tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    check_passes(passes)
    tile = torch.tensor(TILES[passes]).to(device, non_blocking=True)  # a GPU need not wait
    repeats = (-(-rows // tile.shape[0]), -(-cols // tile.shape[1]))
    return tile.repeat(repeats)[:rows, :cols]
