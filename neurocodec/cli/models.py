"""``ncz models``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

import neurocodec
from neurocodec.cli.options import debug_option, json_option


@click.command()
@json_option
@debug_option
def models(as_json: bool) -> None:
    """List the shipped models."""
    found = neurocodec.models()
    if as_json:
        records = [asdict(model) for model in found]
        click.echo(json.dumps(records, indent=2, default=str))
        return
    for model in found:
        click.echo(
            f"{model.name}: codec {model.codec}, wire id {model.wire_id}, "
            f"{model.bytes / 1e6:.1f} MB, digest {model.digest[:8]}, {model.licence}"
        )
        if model.inner:
            click.echo(f"  inner codecs: {', '.join(model.inner)}")
        for name, value in model.scores.items():
            click.echo(f"  {name}: {value}")
