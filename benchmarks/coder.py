"""How long probabilities and entropy coding take: python benchmarks/coder.py

For each shape: symbols drawn from random CDFs, the round trip verified, one warm-up, then the best
of five runs, in milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from neurocodec.coding import cdf_from_grid, decode_symbols, encode_symbols, entropy_bits, snap
from neurocodec.coding.torchac_backend import load
from neurocodec.errors import MissingDependency

SHAPES = [(100_000, 7), (150_000, 7), (100_000, 3), (5_000, 129), (150_000, 65)]
RUNS = 5


def milliseconds(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def measure(count: int, levels: int, backends: list[str]) -> list[str]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, levels))
    grid = snap(logits)
    cdf = cdf_from_grid(grid)
    target = rng.integers(0, 2**16, (count, 1))
    symbols = ((cdf.view(np.uint16)[:, :-1] <= target).sum(axis=1) - 1).astype(np.int16)
    cells = [
        f"{count:>7} x {levels:<4}",
        f"{milliseconds(lambda: snap(logits)):8.1f}",
        f"{milliseconds(lambda: cdf_from_grid(grid)):8.1f}",
    ]
    for backend in backends:
        data = encode_symbols(cdf, symbols, backend)
        if not np.array_equal(decode_symbols(cdf, data, backend), symbols):
            raise SystemExit(f"{backend}: the round trip of {count} x {levels} fails")
        encode = milliseconds(lambda backend=backend: encode_symbols(cdf, symbols, backend))
        decode = milliseconds(lambda backend=backend, d=data: decode_symbols(cdf, d, backend))
        cells += [f"{encode:14.1f}", f"{decode:14.1f}"]
    excess = 800 * len(data) / entropy_bits(cdf, symbols) - 100
    return [*cells, f"{excess:9.4f} %"]


def main() -> None:
    backends = ["torchac", "python"]
    try:
        load()
    except MissingDependency as error:
        print(error)
        backends = ["python"]
    head = f"{'symbols x L':<14} {'snap':>8} {'CDF':>8}"
    for backend in backends:
        head += f" {backend + ' enc':>14} {backend + ' dec':>14}"
    print(head, f"{'excess':>11}")
    for count, levels in SHAPES:
        print(*measure(count, levels, backends))


if __name__ == "__main__":
    main()
