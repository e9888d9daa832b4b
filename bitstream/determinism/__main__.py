"""``python -m bitstream.determinism``."""

from __future__ import annotations

import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from bitstream.determinism.bench import BITSTREAM, Bench, conformance_files, photographs
from bitstream.determinism.page import Line, page, try_setting
from bitstream.determinism.settings import SETTINGS

EMULATION = "needs qemu-user-static and an arm64 system with torch"


@click.command()
@click.option("--python", "pythons", multiple=True, help="Of another environment, with its torch.")
@click.option("--out", type=click.Path(path_type=Path), default=BITSTREAM / "DETERMINISM.md")
def main(pythons: tuple[str, ...], out: Path) -> None:
    """Decode under every setting and write the table."""
    conformance = conformance_files()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), {**conformance, **photographs()})
        lines = []
        for python in (sys.executable, *pythons):
            for setting in SETTINGS:
                line = try_setting(bench, replace(setting, python=python))
                if python != sys.executable and line.equal.startswith("not tried"):
                    continue  # the same reason as above
                lines.append(line)
                click.echo(f"{line.setting}: {line.equal} ({line.difference or '-'})", err=True)
        if platform.machine() not in ("aarch64", "arm64"):
            lines.append(Line("aarch64, emulated", equal=f"not tried: {EMULATION}"))
        out.write_text(page(bench, list(conformance), lines), encoding="utf-8")
    if not all(line.good for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
