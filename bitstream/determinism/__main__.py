"""``python -m bitstream.determinism``."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from bitstream.determinism.bench import BITSTREAM, Bench, conformance_files, photographs
from bitstream.determinism.page import Line, page, try_setting
from bitstream.determinism.settings import EMULATED, SETTINGS, Setting


@click.command()
@click.option("--python", "pythons", multiple=True, help="Of another environment, with its torch.")
@click.option("--aarch64", help="A Python for aarch64 that runs here, such as aarch64.sh makes.")
@click.option("--out", type=click.Path(path_type=Path), default=BITSTREAM / "DETERMINISM.md")
def main(pythons: tuple[str, ...], aarch64: str | None, out: Path) -> None:
    """Decode under every setting and write the table."""
    conformance = conformance_files()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), {**conformance, **photographs()})
        lines = []

        def attempt(setting: Setting) -> None:
            line = try_setting(bench, setting)
            if setting.python != sys.executable and line.equal.startswith("not tried"):
                return  # the same reason as above
            lines.append(line)
            click.echo(f"{line.setting}: {line.equal} ({line.difference or '-'})", err=True)

        for python in (sys.executable, *pythons):
            for setting in SETTINGS:
                attempt(replace(setting, python=python))
        if aarch64:
            attempt(replace(EMULATED, python=aarch64))
        else:
            lines.append(Line(EMULATED.name, equal="not tried: no --aarch64 was given"))
        out.write_text(page(bench, list(conformance), lines), encoding="utf-8")
    if not all(line.good for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
