"""Networks of CompressAI as codecs that write and read .ncz files.

    from neurocodec.interop.compressai import from_compressai, load_checkpoint

    codec = from_compressai(load_checkpoint("net.pth.tar", "mbt2018-mean"), name="mine")
    data = codec.encode("photo.png")

The hyper-latent, or the latent of a network without one, is coded under what the network's entropy
bottleneck says of each channel; the latent of a hyperprior under Gaussians. Both are computed in
float64 and snapped to the coder's grids (DESIGN 5), where CompressAI indexes its tables by scales
in float32: its own strings may decode to noise on another machine.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neurocodec import coding, container, zoo
from neurocodec.codecs.base import Attempt, Codec, pad, to_tensor
from neurocodec.coding.cdf import MAX_LEVELS
from neurocodec.container import Box, layout
from neurocodec.errors import CorruptStream, InvalidArgument, MalformedHeader, MissingDependency
from neurocodec.image import Photo
from neurocodec.nets import gaussian

QUALITY = 50.0
"""What the files say: the rate is that of the weights."""

MARGIN = 64
"""What the format gives tiles of codec 3; the synthesis of these networks looks 30 pixels far."""

FILLED = ("._offset", "._quantized_cdf", "._cdf_length", ".scale_table")
"""Ends of the names of the tables that CompressAI's ``update()`` fills for its own coder."""

_REACH = (MAX_LEVELS - 1) // 2
_TINIEST = 1e-9  # CompressAI's bound of a likelihood


def from_compressai(
    model: Any,
    *,
    name: str,
    wire_id: int = zoo.FOREIGN,
    device: str | torch.device = "cpu",
) -> CompressAICodec:
    """The codec of a network of CompressAI, of which it keeps a copy.

    model: FactorizedPrior, FactorizedPriorReLU, ScaleHyperprior or MeanScaleHyperprior of
    ``compressai.models``, or a subclass that changes none but their layers. name: for messages.
    wire_id: what files name the model by; the default is the one that no release gives to a model,
    so that files are told apart by the digest of the weights alone.

    Raises InvalidArgument for any other network, MissingDependency without compressai.
    """
    models = require_models()
    known = (models.FactorizedPrior, models.ScaleHyperprior, models.MeanScaleHyperprior)
    # What `forward` does is what `CompressAICodec` does: who has another one is another codec.
    if getattr(type(model), "forward", None) not in {one.forward for one in known}:
        names = ", ".join(one.__name__ for one in known)
        raise InvalidArgument(
            f"a network of type {type(model).__name__} cannot be made a codec: use one of {names}"
        )
    return CompressAICodec(model, name=name, wire_id=wire_id, device=device)


def load_checkpoint(path: str | os.PathLike[str], architecture: str) -> Any:
    """The network of a checkpoint: its state dict, or a dict that has it as ``state_dict``.

    architecture: its name in CompressAI, such as "bmshj2018-factorized", "bmshj2018-hyperprior" or
    "mbt2018-mean"; the numbers of channels are those of the checkpoint.

    Raises InvalidArgument where the file is no such checkpoint, OSError where it cannot be opened,
    MissingDependency without compressai.
    """
    require_models()
    from compressai.registry import MODELS
    from compressai.zoo.pretrained import load_pretrained

    if architecture not in MODELS:
        raise InvalidArgument(
            f"compressai has no architecture {architecture!r}: use one of {', '.join(MODELS)}"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, Mapping) and "state_dict" in state:
            state = state["state_dict"]
        with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours to advance
            return MODELS[architecture].from_state_dict(load_pretrained(state))
    except OSError:
        raise
    except (AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError,
            pickle.UnpicklingError) as error:  # fmt: skip
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidArgument(
            f"{os.fspath(path)} is no checkpoint of {architecture} ({reason}): "
            "give a state dict saved by torch.save, and its own architecture"
        ) from error


def digest_of(model: Any) -> bytes:
    """SHA-256 of a network's weights: for each entry of its state dict, sorted, the name, a zero
    byte, and the values as little-endian float32.

    Entropy tables that ``update()`` fills are left out: nothing here looks at them.
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.endswith(FILLED):
            values = tensor.detach().cpu().float().numpy()
            sha.update(name.encode() + b"\0" + values.astype("<f4").tobytes())
    return sha.digest()


@dataclass(frozen=True)
class Analysis:
    """The integers of a picture, in the order of coding, and the latent that they stand for.

    parts: (1, C, h, w) int64 each. hat: (1, M, h, w) float64. parameters: (N, 3) float64, in units
    of the grid, of the Gaussians of the second part; (0, 3) where there is none.
    """

    photo: Photo
    parts: tuple[Tensor, ...]
    hat: Tensor
    parameters: NDArray[np.float64]


class Gaussians(NamedTuple):
    """What a hyperprior says of the latent's symbols; see `Analysis` for parameters."""

    means: Tensor  # (1, M, h, w) float64
    parameters: NDArray[np.float64]


class CompressAICodec(Codec):
    """Encodes and decodes with one set of weights; safe to share between threads.

    Files have the header of `vae`: a group for the bottleneck's channels, and one for the latent's
    where there is a hyperprior, each with a stream. An integer is what lies between a value and its
    median or mean, so that the latter are added on the way back.

    To the tiles of a large picture, a position of the latent is a whole block: its positions are
    further channels there.
    """

    codec_id = layout.VAE

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        wire_id: int = zoo.FOREIGN,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(name=name, wire_id=wire_id, digest=digest_of(model)[:4], device=device)
        models = require_models()
        self.model = copy.deepcopy(model).float().to(self.device).eval().requires_grad_(False)
        self.block = int(model.downsampling_factor)
        self.margin = None if MARGIN % self.block else MARGIN
        self.bottleneck = copy.deepcopy(self.model.entropy_bottleneck).double()
        self.medians = self.bottleneck.quantiles[:, :, 1:2]  # (C, 1, 1)
        self.channels: tuple[int, ...] = (int(self.bottleneck.channels),)
        self.has_means = isinstance(model, models.MeanScaleHyperprior)
        self.h_s = None
        if isinstance(model, models.ScaleHyperprior):
            self.channels += (int(model.M),)
            self.h_s = copy.deepcopy(self.model.h_s).double()
            self.lower_bound = copy.deepcopy(self.model.gaussian_conditional.lower_bound_scale)
            self.lower_bound.double()
        for network in (self.model.g_a, self.model.g_s):
            network.to(memory_format=torch.channels_last)
        self.scale = coding.grid_units(1)

    # Encoding.

    def encode(self, image: Any, quality: float = QUALITY, **options: Any) -> bytes:
        """An image -> the bytes of an .ncz file. Raises InvalidArgument for a quality or a target:
        the rate is that of the weights."""
        asked = [name for name, value in options.items() if name.startswith("target_") and value]
        if quality != QUALITY or asked:
            what = asked[0].replace("_", " ") if asked else f"quality {quality:g}"
            raise InvalidArgument(
                f"{what} cannot be had of {self.name}, which has one rate: leave it out, or load "
                "a checkpoint that was trained for another rate"
            )
        return super().encode(image, quality, **options)

    @torch.no_grad()
    def prepare(  # type: ignore[override]
        self,
        photo: Photo,
        *,
        roi: Any = None,
        importance: bool | None = None,
        inside: Box | None = None,
    ) -> Analysis:
        """Raises InvalidArgument for a region of interest: these networks have no map for it."""
        self.check_options(roi=roi, importance=importance)
        x = pad(to_tensor(photo, self.device), self.block)
        y = z = self.model.g_a(x.contiguous(memory_format=torch.channels_last))
        if self.h_s is not None:
            z = self.model.h_a(y if self.has_means else y.abs())
        if inside is not None:
            photo = photo.cut(*inside)
            blocks = inside.positions(self.block)
            y, z = (_cut(values, blocks, x.shape[3] // self.block) for values in (y, z))
        hyper = _integers(z.double() - self.medians)
        if self.h_s is None:
            return Analysis(photo, (hyper,), hyper + self.medians, np.empty((0, 3)))
        means, parameters = self._gaussians(hyper)
        integers = _integers(y.double() - means)
        return Analysis(photo, (hyper, integers), integers + means, parameters)

    @torch.no_grad()
    def attempt(self, prepared: Analysis, quality: float) -> Attempt:
        levels = [max(3, 2 * int(part.abs().max()) + 1) for part in prepared.parts]
        logits = self._logits(levels[0])
        offset = coding.choose_offset([logits, prepared.parameters])
        streams = []
        for number, part in enumerate(prepared.parts):
            symbols = (part + levels[number] // 2).cpu().numpy().ravel()
            if number == 0:
                coded = _repeated(logits, offset, len(symbols)), symbols.astype(np.int16)
            else:
                mixtures = _centred(prepared.parameters, offset)
                coded = coding.intervals_from_mixture(*mixtures, levels[number], symbols)
            streams.append(coding.encode_symbols(*coded))
            # A decoder holds the whole CDF, not only the intervals: it may be too large for it.
            coding.check_size(symbols.size, levels[number], len(streams[-1]))
        header = container.VAEHeader(
            quality=quality,
            grid_offset=offset,
            groups=tuple(map(container.Group, self.channels, levels)),
        )
        height, width = prepared.photo.pixels.shape[:2]
        return Attempt(
            self.pack(prepared.photo, header, tuple(streams)),
            quality,
            lambda: self.render(self._in_blocks(prepared.hat, width), header)[:height, :width],
        )

    # Decoding.

    def read_latent(self, file: container.NczFile) -> Tensor:
        return self._in_blocks(self._read(file, estimate=False)[0], file.width)

    def synthesise(self, latent: Tensor, header: container.Header) -> Tensor:
        latent = F.pixel_shuffle(latent, math.isqrt(latent.shape[1] // self.channels[-1]))
        x: Tensor = self.model.g_s(latent.contiguous(memory_format=torch.channels_last))
        return x

    def estimate(self, file: container.NczFile) -> float:
        return self._read(file)[1]

    def _in_blocks(self, hat: Tensor, width: int) -> Tensor:
        """A latent (1, M, h, w) of a picture so wide as (1, kkM, h/k, w/k), a position a block."""
        return F.pixel_unshuffle(hat.float(), hat.shape[3] // -(-width // self.block))

    def check(self, file: container.NczFile) -> None:
        """Refuse what other weights, or no encoder of this model, could have written."""
        super().check(file)
        assert isinstance(file.header, container.VAEHeader)  # the container sees to it
        sizes = tuple(group.size for group in file.header.groups)
        if sizes != self.channels:
            raise MalformedHeader(
                f"channel groups of {sizes} are not those of model {self.name}, "
                f"{self.channels}: the file was not made by it"
            )

    @torch.no_grad()
    def _read(self, file: container.NczFile, *, estimate: bool = True) -> tuple[Tensor, float]:
        """The latent (1, M, h, w) of a checked file, and its cross-entropy in bits, 0 unless
        ``estimate``, which costs some time."""
        assert isinstance(file.header, container.VAEHeader)  # the container sees to it
        if len(file.streams) != len(self.channels):
            raise CorruptStream(
                f"{len(file.streams)} coded streams, model {self.name} has {len(self.channels)}: "
                "re-encode the picture"
            )
        offset = file.header.grid_offset
        levels = [group.levels for group in file.header.groups]
        rows, cols = -(-file.height // self.block), -(-file.width // self.block)

        count = self.channels[0] * rows * cols
        coding.check_size(count, levels[0], len(file.streams[0]))
        logits = self._logits(levels[0])
        cdf = _repeated(logits, offset, count)
        symbols = coding.decode_symbols(cdf, file.streams[0]).astype(np.int64)
        symbols = symbols.reshape(self.channels[0], rows * cols)
        bits = -float(np.take_along_axis(logits, symbols, axis=1).sum()) / math.log(2)
        integers = torch.from_numpy(symbols - levels[0] // 2).to(self.device)
        integers = integers.reshape(1, -1, rows, cols)
        if self.h_s is None:
            return integers + self.medians, bits if estimate else 0.0

        means, parameters = self._gaussians(integers)
        coding.check_size(means.numel(), levels[1], len(file.streams[1]))
        cdf = coding.cdf_from_mixture(*_centred(parameters, offset), levels[1])
        distance = coding.decode_symbols(cdf, file.streams[1]).astype(np.float64) - levels[1] // 2
        integers = torch.from_numpy(distance).to(self.device)
        if estimate:
            mixtures = torch.from_numpy(parameters / self.scale).to(self.device)
            bits += float(gaussian.bits(mixtures, integers).sum())
        return integers.reshape(means.shape) + means, bits if estimate else 0.0

    # Probabilities.

    @torch.no_grad()
    def _logits(self, levels: int) -> NDArray[np.float64]:
        """Logarithms of what the bottleneck says of the integers around its medians: (C, L)."""
        integers = torch.arange(levels, dtype=torch.float64, device=self.device) - levels // 2
        values = integers + self.medians  # (C, 1, L)
        lower, upper = (
            self.bottleneck._logits_cumulative(values + side, stop_gradient=True)
            for side in (-0.5, 0.5)
        )
        # By symmetry on the left side, where differences of the sigmoid do not cancel.
        sign = -torch.sign(lower + upper)
        likelihood = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()
        nats: NDArray[np.float64] = likelihood.clamp_min(_TINIEST).log()[:, 0].cpu().numpy()
        return nats

    def _gaussians(self, hyper: Tensor) -> Gaussians:
        """From the integers of the hyper-latent (1, N, h/4, w/4)."""
        assert self.h_s is not None
        scales = self.h_s(hyper + self.medians)
        if self.has_means:
            scales, means = scales.chunk(2, dim=1)
        else:
            means = torch.zeros_like(scales)
        # One component of weight 1 around the mean, which is where the integers count from.
        parameters = np.zeros((scales.numel(), 3))
        parameters[:, 2] = self.lower_bound(scales).log().flatten().cpu().numpy() * self.scale[2]
        return Gaussians(means, parameters)


def _integers(distance: Tensor) -> Tensor:
    """Rounded, as far as an alphabet can reach: int64."""
    return distance.round().clamp(-_REACH, _REACH).long()


def _cut(values: Tensor, blocks: Box, cols: int) -> Tensor:
    """What these blocks have of values (1, C, h, w) of a picture with so many columns of them."""
    scale = values.shape[3] // cols
    return values[(..., *Box(*(scale * side for side in blocks)).slices)]


def _repeated(logits: NDArray[np.float64], offset: int, count: int) -> NDArray[np.int16]:
    """The CDF of ``count`` symbols, channel by channel: logits (C, L) -> (count, L + 1)."""
    cdf = coding.cdf_from_grid(coding.snap(logits, offset))
    return cdf.repeat(count // len(cdf), axis=0)


def _centred(
    parameters: NDArray[np.float64], offset: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Mixtures (N, 3) as the coder takes them, snapped and with their centres, 0."""
    return coding.snap(parameters, offset), np.zeros(len(parameters), dtype=np.int64)


def require_models() -> Any:
    """The module ``compressai.models``. Raises MissingDependency where it cannot be imported."""
    try:
        import compressai.models
    except (ImportError, RuntimeError) as error:  # torchvision for another torch: RuntimeError
        reason = str(error).partition("\n")[0]
        raise MissingDependency(
            f"networks of CompressAI need compressai, which cannot be imported ({reason}): "
            "pip install compressai with a torchvision that fits torch"
        ) from error
    return compressai.models
