"""What a benchmark says and keeps: tables, under what they were measured on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurocodec.evaluation.report import table
from neurocodec.evaluation.rows import Row, write_rows
from neurocodec.image import write_atomically


def markdown(facts: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> str:
    """The rows below a line of facts; their names head the columns."""
    hardware = ", ".join(f"{name} {value}" for name, value in facts.items())
    return f"{hardware}:\n\n" + table(list(rows[0]), [list(row.values()) for row in rows])


def save(path: Path, facts: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
    """The same, separated by tabs, a fact a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(path, facts, text.getvalue())


def save_rows(path: Path, facts: Mapping[str, str], rows: Sequence[Any], kind: Any = Row) -> None:
    """As `save`, of records of the dataclass ``kind``."""
    _write(path, facts, write_rows(rows, kind, delimiter="\t"))


def _write(path: Path, facts: Mapping[str, str], table: str) -> None:
    head = "".join(f"# {name}: {value}\n" for name, value in facts.items())
    # Images may be called what is no UTF-8.
    write_atomically(path, (head + table).encode("utf-8", "surrogateescape"))
