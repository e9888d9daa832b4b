"""Weights files: safetensors with the networks' configuration in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from neurocodec.codecs.comrec import ComRecCodec
from neurocodec.codecs.cvqn import CVQNCodec
from neurocodec.codecs.vae import VAECodec
from neurocodec.errors import InvalidArgument
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.cvqn import CVQN, CVQNConfig
from neurocodec.nets.vae import VAE, VAEConfig
from neurocodec.plain import from_dict, to_dict

SCALE = ".scale"  # a kernel of eight bits NAME has its scales beside it,
FIRST = ".first"  # and its first output channels in half precision, where they need that
KERNEL = 4  # dimensions of a convolution's weight, at least


class Kind(NamedTuple):
    """``exact``, ``coarse``: beginnings of the names of the tensors that keep single precision, and
    of those others whose kernels get eight bits; all else gets half precision. ``half``: kernels
    whose first output channels, as many as it says, get half precision too.

    Half precision costs nothing measurable in convolutions; gains and levels are few and exact.
    Eight bits and a scale an output channel cost the shipped models 0.05 to 0.2 % of the rate:
    most of these kernels only correct what a block transform, or an inner codec, gives. A block
    transform itself needs more where its coefficients are large.
    """

    networks: Any
    config: Any
    codec: Any
    exact: tuple[str, ...]
    coarse: tuple[str, ...]
    half: Mapping[str, int] = MappingProxyType({})


KINDS = {
    "cvqn": Kind(
        CVQN,
        CVQNConfig,
        CVQNCodec,
        exact=("gain", "inverse_gain", "quantizers", "importance.weight", "decoder.group_gains"),
        coarse=("encoder", "decoder", "map", "context", "analysis_basis", "synthesis_basis"),
        half={"analysis_basis": 32, "synthesis_basis": 32},
    ),
    "comrec": Kind(
        ComRec,
        ComRecConfig,
        ComRecCodec,
        exact=("dct.full_steps", "dct.half_steps"),
        coarse=("com", "rec", "dct.context"),
    ),
    "vae": Kind(
        VAE,
        VAEConfig,
        VAECodec,
        exact=("inverse_gain", "prior.gain", "prior.hyper_gain", "prior.log_unit"),
        coarse=("analysis", "synthesis", "hyper_analysis", "prior"),
        half={"analysis.basis": 24, "synthesis.basis": 24},
    ),
}


def to_bytes(model: nn.Module) -> bytes:
    """Freeze networks into the bytes of a weights file."""
    name, kind = next((n, kind) for n, kind in KINDS.items() if isinstance(model, kind.networks))
    tensors = {}
    for key, tensor in model.state_dict().items():
        if key.startswith(kind.exact) or not tensor.is_floating_point():
            tensors[key] = tensor
        elif tensor.dim() < KERNEL or not key.startswith(kind.coarse):
            tensors[key] = tensor.half()
        else:
            tensors[key], tensors[key + SCALE] = in_eight_bits(tensor)
            if key in kind.half:
                tensors[key + FIRST] = tensor[: kind.half[key]].half()
    tensors = {key: tensor.contiguous().cpu() for key, tensor in tensors.items()}
    config = json.dumps(to_dict(model.config), sort_keys=True)
    return serialise(tensors, metadata={"codec": name, "config": config})


def in_eight_bits(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """A kernel (out, in, …) -> int8 of its shape, within ±127, and float32 scales (out, 1, …)."""
    rows = kernel.detach().flatten(1)
    scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
    shape = (-1, *[1] * (kernel.dim() - 1))
    return (rows / scale).round().to(torch.int8).view(kernel.shape), scale.view(shape)


def widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they are stored -> in float32, integers that are no kernels as they are."""
    found = {}
    for name, tensor in tensors.items():
        if name + SCALE in tensors:
            found[name] = tensor.float() * tensors[name + SCALE]
            if name + FIRST in tensors:
                first = tensors[name + FIRST]
                found[name][: len(first)] = first
        elif not name.endswith((SCALE, FIRST)):
            found[name] = tensor.float() if tensor.is_floating_point() else tensor
    return found


def model_from_bytes(data: bytes) -> nn.Module:
    """The networks of a weights file, in float32."""
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    kind = KINDS[metadata.get("codec", "cvqn")]
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours to advance
        model: nn.Module = kind.networks(from_dict(kind.config, json.loads(metadata["config"])))
    model.load_state_dict(widened(parse(data)), assign=True)
    return model


def load(path: Path) -> nn.Module:
    """As `model_from_bytes`. Raises InvalidArgument where the file holds no weights, OSError."""
    data = path.read_bytes()
    try:
        return model_from_bytes(data)
    except (LookupError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgument(
            f"{path} holds no weights of this release ({reason}): give a weights.safetensors, or a "
            "checkpoint.pt"
        ) from error


def codec_from_bytes(data: bytes, **options: Any) -> Any:
    """The codec of a weights file; ``options`` as its class takes them."""
    model = model_from_bytes(data)
    kind = next(kind for kind in KINDS.values() if isinstance(model, kind.networks))
    return kind.codec(model, **options)
