"""Recipes: everything that decides what a training yields, as typed records read from YAML."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from neurocodec.errors import InvalidArgument
from neurocodec.nets.cvqn import CVQNConfig


@dataclass(frozen=True)
class DataConfig:
    """Square crops of ``crop`` pixels, ``batch`` a step; the last ``validation`` photographs (by
    name's digest) are held out."""

    crop: int = 192
    batch: int = 4
    validation: int = 16


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


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam with a rate for each part; ``spread`` is the quantizer's π and σ."""

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


@dataclass(frozen=True)
class Recipe:
    """``steps`` ends the run if positive; else ``epochs`` do. An epoch has one crop a photo."""

    name: str
    wire_id: int = 0
    model: CVQNConfig = field(default_factory=CVQNConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    steps: int = 0
    epochs: int = 400
    map_share: float = 0.5  # share of samples trained with the learned importance map
    refresh_importance: int = 10  # epochs between measurements of `re` importance
    checkpoint_every: int = 250
    validate_every: int = 500
    seed: int = 0

    def __str__(self) -> str:
        return yaml.safe_dump(to_dict(self), sort_keys=False)


def to_dict(record: Any) -> Any:
    """A record as plain dicts and lists, for YAML and JSON."""
    if dataclasses.is_dataclass(record):
        return {f.name: to_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    return list(record) if isinstance(record, tuple) else record


def load(path: str | Path) -> Recipe:
    """Read a recipe. Errors name the offending field."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return from_dict(Recipe, raw, str(path))


def from_dict(kind: Any, raw: Any, where: str = "recipe") -> Any:
    """Build a record of type ``kind`` from plain data, checking names and types."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise InvalidArgument(f"{where}: expected a mapping, found {raw!r}")
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(raw) - set(hints))
        if unknown:
            raise InvalidArgument(
                f"{where}: unknown field {unknown[0]!r}; known: {', '.join(hints)}"
            )
        values = {k: from_dict(hints[k], v, f"{where}.{k}") for k, v in raw.items()}
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"{where}: {error}") from error
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if raw not in arguments:
            raise InvalidArgument(
                f"{where}: {raw!r} is not one of {', '.join(map(str, arguments))}"
            )
        return raw
    if origin is tuple:
        if not isinstance(raw, (list, tuple)):
            raise InvalidArgument(f"{where}: expected a list, found {raw!r}")
        if arguments[-1] is not Ellipsis and len(raw) != len(arguments):
            raise InvalidArgument(f"{where}: expected {len(arguments)} values, found {len(raw)}")
        return tuple(from_dict(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(raw))
    if origin is types.UnionType or kind is Any:
        return raw
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise InvalidArgument(f"{where}: expected {kind.__name__}, found {raw!r}")
    return raw
