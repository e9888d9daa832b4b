"""Entropy coding of whole tensors: one call, one stream, on whichever backend is there."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurocodec.coding import python_backend, torchac_backend
from neurocodec.coding.cdf import PRECISION, TOTAL, check_cdf, check_symbols, frequencies
from neurocodec.errors import CorruptStream, InvalidArgument, MissingDependency

Backend = Literal["auto", "torchac", "python"]
"""Who codes. The stream is the same; "auto" is torchac, or Python where torchac cannot be built."""

_MAX_ENTRIES = 2**31 - 1  # torchac counts CDF entries in a C int
_ROUNDING = 1.5 * 2**-14  # bits, divided by its count, that a symbol may cost more or less


def encode_symbols(
    cdf: NDArray[np.int16], symbols: NDArray[np.int16], backend: Backend = "auto"
) -> bytes:
    """Code symbols (N,) int16 in [0, L) under a CDF (N, L + 1) int16 (see :mod:`.cdf`).

    The stream is torchac's, 1 to 9 bits longer than the information of the symbols; that of no
    symbols is empty.

    Raises InvalidArgument where an argument breaks the contract, MissingDependency where
    backend="torchac" and torchac cannot be built.
    """
    _check_table(cdf)
    check_symbols(cdf, symbols)
    coder = _choose(backend)
    if len(symbols) == 0:
        return b""
    data: bytes = coder.encode(cdf, symbols)
    return data


def decode_symbols(
    cdf: NDArray[np.int16], data: bytes, backend: Backend = "auto"
) -> NDArray[np.int16]:
    """Decode the N symbols (N,) int16 that :func:`encode_symbols` coded under the same CDF.

    Any bytes decode to some symbols in [0, L), in bounded time and without reading past the end.
    The length of the stream must then fit those symbols, which exposes most damage, trailing bytes,
    and probabilities other than the encoder's; it cannot expose all, hence the file's checksum.

    Raises CorruptStream where the length does not fit, else as :func:`encode_symbols` does.
    """
    _check_table(cdf)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidArgument(f"a coded stream must be bytes, not {type(data).__name__}")
    data = bytes(data)
    coder = _choose(backend)
    symbols = coder.decode(cdf, data) if len(cdf) else np.empty(0, dtype=np.int16)
    _check_length(cdf, symbols, data)
    return symbols


def check_size(count: int, levels: int, size: int) -> None:
    """Raise CorruptStream where no stream of ``size`` bytes holds ``count`` symbols of ``levels``.

    Every symbol keeps a count, and each count takes from the others: a symbol costs at least
    log2(2**16 / (2**16 + 1 - levels)) bits and at most 16. Known before any probability is, this
    keeps a file of a few bytes from asking for the work and memory of a huge picture.

    Raises InvalidArgument where their CDF would be too large for one call.
    """
    _check_entries(count * (levels + 1))
    most_likely = TOTAL + 1 - levels
    least = (PRECISION - math.log2(most_likely)) * (1 - 1e-9) - _ROUNDING / most_likely
    most = PRECISION * (1 + 1e-9) + _ROUNDING
    if not count * least <= 8 * size <= count * most + 9 or (size == 0) != (count == 0):
        raise CorruptStream(
            f"a coded stream of {size} bytes cannot hold {count} symbols: the file is damaged or "
            "its model is not the encoder's; fetch the file again"
        )


def _check_table(cdf: NDArray[np.int16]) -> None:
    check_cdf(cdf)
    _check_entries(cdf.size)


def _check_entries(size: int) -> None:
    if size > _MAX_ENTRIES:
        raise InvalidArgument(
            f"a CDF of {size} entries is too large for one call (at most {_MAX_ENTRIES}): "
            "code in parts, such as tiles"
        )


def _choose(backend: Backend) -> ModuleType:
    if backend == "python":
        return python_backend
    if backend not in ("auto", "torchac"):
        raise InvalidArgument(f"backend {backend!r} is unknown: expected auto, torchac or python")
    try:
        torchac_backend.load()
    except MissingDependency:
        if backend == "torchac":
            raise
        return python_backend
    return torchac_backend


def _check_length(cdf: NDArray[np.int16], symbols: NDArray[np.int16], data: bytes) -> None:
    """Raise CorruptStream where no encoder gives these symbols a stream as long as `data`.

    The coder doubles its interval until it is wider than 2**30 of 2**32, writes one bit for each
    doubling and two more, and fills the last byte: 8 * len(data) exceeds the information coded by
    more than 0 and at most 9 bits. Rounding moves each end of a symbol's share by less than one in
    more than 2**30, hence its information by less than 1.5 * 2**-14 / frequency bits.
    """
    counts = frequencies(cdf, symbols)
    information = PRECISION * len(symbols) - float(np.log2(counts).sum())
    rounding = _ROUNDING * float((1 / counts).sum()) + 1e-9 * information
    if len(symbols) == 0:
        fits = len(data) == 0
    else:
        fits = len(data) > 0 and -rounding <= 8 * len(data) - information <= 9 + rounding
    if not fits:
        raise CorruptStream(
            f"a coded stream of {len(data)} bytes does not fit its {len(symbols)} symbols "
            f"(about {information / 8:.0f} bytes): the file is damaged or its model is not the "
            "encoder's; fetch the file again"
        )
