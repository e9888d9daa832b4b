"""Entropy coding: logits to integer probabilities, and symbols to bytes and back.

logits --snap--> grid indices --cdf_from_grid--> CDF --encode_symbols--> bytes. All that decides a
bit is integer arithmetic from the grid indices on, so a file decodes alike on every machine.
"""

from neurocodec.coding.cdf import cdf_from_grid, entropy_bits
from neurocodec.coding.coder import Backend, decode_symbols, encode_symbols
from neurocodec.coding.grid import LOGIT_STEP, boundary_distance, choose_offset, snap

__all__ = [
    "LOGIT_STEP",
    "Backend",
    "boundary_distance",
    "cdf_from_grid",
    "choose_offset",
    "decode_symbols",
    "encode_symbols",
    "entropy_bits",
    "snap",
]
