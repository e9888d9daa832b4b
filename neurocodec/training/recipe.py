"""Recipes: everything that decides what a training yields, as typed records read from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from neurocodec import container
from neurocodec.errors import InvalidArgument
from neurocodec.metrics import MS_SSIM_MIN_SIDE
from neurocodec.nets.comrec import ComRecConfig
from neurocodec.nets.cvqn import CVQNConfig
from neurocodec.nets.gain import QUALITY_MAX, QUALITY_MIN
from neurocodec.nets.vae import VAEConfig
from neurocodec.plain import from_dict, to_dict


@dataclass(frozen=True)
class DataConfig:
    """Square crops of ``crop`` pixels, ``batch`` a step; the first ``validation`` photographs (by
    name's digest) of 256 pixels a side or more are held out."""

    crop: int = 192
    batch: int = 4
    validation: int = 16

    def __post_init__(self) -> None:
        _at_least(self, crop=1, batch=1, validation=0)


@dataclass(frozen=True)
class LossConfig:
    """λ(q)·[distortion + mse_share·MSE] + bpp, λ geometric from quality 1 to quality 100.

    ``likelihood`` weighs the quantizer's optional −log p(Z). ``balance`` divides the loss by
    λ^balance, so that high rates, whose both terms are large, do not drown the low ones.
    ``map_smoothness`` stands for the bytes of the importance map, which gzip codes outside the
    network: bits per unit of total variation.
    """

    distortion: Literal["ms-ssim", "mse"] = "ms-ssim"
    weight: tuple[float, float] = (2.0, 160.0)
    mse_share: float = 0.0
    likelihood: float = 0.0
    balance: float = 0.5
    map_smoothness: float = 4.0

    def __post_init__(self) -> None:
        _weights(self.weight)
        if self.mse_share and self.distortion == "mse":
            raise ValueError("mse_share is beside MS-SSIM: leave it out where distortion is mse")


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam with a rate for each part; ``spread`` is the quantizer's π and σ. ``kernels``: what
    moves the kernels of the larger convolutions, at the same rates."""

    transforms: float = 1e-4
    context: float = 1e-4
    gains: float = 1e-4
    quantizer: float = 5e-5
    spread: float = 1e-5
    clip: float = 5.0
    ema: float = 0.999
    schedule: Literal["cosine", "milestones"] = "milestones"
    warmup: int = 0
    milestones: tuple[int, ...] = (200, 300, 350)  # epochs
    factor: float = 0.2
    kernels: Literal["adam", "muon", "soap"] = "adam"


@dataclass(frozen=True)
class ComRecLossConfig:
    """λ(q)·MSE·255² + bpp for inner `dct`, λ geometric from quality 1 to quality 100.

    Around other inner codecs, which have no gradient, the loss is log MSE, PSNR in other units,
    and the networks alternate: of every ``alternate`` = (r, c) steps, r train RecCNN on decoded
    images and c train ComCNN through it, the codec left out, or, if ``straight_through``, with what
    it does to the picture but its gradient taken as one.
    rate_share: weight of the logarithm of a rate, guessed from the compact picture's DCT, in what
    ComCNN learns; without it, it learns to make pictures that cost more than they gain. About
    0.3 is what a tenfold squared error is worth in rates e-fold apart.
    similarity_share: weight of the logarithm of 1 − SSIM beside that of the squared error; not for
    `dct`.
    half_share: share of batches in which the inner codec carries the compact picture, and
    half_until: their highest quality.
    """

    weight: tuple[float, float] = (0.0006, 0.02)
    half_share: float = 0.5
    half_until: float = 60.0
    alternate: tuple[int, int] = (300, 100)
    straight_through: bool = False
    rate_share: float = 0.3
    similarity_share: float = 0.0

    def __post_init__(self) -> None:
        _weights(self.weight)
        if min(self.alternate) < 0 or not sum(self.alternate):
            raise ValueError(f"alternate {list(self.alternate)}: use steps of one network or both")


@dataclass(frozen=True)
class Recipe:
    """What all recipes have. ``steps`` ends the run if positive; else ``epochs`` do, one crop of
    each photograph an epoch. ``precision``: what residual blocks compute in, see `precision`.
    ``quality_power``: qualities are drawn as an even share of the range to this power; 1.7 spreads
    those of ``cvqn`` about evenly over dB of MS-SSIM, of which quality 50 to 100 has a third."""

    name: str
    codec: str
    wire_id: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    steps: int = 0
    epochs: int = 400
    checkpoint_every: int = 250
    validate_every: int = 500
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    quality_power: float = 1.0

    def __post_init__(self) -> None:
        _at_least(self, checkpoint_every=1, validate_every=1, steps=0, epochs=1)
        if not self.quality_power > 0:
            raise ValueError(f"quality_power {self.quality_power}: use more than 0")

    def __str__(self) -> str:
        return yaml.safe_dump(to_dict(self), sort_keys=False)


@dataclass(frozen=True)
class CVQNRecipe(Recipe):
    """``map_share``: share of samples trained with the learned importance map.
    ``refresh_importance``: epochs between measurements of `re` importance, at least one."""

    codec: Literal["cvqn"] = "cvqn"
    model: CVQNConfig = field(default_factory=CVQNConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    map_share: float = 0.5
    refresh_importance: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        _large_enough(self)
        _whole_blocks(self, 16)
        _at_least(self, refresh_importance=1)
        if self.model.importance == "re" and not self.data.validation:
            raise ValueError("importance re is measured on held-out photographs: data.validation 0")
        model = self.model
        groups = tuple(map(container.Group, model.groups, model.levels))
        levels = model.map_levels
        importance = container.ImportanceMap(1, 1, levels, bytes(1)) if levels else None
        header = container.CVQNHeader(50.0, 0, groups, importance=importance)
        _writable(self, header, sum(model.context.passes))


@dataclass(frozen=True)
class ComRecRecipe(Recipe):
    """``also``: inner codecs besides the model's own that its networks are offered for."""

    codec: Literal["comrec"] = "comrec"
    also: tuple[str, ...] = ()
    model: ComRecConfig = field(default_factory=ComRecConfig)
    loss: ComRecLossConfig = field(default_factory=ComRecLossConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        # Half of a crop is to be whole blocks of `dct`, or of the ×4 of RecCNN.
        _whole_blocks(self, 16 if self.model.inner == "dct" else 8)
        header = container.ComRecHeader(50.0, container.Arrangement.REC, container.Inner.DCT, 50.0)
        _writable(self, header, sum(self.model.dct.context.passes))


@dataclass(frozen=True)
class VAERecipe(Recipe):
    """``qualities``: lowest and highest that are trained; both the same for a single rate."""

    codec: Literal["vae"] = "vae"
    model: VAEConfig = field(default_factory=VAEConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    qualities: tuple[float, float] = (1.0, 100.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _large_enough(self)
        _whole_blocks(self, 16)
        if self.loss.likelihood:
            raise ValueError("loss.likelihood is of cvqn's quantizer: leave it out")
        low, high = self.qualities
        if not QUALITY_MIN <= low <= high <= QUALITY_MAX:
            raise ValueError(f"qualities {[low, high]}: use two of 1 to 100, the lower one first")
        groups = tuple(container.Group(size, 3) for size in self.model.groups)
        _writable(self, container.VAEHeader(50.0, 0, groups), sum(self.model.passes) + 1)


def _writable(recipe: Recipe, header: container.Header, streams: int) -> None:
    """InvalidArgument where the format has no room for what a model of the recipe would write:
    better before the training than at the first picture after it."""
    codec = next(number for number, name in container.CODECS.items() if name == recipe.codec)
    parts = (bytes(1),) * streams
    container.write(
        container.NczFile(codec, recipe.wire_id, bytes(4), 1, 1, container.Mode.RGB, header, parts)
    )


def _weights(weight: tuple[float, float]) -> None:
    if not min(weight) > 0:
        raise ValueError(f"weight {list(weight)}: use numbers above 0, from quality 1 to 100")


def _at_least(record: Any, **least: int) -> None:
    for name, value in least.items():
        if getattr(record, name) < value:
            raise ValueError(f"{name} {getattr(record, name)}: use {value} or more")


def _whole_blocks(recipe: Recipe, side: int) -> None:
    if recipe.data.crop % side:
        raise ValueError(f"data.crop {recipe.data.crop}: use a multiple of {side}")


def _large_enough(recipe: CVQNRecipe | VAERecipe) -> None:
    if recipe.loss.distortion == "ms-ssim" and recipe.data.crop < MS_SSIM_MIN_SIDE:
        raise ValueError(
            f"MS-SSIM needs crops of {MS_SSIM_MIN_SIDE} pixels or more: data.crop "
            f"{recipe.data.crop}"
        )


AnyRecipe = CVQNRecipe | ComRecRecipe | VAERecipe
RECIPES: dict[str, type[CVQNRecipe] | type[ComRecRecipe] | type[VAERecipe]] = {
    "cvqn": CVQNRecipe,
    "comrec": ComRecRecipe,
    "vae": VAERecipe,
}


def load(path: str | Path) -> AnyRecipe:
    """Read a recipe. Errors name the offending field."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not text: give a recipe in YAML") from error
    return build(raw, str(path))


def build(raw: Any, where: str = "recipe") -> AnyRecipe:
    """The recipe that plain data describe; ``codec`` (cvqn, if absent) says of which kind."""
    codec = raw.get("codec", "cvqn") if isinstance(raw, dict) else "cvqn"
    if not isinstance(codec, str) or codec not in RECIPES:
        raise InvalidArgument(f"{where}: codec {codec!r} is not one of {', '.join(RECIPES)}")
    recipe: AnyRecipe = from_dict(RECIPES[codec], raw, where)
    return recipe
