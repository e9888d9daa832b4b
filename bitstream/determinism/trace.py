"""What the decoder hands to the coder and gets from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import neurocodec
from neurocodec import coding, container, zoo


def codec_of(data: bytes, device: str = "cpu") -> Any:
    """The codec that reads the file."""
    return neurocodec.load(zoo.by_wire_id(container.read(data).model).name, device)


@dataclass(frozen=True)
class Trace:
    """What the decoder handed to the coder and got from it.

    symbols, grid, cdf: SHA-256 of all of a file's. logits: float64, flat, in coded order.
    boundary: distance of the nearest of them to a rounding boundary. pixels: of the picture.
    """

    symbols: str
    grid: str
    cdf: str
    logits: np.ndarray
    boundary: float
    pixels: np.ndarray


def trace(codec: Any, data: bytes) -> Trace:
    """Decode a file and watch its way through `neurocodec.coding`."""
    snap, decode_symbols = coding.snap, coding.decode_symbols
    symbols, grid, cdfs = (hashlib.sha256() for _ in range(3))
    logits: list[np.ndarray] = [np.empty(0)]
    boundary = coding.LOGIT_STEP / 2

    def watched_snap(values: np.ndarray, offset: int = 0) -> np.ndarray:
        nonlocal boundary
        indices = snap(values, offset)
        logits.append(values.ravel())
        boundary = min(boundary, coding.boundary_distance(values, offset))
        grid.update(indices.astype("<i4").tobytes())
        return indices

    def watched_decode(cdf: np.ndarray, stream: bytes) -> np.ndarray:
        cdfs.update(cdf.astype("<i2").tobytes())
        found = decode_symbols(cdf, stream)
        symbols.update(found.astype("<i2").tobytes())
        return found

    with (
        patch.object(coding, "snap", watched_snap),
        patch.object(coding, "decode_symbols", watched_decode),
    ):
        pixels = np.asarray(codec.decode(data))
    digests = (hasher.hexdigest() for hasher in (symbols, grid, cdfs))
    return Trace(*digests, np.concatenate(logits), boundary, pixels)


@dataclass(frozen=True)
class Outcome:
    """A file under a setting, beside the parent's trace.

    equal: symbols, grid indices and CDFs, all of them. difference: largest of the float logits,
    None where there are others, or other numbers of them. boundary: see `Trace`. pixels: largest
    difference of the pictures, in grey levels.
    """

    equal: bool
    logits: int
    difference: float | None
    boundary: float
    pixels: int
    error: str = ""


def compare(found: Trace, reference: Trace) -> Outcome:
    difference = None
    if found.logits.shape == reference.logits.shape:
        difference = float(np.abs(found.logits - reference.logits).max(initial=0.0))
    digests = [(t.symbols, t.grid, t.cdf) for t in (found, reference)]
    return Outcome(
        equal=digests[0] == digests[1],
        logits=found.logits.size,
        difference=difference,
        boundary=found.boundary,
        pixels=int(np.abs(found.pixels.astype(int) - reference.pixels).max()),
    )


@contextmanager
def laid_out(codec: Any, layout: str) -> Iterator[None]:
    """The weights of 2D and 3D convolutions in a memory format of all the same kind."""
    import torch

    if layout == "own":
        yield
        return
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    priors = [getattr(codec, name) for name in ("context", "prior") if hasattr(codec, name)]
    networks = [codec.model, *priors]
    parameters = [p for network in networks for p in network.parameters() if p.dim() in formats]
    before = [parameter.data for parameter in parameters]
    for p in parameters:
        wanted = formats[p.dim()] if layout == "channels_last" else torch.contiguous_format
        p.data = p.data.contiguous(memory_format=wanted)
    try:
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data
