"""Grafting: a start for CVQN with the networks of one file and the block transform of another.

What a VAE has learned of block transform, overlap, companding and steps serves CVQN as well: its
latent is laid out alike, and only the scale differs (grey levels there, [0, 1] here). The networks
beside the transform corrected another one. Their corrections begin at nothing; what they have
learned to see is soon of use again.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neurocodec.codecs import weights
from neurocodec.errors import InvalidArgument
from neurocodec.image import write_atomically
from neurocodec.nets.block_transform import BLOCK
from neurocodec.nets.cvqn import CVQN, CVQNConfig
from neurocodec.nets.vae import VAE
from neurocodec.training import data, recipe
from neurocodec.training.cvqn import with_levels
from neurocodec.training.run import VALIDATION_CROP

GREY = 255.0
PHOTOGRAPHS = 16  # to measure on: the first of those that the trainer holds out
WITHIN = 0.9997  # share of a channel's coefficients that its levels are to reach
# Weighing bits, the encoder rounds towards zero: what it gives a level lies outside it on average.
OUTWARD, OUTWARD_REACH = 0.25, 1.2


@torch.no_grad()
def graft(config: CVQNConfig, networks: CVQN, transforms: VAE, crops: Tensor) -> CVQN:
    """CVQN with the blocks of ``networks`` and otherwise as ``config``, which may have more levels.

    crops: (N, 3, H, W) in [0, 1], multiples of 16, on which the scales of the two latents and the
    range of the levels are measured. Raises InvalidArgument where the three do not fit together.
    """
    config = dataclasses.replace(
        config,
        encoder_blocks=networks.config.encoder_blocks,
        decoder_blocks=networks.config.decoder_blocks,
    )
    check(config, networks.config, transforms)
    model = CVQN(config)
    state = model.state_dict()  # the model's own tensors: to write here is to write there
    block = {**transform_of(transforms), **gains_of(transforms)}
    for name, value in with_levels(networks, config.levels).items():
        if name in state and name not in block:
            state[name].copy_(value)
    for name, value in block.items():
        state[name].copy_(value)
    for tail in ("encoder.tail", "decoder.tail"):
        state[f"{tail}.weight"].zero_()
        state[f"{tail}.bias"].zero_()
    for index, levels in enumerate(config.levels):
        state[f"quantizers.{index}.mu"].copy_(level_values(levels))

    blocks, known = (linear(of, crops) for of in (model, networks))
    state["decoder.stages.0.weight"] *= ratio(known, blocks)[:, None, None]
    keep_within(model, by_channel(model.compand(blocks)))
    return model


def check(config: CVQNConfig, networks: CVQNConfig, transforms: VAE) -> None:
    """Raises InvalidArgument where a graft of these would not be a whole."""
    theirs = transforms.config
    same = ("channels", "companding", "overlap", "gain_anchors")
    unlike = [name for name in same if getattr(config, name) != getattr(theirs, name)]
    if unlike:
        raise InvalidArgument(
            f"the transforms are of another {unlike[0]} than the recipe's: its {', '.join(same)} "
            "must be those of the vae"
        )
    free: dict[str, Any] = {"companding": 0.0, "overlap": 0.0, "levels": config.levels}
    alike = len(config.groups) == len(networks.groups) and (
        dataclasses.replace(config, **free) == dataclasses.replace(networks, **free)
    )
    pairs = list(zip(config.levels, networks.levels, strict=False))
    if not alike or any(more < less or (more - less) % 2 for more, less in pairs):
        raise InvalidArgument(
            "the networks are of another shape than the recipe's: they may differ in blocks, "
            "companding and overlap, and in levels added at both ends"
        )
    if not config.linear_path or config.importance != "predefined":
        raise InvalidArgument("a graft needs linear_path true and importance predefined: use those")
    if any(levels % 2 == 0 for levels in config.levels):
        raise InvalidArgument(f"levels {config.levels}: use odd numbers, that there is a zero")


def transform_of(vae: VAE) -> dict[str, Tensor]:
    """Block transform, overlap and companding under the names that `CVQN` has for them."""
    found = {}
    for name, side, outer, inner in (
        ("analysis_basis", vae.analysis, "pre_filter", "compand"),
        ("synthesis_basis", vae.synthesis, "post_filter", "expand"),
    ):
        found[name] = side.basis.view(-1, 3, BLOCK, BLOCK)
        for tensor, value in side.overlap.state_dict().items():
            found[f"{outer}.{tensor}"] = value
        for tensor, value in getattr(vae, inner).state_dict().items():
            found[f"{inner}.{tensor}"] = value
    return found


def gains_of(vae: VAE) -> dict[str, Tensor]:
    """Both gains, for latents of pictures in [0, 1]."""
    return {
        "gain.log_gain": vae.prior.gain.log_gain + math.log(GREY),
        "inverse_gain.log_gain": vae.inverse_gain.log_gain - math.log(GREY),
    }


def level_values(levels: int) -> Tensor:
    """What an odd number of levels stand for, in steps: 0, and ±(k + ¼·(1 − e^(−k/1.2)))."""
    k = torch.arange(1, levels // 2 + 1, dtype=torch.float32)
    upper = k + OUTWARD * (1 - torch.exp(-k / OUTWARD_REACH))
    return torch.cat([-upper.flip(0), torch.zeros(1), upper])


def linear(model: CVQN, crops: Tensor) -> Tensor:
    """What the block transform alone makes of pictures (N, 3, H, W): (N, C, h, w), which is about
    what the decoder sees, where the companding is undone."""
    return F.conv2d(model.pre_filter(crops - 0.5), model.analysis_basis, stride=BLOCK)


def by_channel(values: Tensor) -> Tensor:
    """(N, C, h, w) -> (C, N·h·w)."""
    return values.transpose(0, 1).flatten(1)


def ratio(wanted: Tensor, given: Tensor) -> Tensor:
    """The factor a channel by which ``given``, (N, C, h, w), comes nearest to ``wanted``: (C,); 1
    for a channel in which there is nothing."""
    power = given.square().sum(dim=(0, 2, 3))
    return torch.where(power > 0, (wanted * given).sum(dim=(0, 2, 3)) / power, 1.0)


def keep_within(model: CVQN, latent: Tensor) -> None:
    """Lower the model's gains where `WITHIN` of a channel's coefficients, (C, n), would not find a
    level."""
    usual = latent.abs().kthvalue(int(latent.shape[1] * WITHIN), dim=1).values
    groups = zip(model.config.groups, model.config.levels, strict=True)
    reach = torch.cat([torch.full((size,), levels // 2 + 0.3) for size, levels in groups])
    excess = (model.gain.log_gain - (reach / usual).log()).clamp(min=0)
    model.gain.log_gain.sub_(excess)
    model.inverse_gain.log_gain.add_(excess)


def main() -> None:
    """``python -m neurocodec.training.graft RECIPE --networks A --transforms B …``"""
    import click

    from neurocodec.errors import NczError

    file = click.Path(exists=True, dir_okay=False, path_type=Path)

    @click.command()
    @click.argument("recipe_file", metavar="RECIPE", type=file)
    @click.option("--networks", required=True, type=file, help="Weights of a cvqn.")
    @click.option("--transforms", required=True, type=file, help="Weights of a vae.")
    @click.option("--data", "folders", required=True, multiple=True, help="Folder of photographs.")
    @click.option("--out", required=True, type=click.Path(path_type=Path), help="Weights to write.")
    def command(
        recipe_file: Path, networks: Path, transforms: Path, folders: tuple[str, ...], out: Path
    ) -> None:
        """Write weights that `ncz train RECIPE --start` can begin with."""
        try:
            config = recipe.load(recipe_file)
            ours, theirs = weights.load(networks), weights.load(transforms)
            if not isinstance(config, recipe.CVQNRecipe):
                raise InvalidArgument(f"{recipe_file} is no recipe of cvqn: give one")
            if not isinstance(ours, CVQN) or not isinstance(theirs, VAE):
                raise InvalidArgument("--networks takes weights of cvqn, --transforms those of vae")
            torch.manual_seed(config.seed)
            paths = data.list_photos(folders)[: 2 * PHOTOGRAPHS]
            large = data.decode(paths, VALIDATION_CROP)[:PHOTOGRAPHS]
            if not large:
                raise InvalidArgument(
                    f"the first photographs are all below {VALIDATION_CROP} pixels a side: give "
                    "folders of larger ones"
                )
            crops = data.centre_crops(large, VALIDATION_CROP)
            model = graft(config.model, ours, theirs, crops)
            write_atomically(out, weights.to_bytes(model))
        except (NczError, OSError) as error:
            raise click.ClickException(str(error)) from error
        click.echo(out)

    command()


if __name__ == "__main__":
    main()
