"""Weights files: safetensors with the networks' configuration in the metadata."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from neurocodec.codecs.comrec import ComRecCodec
from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.codecs.vae import VAECodec
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.cvqn import CVQN, CVQNConfig
from neurocodec.nets.vae import VAE, VAEConfig
from neurocodec.plain import from_dict, to_dict


class Kind(NamedTuple):
    """``exact``: beginnings of the names of the tensors that keep single precision.

    Half precision costs nothing measurable in convolutions; gains and levels are few and exact.
    """

    networks: Any
    config: Any
    codec: Any
    exact: tuple[str, ...]


KINDS = {
    "cvqn": Kind(
        CVQN, CVQNConfig, CVQNCodec, ("gain", "inverse_gain", "quantizers", "importance.weight")
    ),
    "comrec": Kind(ComRec, ComRecConfig, ComRecCodec, ("dct.full_steps", "dct.half_steps")),
    "vae": Kind(
        VAE,
        VAEConfig,
        VAECodec,
        ("inverse_gain", "prior.gain", "prior.hyper_gain", "prior.log_unit"),
    ),
}


def to_bytes(model: nn.Module) -> bytes:
    """Freeze networks into the bytes of a weights file."""
    name, kind = next((n, kind) for n, kind in KINDS.items() if isinstance(model, kind.networks))
    tensors = {}
    for key, tensor in model.state_dict().items():
        keep = key.startswith(kind.exact) or not tensor.is_floating_point()
        tensors[key] = (tensor if keep else tensor.half()).contiguous().cpu()
    config = json.dumps(to_dict(model.config), sort_keys=True)
    return serialise(tensors, metadata={"codec": name, "config": config})


def model_from_bytes(data: bytes) -> nn.Module:
    """The networks of a weights file, in float32."""
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    kind = KINDS[metadata.get("codec", "cvqn")]
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours to advance
        model: nn.Module = kind.networks(from_dict(kind.config, json.loads(metadata["config"])))
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in parse(data).items()}
    model.load_state_dict(tensors, assign=True)
    return model


def codec_from_bytes(data: bytes, **options: Any) -> Any:
    """The codec of a weights file; ``options`` as its class takes them."""
    model = model_from_bytes(data)
    kind = next(kind for kind in KINDS.values() if isinstance(model, kind.networks))
    return kind.codec(model, **options)
