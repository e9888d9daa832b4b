"""Shipped models: find them, verify their digest, load each once.

A model is a folder of the package `neurocodec.models` (``models/`` in the repository) with
``model.yaml`` (name, codec, wire id, digest, licence, scores), ``weights.safetensors`` (the
networks' configuration in its metadata), the recipe and the card.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocodec.errors import ModelMismatch, UnknownModel

DEFAULT = "cvqn"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class ModelInfo:
    """digest: SHA-256 of the weights in hex. scores: as measured by ``ncz eval``."""

    name: str
    codec: str
    wire_id: int
    digest: str
    bytes: int
    licence: str
    scores: dict[str, Any]
    default_quality: float
    default_map: bool
    folder: Path


def folder() -> Path:
    """Where the models are: the installed package, or ``models/`` beside a source tree."""
    spec = importlib.util.find_spec("neurocodec.models")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    beside = Path(__file__).resolve().parent.parent / "models"
    if not beside.is_dir():
        raise UnknownModel("no models are installed: reinstall neurocodec")
    return beside


@functools.cache
def models() -> tuple[ModelInfo, ...]:
    """All shipped models by wire id. Reads no weights."""
    import yaml

    found = []
    for path in folder().glob("*/model.yaml"):
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        size = (path.parent / WEIGHTS).stat().st_size
        found.append(ModelInfo(**raw, bytes=size, folder=path.parent))
    return tuple(sorted(found, key=lambda model: model.wire_id))


def by_name(name: str) -> ModelInfo:
    for model in models():
        if model.name == name:
            return model
    known = ", ".join(model.name for model in models())
    raise UnknownModel(f"no model is called {name!r}: use one of {known}")


def by_wire_id(wire_id: int) -> ModelInfo:
    for model in models():
        if model.wire_id == wire_id:
            return model
    raise UnknownModel(
        f"the file needs model {wire_id}, which this release does not have: update neurocodec"
    )


_loading = threading.Lock()


def load(name: str = DEFAULT, device: str = "cpu"):
    """The codec of a shipped model with its weights loaded; cached by name and device."""
    with _loading:
        return _cached(name, device)


@functools.cache
def _cached(name: str, device: str):
    info = by_name(name)
    data = (info.folder / WEIGHTS).read_bytes()
    digest = hashlib.sha256(data)
    if digest.hexdigest() != info.digest:
        raise ModelMismatch(
            f"the weights of {name} are damaged (SHA-256 {digest.hexdigest()[:8]}…, expected "
            f"{info.digest[:8]}…): reinstall neurocodec"
        )
    from neurocodec.codecs import weights

    return weights.codec_from_bytes(
        data, name=name, wire_id=info.wire_id, digest=digest.digest()[:4], device=device,
        default_map=info.default_map,
    )  # fmt: skip
