"""The VAE codec: photographs to .ncz files and back with the networks of `nets.vae`.

Integers of the hyper-latent are coded first, under fixed tables; then the latent's, group by group
and pass by pass, under mixtures that a prior in float64 predicts from all that went before. The
mixtures' parameters are snapped to the coder's grids (DESIGN 5).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurocodec import coding, container
from neurocodec.codecs.base import Attempt, Codec, pad, to_tensor
from neurocodec.coding.cdf import MAX_LEVELS
from neurocodec.container import Box, layout
from neurocodec.errors import CorruptStream, MalformedHeader
from neurocodec.image import Photo
from neurocodec.nets import gaussian
from neurocodec.nets.passes import pass_numbers
from neurocodec.nets.vae import HYPER, HYPER_LEVELS, STRIDE, VAE, Prior

# (group, mixtures (N, 3K) float64, where (n, h, w) bool) -> integers (N,) float64 there
Exchange = Callable[[int, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Analysis:
    """What the analysis networks give; every quality is coded from it."""

    photo: Photo
    latent: Tensor  # (1, C, h, w)
    hyper: Tensor  # (1, Z, ⌈h/4⌉, ⌈w/4⌉)


@dataclass(frozen=True)
class Pass:
    """One stream's integers and their mixtures, before they are coded."""

    group: int
    parameters: NDArray[np.float64]  # (N, 3K), in units of the grid
    indices: NDArray[np.int32]  # (N, 3K), snapped at offset 0
    values: NDArray[np.int64]  # (N,)


@torch.no_grad()
def walk(
    prior: Prior, hyper: Tensor, quality: Tensor, rows: int, cols: int, exchange: Exchange
) -> tuple[Tensor, Tensor]:
    """Visit every pass in coding order and exchange its mixtures for its integers.

    prior: in float64, as are hyper (1, Z, ⌈h/4⌉, ⌈w/4⌉), integers, and quality (1,). Returns the
    integers of the latent and what to add to them, (1, C, h, w) float64 each.
    """
    seen = prior.describe(hyper, quality, rows, cols)
    integers, shifts = [], []
    for number, (group, unit) in enumerate(zip(prior.parts, prior.units(quality), strict=True)):
        base = group.condition(seen)
        values = seen.new_zeros(1, group.size, rows, cols)
        shift = torch.zeros_like(values)
        order = pass_numbers(group.passes, rows, cols, seen.device)
        for index in range(group.passes):
            now = order == index
            if not bool(now.any()):
                continue
            looked = group.look(base, values / unit, index)[:, :, now]
            mixtures, expected = group.say(looked[..., None], unit)
            where = now.expand(group.size, -1, -1)
            values[0, where] = exchange(number, mixtures.flatten(0, 3), where)
            shift[0, where] = expected.flatten()
        integers.append(values)
        shifts.append(shift)
        seen = torch.cat([seen, values / unit], dim=1)
    return torch.cat(integers, dim=1), torch.cat(shifts, dim=1)


class VAECodec(Codec):
    """Encodes and decodes with one set of weights; safe to share between threads.

    model: the networks, in float32. rate_aware: see `_quantize`.
    """

    codec_id = layout.VAE
    block = STRIDE
    margin = HYPER * STRIDE

    def __init__(
        self,
        model: VAE,
        *,
        name: str = "vae",
        wire_id: int = 0,
        digest: bytes = bytes(4),
        device: str | torch.device = "cpu",
        rate_aware: float = 0.02,
    ) -> None:
        super().__init__(name=name, wire_id=wire_id, digest=digest, device=device)
        self.rate_aware = rate_aware
        self.model = model.to(self.device).eval().requires_grad_(False)
        for network in (self.model.analysis, self.model.synthesis):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prior = copy.deepcopy(self.model.prior).double()
        self.scale = coding.grid_units(self.model.config.components)
        self.hyper_cdf = self.model.hyper_cdf.cpu().numpy().astype(np.uint16).view(np.int16)

    # Encoding.

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
        x = pad(to_tensor(photo, self.device), STRIDE)
        latent, hyper = self.model.analyse(x.contiguous(memory_format=torch.channels_last))
        if inside is not None:
            photo = photo.cut(*inside)
            latent, hyper = (
                values[(..., *inside.positions(scale).slices)]
                for values, scale in ((latent, STRIDE), (hyper, HYPER * STRIDE))
            )
        return Analysis(photo, latent, hyper)

    @torch.no_grad()
    def attempt(self, prepared: Analysis, quality: float) -> Attempt:
        q = self.told(quality)
        reach = HYPER_LEVELS // 2
        hyper = (prepared.hyper * self.model.prior.hyper_gain(q)).round().clamp(-reach, reach)
        steps = prepared.latent * self.model.prior.gain(q)
        values, shifts, passes = self._passes(steps, hyper.double(), q.double())
        offset = coding.choose_offset([one.parameters for one in passes])
        snapped = [coding.snap(one.parameters, offset) if offset else one.indices for one in passes]
        centres = [coding.centres(indices) for indices in snapped]
        levels = [layout.FEWEST_LEVELS] * len(self.model.config.groups)
        for one, centre in zip(passes, centres, strict=True):
            widest = 2 * int(np.abs(one.values - centre).max()) + 1
            levels[one.group] = max(levels[one.group], widest)
        streams = [self._encode_hyper(hyper)]
        for one, indices, centre in zip(passes, snapped, centres, strict=True):
            window = levels[one.group]
            symbols = one.values - centre + window // 2
            intervals = coding.intervals_from_mixture(indices, centre, window, symbols)
            streams.append(coding.encode_symbols(*intervals))
            # A decoder holds the whole CDF, not only the intervals: it may be too large for it.
            coding.check_size(symbols.size, window, len(streams[-1]))
        header = container.VAEHeader(
            quality=quality,
            grid_offset=offset,
            groups=tuple(map(container.Group, self.model.config.groups, levels)),
        )
        height, width = prepared.photo.pixels.shape[:2]
        return Attempt(
            self.pack(prepared.photo, header, tuple(streams)),
            quality,
            lambda: self.render((values + shifts).float(), header)[:height, :width],
        )

    def _passes(
        self, steps: Tensor, hyper: Tensor, quality: Tensor
    ) -> tuple[Tensor, Tensor, list[Pass]]:
        """Quantize a latent in steps (1, C, h, w), pass by pass.

        Returns its integers and their shifts, as `walk` does, and what is to be coded.
        """
        rows, cols = steps.shape[2:]
        wanted = steps[0].double().split(self.model.config.groups)
        passes: list[Pass] = []

        def choose(group: int, mixtures: Tensor, where: Tensor) -> Tensor:
            parameters = mixtures.cpu().numpy() * self.scale
            # The grid's offset is not known yet; it moves a centre by one, or more where two
            # components weigh the same, which only matters to integers at the edge of the window.
            indices = coding.snap(parameters)
            centre = torch.from_numpy(coding.centres(indices)).to(mixtures)
            values = self._quantize(wanted[group][where], mixtures, centre)
            passes.append(Pass(group, parameters, indices, values.long().cpu().numpy()))
            return values

        values, shifts = walk(self.prior, hyper, quality, rows, cols, choose)
        return values, shifts, passes

    def _quantize(self, wanted: Tensor, mixtures: Tensor, centre: Tensor) -> Tensor:
        """The nearest integer, or its neighbour on the centre's side where that saves enough bits.

        An integer costs its squared distance and ``rate_aware`` times its bits. Where the step is
        the best one for its rate, a squared step is worth about 1/rate_aware bits.
        """
        reach = (MAX_LEVELS - 1) // 2 - 1
        nearest = wanted.round().clamp(centre - reach, centre + reach)
        if not self.rate_aware:
            return nearest
        away = nearest != centre
        far, at, mixture = nearest[away], wanted[away], mixtures[away]
        closer = far + torch.sign(centre[away] - far)
        saved = gaussian.bits(mixture, far) - gaussian.bits(mixture, closer)
        paid = (closer - at).square() - (far - at).square()
        nearest[away] = torch.where(paid < self.rate_aware * saved, closer, far)
        return nearest

    def _encode_hyper(self, hyper: Tensor) -> bytes:
        symbols = hyper[0].cpu().numpy().astype(np.int16) + HYPER_LEVELS // 2
        cdf = self.hyper_cdf.repeat(symbols[0].size, axis=0)
        return coding.encode_symbols(cdf, symbols.ravel())

    # Decoding.

    def read_latent(self, file: container.NczFile) -> Tensor:
        """Integers with their shifts, before gains."""
        return self._read_symbols(file, estimate=False)[1].float()

    def synthesise(self, latent: Tensor, header: container.Header) -> Tensor:
        q = self.told(header.quality)
        return self.model.synthesise(latent.contiguous(memory_format=torch.channels_last), q)

    def estimate(self, file: container.NczFile) -> float:
        return self._read_symbols(file)[2]

    @torch.no_grad()
    def _read_symbols(
        self, file: container.NczFile, *, estimate: bool = True
    ) -> tuple[list[Tensor], Tensor, float]:
        """Integers of the hyper-latent (Z, …) and of each group (n, h, w), float64; the latent
        (1, C, h, w) that they and their shifts make; and their cross-entropy in bits, 0 unless
        ``estimate``, which costs some time."""
        self.check(file)
        assert isinstance(file.header, container.VAEHeader)
        offset = file.header.grid_offset
        rows, cols = -(-file.height // STRIDE), -(-file.width // STRIDE)
        levels = [group.levels for group in file.header.groups]
        self._check_streams(file, rows, cols)
        streams = list(file.streams)
        sides = -(-rows // HYPER), -(-cols // HYPER)
        hyper, bits = self._decode_hyper(streams.pop(0), *sides, estimate)

        def exchange(group: int, mixtures: Tensor, where: Tensor) -> Tensor:
            nonlocal bits
            scaled = mixtures.cpu().numpy() * self.scale
            indices = coding.snap(scaled, offset)
            centre = coding.centres(indices)
            cdf = coding.cdf_from_mixture(indices, centre, levels[group])
            symbols = coding.decode_symbols(cdf, streams.pop(0))
            values = symbols - levels[group] // 2 + centre
            integers = torch.from_numpy(values).to(mixtures)
            if estimate:
                bits += float(gaussian.bits(mixtures, integers).sum())
            return integers

        q = self.told(file.header.quality)
        values, shifts = walk(self.prior, hyper, q.double(), rows, cols, exchange)
        integers = [hyper[0], *values[0].split(self.model.config.groups)]
        return integers, values + shifts, bits

    def _check_streams(self, file: container.NczFile, rows: int, cols: int) -> None:
        """Refuse other streams than `walk` will ask for, and such as cannot hold their symbols,
        before anything is computed for them."""
        assert isinstance(file.header, container.VAEHeader)
        config = self.model.config
        expected = [(config.hyper * -(-rows // HYPER) * -(-cols // HYPER), HYPER_LEVELS)]
        for group, passes in zip(file.header.groups, config.passes, strict=True):
            for positions in pass_numbers(passes, rows, cols).flatten().bincount().tolist():
                if positions:
                    expected.append((group.size * positions, group.levels))
        if len(file.streams) != len(expected):
            raise CorruptStream(
                f"{len(file.streams)} coded streams, expected {len(expected)} for a picture of "
                f"{file.width}x{file.height}: re-encode it"
            )
        for (count, levels), stream in zip(expected, file.streams, strict=True):
            coding.check_size(count, levels, len(stream))

    def _decode_hyper(
        self, stream: bytes, rows: int, cols: int, estimate: bool
    ) -> tuple[Tensor, float]:
        cdf = self.hyper_cdf.repeat(rows * cols, axis=0)
        symbols = coding.decode_symbols(cdf, stream)
        values = symbols.astype(np.float64).reshape(1, -1, rows, cols) - HYPER_LEVELS // 2
        bits = coding.entropy_bits(cdf, symbols) if estimate else 0.0
        return torch.from_numpy(values).to(self.device), bits

    def check(self, file: container.NczFile) -> None:
        """Refuse what other weights, or no encoder of this model, could have written."""
        super().check(file)
        assert isinstance(file.header, container.VAEHeader)  # the container sees to it
        sizes = tuple(group.size for group in file.header.groups)
        if sizes != self.model.config.groups:
            raise MalformedHeader(
                f"channel groups of {sizes} are not those of model {self.name}, "
                f"{self.model.config.groups}: the file was not made by it"
            )
