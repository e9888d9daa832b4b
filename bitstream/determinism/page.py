"""DETERMINISM.md."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from bitstream.determinism.bench import Bench
from bitstream.determinism.settings import Setting, obstacle
from neurocodec.coding.grid import guard_for
from neurocodec.evaluation import hardware

MAX_PIXEL_DIFFERENCE = 1
"""Grey levels by which the synthesis networks, in float32, may differ between machines."""


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    setting: str
    torch: str = ""
    compared: str = ""
    equal: str = ""
    difference: str = ""
    boundary: str = ""
    pixels: str = ""
    good: bool = True


def try_setting(bench: Bench, setting: Setting) -> Line:
    """Run it, or say why not."""
    reason = obstacle(setting)
    if reason:
        return Line(setting.name, equal=f"not tried: {reason}")
    try:
        version, outcomes = bench.run(setting)
    except RuntimeError as error:
        return Line(setting.name, equal=f"**did not run**, {error}", good=False)
    results = outcomes.values()
    unequal = [name for name, outcome in outcomes.items() if not outcome.equal]
    differences = [o.difference for o in results if o.difference is not None]
    pixels = max(o.pixels for o in results)
    return Line(
        setting.name,
        version,
        f"{len(outcomes)} files, {sum(o.logits for o in results):,} logits",
        f"**no**: {', '.join(unequal)}" if unequal else "yes",
        f"{max(differences):.1e}" if len(differences) == len(outcomes) else "other logits",
        f"{min(o.boundary for o in results):.1e}",
        str(pixels),
        good=not unequal and pixels <= MAX_PIXEL_DIFFERENCE,
    )


def page(bench: Bench, conformance: Sequence[str], lines: Sequence[Line]) -> str:
    """DETERMINISM.md."""
    facts = hardware.describe(threads=1)
    together = hashlib.sha256("".join(bench.traces[n].grid for n in conformance).encode())
    largest = max(found.logits.size for found in bench.traces.values())
    heads = (
        "setting of the decoder", "torch", "compared", "equal", "logits differ by at most",
        "nearest boundary", "pixels differ by at most",
    )  # fmt: skip
    rows = [heads, ("---",) * len(heads)]
    rows += [astuple(line)[: len(heads)] for line in lines]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""# The same symbols on every machine: what was tried

Written by `python -m bitstream.determinism`; do not edit. Files are encoded with torch
{facts["torch"]} on one thread, or taken from `conformance/`, and decoded by a fresh process a line.
*Equal* means: all symbols, all grid indices (the integers that the probabilities are made of) and
all CDFs. The next two columns say how much room there was: a symbol is at risk where the logits
differ by as much as one of them is away from a rounding boundary of the grid. The encoder sees to
a distance of {guard_for(largest):.0e} at least (SPEC, grid_offset). Logits that differ by 0 mean
that the setting does not reach the float64 arithmetic; pixels, from float32, may still differ, by
one grey level at most. Files of an inner codec such as JPEG have no logits, only pixels.

Machine: {facts["cpu"]}, {facts["cores"]} cores, {facts["system"]}.

{table}

The grid indices of the {len(conformance)} conformance files together have the SHA-256
`{together.hexdigest()}`;
another machine that runs this script must arrive at the same.
"""
