"""``ncz models``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import click

import neurocodec
from neurocodec import zoo
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
            f"{model.name}{', the default' if model.name == zoo.DEFAULT else ''}: "
            f"codec {model.codec}, wire id {model.wire_id}, "
            f"{model.bytes / 1e6:.1f} MB, digest {model.digest[:8]}, {model.licence}"
        )
        if model.inner:
            click.echo(f"  inner codecs: {', '.join(model.inner)}")
        for name, value in model.scores.items():
            if isinstance(value, Mapping):
                value = ", ".join(f"{key} {one}" for key, one in value.items())
            click.echo(f"  {name.replace('_', ' ')}: {value}")
