"""What a benchmark of time says and keeps: one table, under what it was measured on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from neurocodec.evaluation.report import table
from neurocodec.image import write_atomically


def markdown(facts: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> str:
    """The rows below a line of facts; their names head the columns."""
    hardware = ", ".join(f"{name} {value}" for name, value in facts.items())
    return f"{hardware}:\n\n" + table(list(rows[0]), [list(row.values()) for row in rows])


def save(path: Path, facts: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
    """The same, separated by tabs, a fact a line."""
    text = io.StringIO("".join(f"# {name}: {value}\n" for name, value in facts.items()))
    text.seek(0, io.SEEK_END)
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
