"""Shipped models: find them, verify their digest, load each once.

A model is a folder of the package `neurocodec.models` (``models/`` in the repository) with
``model.yaml`` (name, codec, wire id, digest, licence, what its encoder does by default, scores),
``weights.safetensors`` (the networks' configuration in its metadata), the recipe and the card. A
model around inner codecs lists them, its default first: ``inner: [dct]``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurocodec.errors import InvalidArgument, ModelMismatch, UnknownModel

DEFAULT = "vae"
WITH_MAP = "cvqn"
"""The default where a region of interest or an importance map is asked for."""
WEIGHTS = "weights.safetensors"
RETIRED = (*range(1, 13), *range(14, 18), *range(19, 24), *range(26, 30), 33)
"""Wire ids of weights that were replaced before the first release; never given again."""
FOREIGN = 65535
"""The wire id that no shipped model gets: files of weights that no release has."""


@dataclass(frozen=True)
class ModelInfo:
    """digest: SHA-256 of the weights in hex. scores: as measured by ``ncz eval``.

    encoder: options of the codec's class that suit these networks best, such as ``rate_aware``.
    training: its last part's steps and seed, and SHA-256 over names and sizes of the photographs.
    inner: names of the inner codecs that the model works with, the default first; empty for
    codecs that have none.
    """

    name: str
    codec: str
    wire_id: int
    digest: str
    bytes: int
    licence: str
    scores: dict[str, Any]
    encoder: dict[str, Any]
    folder: Path
    inner: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)


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
        inner = tuple(raw.pop("inner", ()))
        found.append(ModelInfo(**raw, bytes=size, folder=path.parent, inner=inner))
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
    if wire_id == FOREIGN:
        raise UnknownModel(
            "the file was made with weights that no release has: decode it with the codec of those "
            "weights (neurocodec.interop)"
        )
    if wire_id in RETIRED:
        raise UnknownModel(
            f"the file needs model {wire_id}, weights from before the first release that no "
            "release has: encode the picture again"
        )
    raise UnknownModel(
        f"the file needs model {wire_id}, which this release does not have: update neurocodec"
    )


def inner_codecs(model: ModelInfo, option: str) -> tuple[str, ...]:
    """The inner codecs that models of this one's codec work with, in the order of the models.

    Raises InvalidArgument where there are none; the message blames ``option``.
    """
    known = dict.fromkeys(
        inner for other in models() if other.codec == model.codec for inner in other.inner
    )
    if not known:
        others = [other.name for other in models() if other.inner]
        remedy = f", or use model {' or '.join(others)}" if others else ""
        raise InvalidArgument(
            f"{option} is for codecs around an inner codec, {model.codec} has none: "
            f"leave it out{remedy}"
        )
    return tuple(known)


def with_inner(name: str, inner: str | None) -> ModelInfo:
    """The model to use for a name and an inner codec: that of the name, if inner is None.

    Otherwise it is that of the name where it works with this inner codec, or else the first of the
    same codec, by wire id, that does.

    Raises UnknownModel, and InvalidArgument where no model of the codec works with it.
    """
    named = by_name(name)
    if inner is None:
        return named
    known = inner_codecs(named, "inner")
    family = [model for model in models() if model.codec == named.codec]
    for model in (named, *family):
        if inner in model.inner:
            return model
    raise InvalidArgument(
        f"no model of {named.codec} knows the inner codec {inner!r}: use one of {', '.join(known)}"
    )


_loading = threading.Lock()


def load(name: str = DEFAULT, device: str = "cpu"):
    """The codec of a shipped model with its weights loaded; cached by name and device."""
    with _loading:
        return _cached(name, device)


def reference(codec: Any) -> tuple[Any, ...] | None:
    """What pickle calls to have this codec again, and the arguments; None unless `load` made it."""
    arguments = getattr(codec, "loaded_from", None)
    return arguments and (_load_again, (*arguments, codec.digest))


def _load_again(name: str, device: str, digest: bytes):
    """Raises ModelMismatch where the model of that name is not the one that was pickled."""
    codec = load(name, device)
    if codec.digest != digest:
        raise ModelMismatch(
            f"the codec was pickled with weights {digest.hex()} of model {name}, installed are "
            f"{codec.digest.hex()}: use the same release of neurocodec in both processes"
        )
    return codec


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

    codec = weights.codec_from_bytes(
        data, name=name, wire_id=info.wire_id, digest=digest.digest()[:4], device=device,
        **info.encoder,
    )  # fmt: skip
    codec.loaded_from = (name, device)
    return codec
