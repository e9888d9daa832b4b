"""What comes of coding a picture once, among several qualities that are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Attempt:
    """A picture coded at one quality: the file, and what decodes from it, (H, W, 3) uint8."""

    data: bytes
    quality: float
    pixels: Callable[[], np.ndarray]
