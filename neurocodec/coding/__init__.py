"""Entropy coding: logits to integer probabilities, and symbols to bytes and back.

logits --snap--> grid indices --cdf_from_grid--> CDF --encode_symbols--> bytes, and the same with
cdf_from_mixture for parameters of Gaussian mixtures. All that decides a bit is integer arithmetic
from the grid indices on, so a file decodes alike on every machine.
"""

from neurocodec.coding.blocks import blocks
from neurocodec.coding.cdf import cdf_from_grid, entropy_bits
from neurocodec.coding.coder import Backend, check_size, decode_symbols, encode_symbols
from neurocodec.coding.grid import LOGIT_STEP, boundary_distance, choose_offset, snap
from neurocodec.coding.mixture import (
    cdf_from_mixture,
    centres,
    grid_units,
    intervals_from_mixture,
)

__all__ = [
    "LOGIT_STEP",
    "Backend",
    "blocks",
    "boundary_distance",
    "cdf_from_grid",
    "cdf_from_mixture",
    "centres",
    "check_size",
    "choose_offset",
    "decode_symbols",
    "encode_symbols",
    "entropy_bits",
    "grid_units",
    "intervals_from_mixture",
    "snap",
]
