"""Freezing: a checkpoint becomes a shipped model that loads without the training code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from neurocodec.codecs import weights
from neurocodec.errors import InvalidArgument
from neurocodec.image import write_atomically
from neurocodec.training import recipe
from neurocodec.training.run import load_checkpoint, system_of
from neurocodec.zoo import WEIGHTS

LICENCE = "Apache-2.0"


def averaged(
    checkpoint: str | Path, under: str | Path | None = None
) -> tuple[recipe.AnyRecipe, nn.Module, dict[str, Any]]:
    """Recipe and averaged networks of a checkpoint, and what is to be said of their training: the
    steps, the seed and, as far as it is known, `data.digest` of the photographs.

    under: a recipe to take instead of the checkpoint's own, of networks of the same shapes: wire id
    and whatever the networks do not depend on may be decided after the training.
    """
    state = load_checkpoint(Path(checkpoint))
    began = recipe.build(state["recipe"])
    config = began if under is None else recipe.load(under)
    system = system_of(config)
    model = system.build()
    try:
        model.load_state_dict(state["average"])
    except RuntimeError as error:
        raise InvalidArgument(
            f"{checkpoint} holds networks of another shape than the recipe's: freeze it under the "
            "recipe that it was trained with"
        ) from error
    model = system.finished(model.eval().requires_grad_(False))
    trained = {
        "steps": state["step"],
        "seed": began.seed,
        "photographs": state.get("photographs", ""),
    }
    return config, model, trained


def freeze(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    encoder: Mapping[str, Any] | None = None,
    under: str | Path | None = None,
) -> Path:
    """Write ``weights.safetensors`` and ``model.yaml`` (scores empty until measured).

    Returns the path of model.yaml. Weights that decode differently from those shipped before need
    a new wire id in the recipe. encoder: see `zoo.ModelInfo`. under: see `averaged`.
    """
    config, model, trained = averaged(checkpoint, under)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    data = weights.to_bytes(model)
    try:
        weights.codec_from_bytes(data, **dict(encoder or {}))
    except TypeError as error:
        raise InvalidArgument(f"encoder {dict(encoder or {})} is not for {config.codec}") from error
    write_atomically(out / WEIGHTS, data)
    record = {
        "name": config.name,
        "codec": config.codec,
        "wire_id": config.wire_id,
        "digest": hashlib.sha256(data).hexdigest(),
        "licence": LICENCE,
        "encoder": dict(encoder or {}),
        "training": trained,
        "scores": {},
    }
    if isinstance(config, recipe.ComRecRecipe):
        record["inner"] = [config.model.inner, *config.also]
    path = out / "model.yaml"
    write_atomically(path, yaml.safe_dump(record, sort_keys=False).encode())
    return path


def main() -> None:
    """``python -m neurocodec.training.freeze CHECKPOINT FOLDER``"""
    import click

    from neurocodec.errors import NczError

    @click.command()
    @click.argument("checkpoint", type=click.Path(exists=True))
    @click.argument("folder", type=click.Path())
    @click.option("--encoder", default="{}", help="YAML, such as '{rate_aware: 0.05}'.")
    @click.option("--recipe", "under", type=click.Path(exists=True), help="Instead of its own.")
    def command(checkpoint: str, folder: str, encoder: str, under: str | None) -> None:
        """Make CHECKPOINT a model to ship in FOLDER."""
        try:
            options = yaml.safe_load(encoder)
        except yaml.YAMLError:
            options = None
        if not isinstance(options, dict):
            raise click.BadParameter("give a mapping in YAML", param_hint="--encoder")
        try:
            click.echo(freeze(checkpoint, folder, encoder=options, under=under))
        except (NczError, OSError) as error:
            raise click.ClickException(str(error)) from error

    command()


if __name__ == "__main__":
    main()
