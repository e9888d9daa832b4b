"""One measurement, and the table of them on disk, which survives being interrupted."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from neurocodec.errors import InvalidArgument
from neurocodec.image import write_atomically


@dataclass(frozen=True)
class Row:
    """One codec on one image at one quality."""

    codec: str
    image: str
    quality: float
    """On the codec's own scale."""
    width: int
    height: int
    bytes: int
    """Length of the file."""
    bpp: float
    """Bits of the file per pixel."""
    psnr: float
    """dB over RGB; inf where lossless."""
    ms_ssim: float
    """nan where the image is too small for it."""
    encode_s: float
    decode_s: float
    estimated_bits: float | None = None
    """What the codec's loss would have said (codecs with ``rate_report``), in bits."""
    coded_bits: float | None = None
    """What its entropy coder wrote."""
    file_bits: float | None = None
    """What its file takes."""
    version: str = ""
    """Of the codec's library, or digest of its weights."""
    image_crc32: str = ""
    """Of the image's pixels: another image of the same name is measured anew."""
    psnr_luma: float | None = None
    """dB over BT.601 luma."""
    ssim: float | None = None
    """Mean over R, G, B; nan where the image is too small for it."""
    ssim_luma: float | None = None

    @property
    def key(self) -> tuple[str, str, float]:
        return self.codec, self.image, self.quality


_COLUMNS = [f.name for f in fields(Row)]
_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    float | None: lambda text: float(text) if text else None,
}


def write_rows(
    rows: Sequence[Any], kind: Any = Row, *, delimiter: str = ",", header: bool = True
) -> str:
    """The table as text, one line a row; ``kind`` is their dataclass."""
    text = io.StringIO()
    columns = [f.name for f in fields(kind)]
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def parse_rows(text: str, source: str = "the table") -> list[Row]:
    """Read :func:`write_rows` back; a last line without its newline was torn and is left out.

    Raises :class:`InvalidArgument` for other columns or a line that does not parse.
    """
    reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
    columns = next(reader, _COLUMNS)
    if columns != _COLUMNS:
        raise InvalidArgument(
            f"{source} has other columns than this release writes: move it or choose another folder"
        )
    rows = []
    parsers = [_PARSERS[f.type] for f in fields(Row)]
    for cells in reader:
        try:
            values = [parse(cell) for parse, cell in zip(parsers, cells, strict=True)]
            rows.append(Row(*values))
        except ValueError as error:
            raise InvalidArgument(
                f"{source}, line {reader.line_num}: {error}; mend the line or delete the table"
            ) from error
    return rows


class RowLog:
    """A CSV of rows that grows by one line a measurement.

    Opening it keeps the rows found on disk, the last one of each key, and repairs a torn end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        old = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
        self.rows = {row.key: row for row in parse_rows(old, str(path))}
        clean = write_rows(list(self.rows.values()))
        if clean != old:
            write_atomically(path, clean.encode("utf-8", "surrogateescape"))

    def append(self, row: Row) -> None:
        """Add a row, on disk before this returns; it takes the place of an older one."""
        self.rows[row.key] = row
        with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(write_rows([row], header=False))
