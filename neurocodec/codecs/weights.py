"""Weights files: safetensors with the networks' configuration in the metadata."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise

from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.nets.cvqn import CVQN, ContextConfig, CVQNConfig

# Half precision costs nothing measurable in convolutions; gains and levels are few and exact.
KEEP_FLOAT32 = ("gain", "inverse_gain", "quantizers", "importance.weight")


def to_bytes(model: CVQN) -> bytes:
    """Freeze networks into the bytes of a weights file."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        keep = name.startswith(KEEP_FLOAT32) or not tensor.is_floating_point()
        tensors[name] = (tensor if keep else tensor.half()).contiguous().cpu()
    config = json.dumps(dataclasses.asdict(model.config), sort_keys=True)
    return serialise(tensors, metadata={"config": config})


def config_of(data: bytes) -> CVQNConfig:
    """The configuration in a weights file's metadata."""
    length = int.from_bytes(data[:8], "little")
    raw = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["config"])
    raw["context"] = ContextConfig(**_with_tuples(raw["context"]))
    return CVQNConfig(**_with_tuples(raw))


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; frozen records hold tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}


def model_from_bytes(data: bytes) -> CVQN:
    """The networks of a weights file, in float32."""
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours to advance
        model = CVQN(config_of(data))
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in parse(data).items()}
    model.load_state_dict(tensors, assign=True)
    return model


def codec_from_bytes(data: bytes, **options: Any) -> CVQNCodec:
    """The codec of a weights file; ``options`` as `CVQNCodec` takes them."""
    return CVQNCodec(model_from_bytes(data), **options)
