"""The CVQN codec: photographs to .ncz files and back with the networks of `nets.cvqn`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neurocodec import container
from neurocodec.codecs import symbols
from neurocodec.codecs.base import Attempt, Codec, pad, to_tensor
from neurocodec.codecs.roi import luma
from neurocodec.container import Box, layout
from neurocodec.errors import MalformedHeader
from neurocodec.image import Photo
from neurocodec.nets.cvqn import CVQN, STRIDE
from neurocodec.nets.quantizer import GMMQuantizer


@dataclass(frozen=True)
class Analysis:
    """What the analysis network gives; every quality is coded from it."""

    photo: Photo
    latent: Tensor  # (1, C, h, w), channels scaled by importance
    order: Tensor  # (C,) int64, coding order
    level: Tensor | None  # (1, 1, h, w) int64, None where uniform


class CVQNCodec(Codec):
    """Encodes and decodes with one set of weights; safe to share between threads.

    model: the networks, in float32. default_map: whether the learned importance map is used unless
    the caller says otherwise. rate_aware: see `_quantize`.
    """

    codec_id = layout.CVQN
    block = STRIDE
    margin = 2 * STRIDE

    def __init__(
        self,
        model: CVQN,
        *,
        name: str = "cvqn",
        wire_id: int = 0,
        digest: bytes = bytes(4),
        device: str | torch.device = "cpu",
        default_map: bool = True,
        rate_aware: float = 0.05,
    ) -> None:
        super().__init__(name=name, wire_id=wire_id, digest=digest, device=device)
        self.default_map = default_map
        self.rate_aware = rate_aware
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.has_map = model.map is not None
        self.model.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.context = copy.deepcopy(self.model.context).double()
        self.mus = [quantizer.mu.double() for quantizer in self.model.levels]

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
        """roi: an image whose luma, scaled to the picture, raises importance where bright and
        lowers it where dark or transparent. importance: whether to use the learned importance map.
        """
        self.check_options(roi=roi, importance=importance)
        use_map = self.default_map if importance is None else importance
        x = pad(to_tensor(photo, self.device), STRIDE)
        x = x.contiguous(memory_format=torch.channels_last)
        latent, learned = self.model.analyse(x)
        if inside is not None:
            photo = photo.cut(*inside)
            where = (..., *inside.positions(STRIDE).slices)
            latent = latent[where]
            learned = None if learned is None else learned[where]
        latent, order = self.model.importance(latent)
        level = None
        if self.model.map is not None:
            top = self.model.map.levels - 1
            if use_map:
                assert learned is not None
                level = self.model.map.level(learned)
            else:
                level = torch.full_like(latent[:, :1], top, dtype=torch.int64)
            if roi is not None:
                level = _apply_roi(level, roi, top)
            if bool((level == top).all()):
                level = None
        return Analysis(photo, latent, order, level)

    @torch.no_grad()
    def attempt(self, prepared: Analysis, quality: float) -> Attempt:
        analysis, config = prepared, self.model.config
        q = self.told(quality)
        ordered = (analysis.latent * self.model.gain(q))[0, analysis.order]
        groups = ordered.split(list(config.groups))
        coded = self._coded(analysis.level)
        used = []
        for number, (quantizer, z) in enumerate(zip(self.model.levels, groups, strict=True)):
            mask = coded(number, ())
            used.append(levels_within(quantizer, z if mask is None else z[mask]))

        def choose(group: int, logits: Tensor, where: Tensor) -> Tensor:
            return self._quantize(group, groups[group][where], logits)

        side = self._side(analysis, q)
        streams, offset, indices = symbols.encode(self.context, self.mus, coded, side, choose, used)
        own = self.model.importance.own_order
        order = analysis.order
        header = container.CVQNHeader(
            quality=quality,
            grid_offset=offset,
            groups=tuple(map(container.Group, config.groups, used)),
            channel_order=None if torch.equal(order, own) else tuple(order.tolist()),
            importance=self._pack_map(analysis.level),
        )
        height, width = analysis.photo.pixels.shape[:2]
        return Attempt(
            self.pack(analysis.photo, header, streams),
            quality,
            lambda: self.render(self._latent(indices, order, quality), header)[:height, :width],
        )

    def _quantize(self, group: int, z: Tensor, logits: Tensor) -> Tensor:
        """Level of greatest responsibility, the mixture's π replaced by the context's probability.

        logits: (N, L), of the L levels in the middle; returned is which of them, (N,).
        The quantizer's own π is what is known of a symbol before its context; at encoding the
        context is at hand. ``rate_aware`` weighs it: 0 gives the plain quantizer, whose π then
        counts. The decoder does not care.
        """
        quantizer = self.model.levels[group]
        window = symbols.window_of(quantizer.levels, logits.shape[1])

        def best(z: Tensor, logits: Tensor) -> Tensor:
            score = quantizer.log_responsibility(z, window).double()
            if self.rate_aware:
                # Of the logarithm of the probability this lacks what is the same for all levels.
                score.add_(logits, alpha=self.rate_aware)
            return score.argmax(dim=1)

        index = torch.empty(len(z), dtype=torch.int64, device=z.device)
        return symbols.by_blocks(best, logits.shape[1], index, z, logits)

    # Decoding.

    def read_latent(self, file: container.NczFile) -> Tensor:
        indices, order, _ = self._read_symbols(file, estimate=False)
        return self._latent(indices, order, file.header.quality)

    def synthesise(self, latent: Tensor, header: container.Header) -> Tensor:
        q = self.told(header.quality)
        return self.model.synthesise(latent.contiguous(memory_format=torch.channels_last), q)

    def estimate(self, file: container.NczFile) -> float:
        return self._read_symbols(file)[2]

    @torch.no_grad()
    def _read_symbols(
        self, file: container.NczFile, *, estimate: bool = True
    ) -> tuple[list[Tensor], Tensor, float]:
        self.check(file)
        header = file.header
        assert isinstance(header, container.CVQNHeader)  # the container sees to it
        order = self.model.importance.own_order
        if header.channel_order is not None:
            order = torch.tensor(header.channel_order, device=self.device)
        rows, cols = _grid(file.height, file.width)
        level = None
        if header.importance is not None:
            values = np.frombuffer(header.importance.values, np.uint8).astype(np.int64)
            level = torch.from_numpy(values).view(1, 1, rows, cols).to(self.device)
        like = torch.empty(1, 1, rows, cols, dtype=torch.float64, device=self.device)
        q = self.told(header.quality)
        side = self.model.side(level, q.double(), like)
        used = [group.levels for group in header.groups]
        indices, bits = symbols.decode(
            self.context, self.mus, self._coded(level), side, file.streams, header.grid_offset,
            used, estimate=estimate,
        )  # fmt: skip
        return indices, order, bits

    def check(self, file: container.NczFile) -> None:
        """Refuse what other weights, or no encoder of this model, could have written."""
        super().check(file)
        assert isinstance(file.header, container.CVQNHeader)
        config = self.model.config
        groups = tuple(map(container.Group, config.groups, config.levels))
        found = file.header.groups
        fits = len(found) == len(groups)
        for theirs, whole in zip(found, groups, strict=False):
            spare = 0 if file.tiling else whole.levels - theirs.levels  # tiles have their own
            fits = fits and theirs.size == whole.size and spare >= 0 and spare % 2 == 0
        if not fits:
            raise MalformedHeader(
                f"channel groups {_listing(found)} are not those of model {self.name}, "
                f"{_listing(groups)}, nor those with an even number of levels less: the file was "
                "not made by it"
            )
        importance = file.header.importance
        if importance is not None:
            rows, cols = _grid(file.height, file.width)
            given = f"{importance.rows}x{importance.cols} of {importance.levels} levels"
            expected = f"{rows}x{cols} of {config.map_levels} levels"
            if given != expected:
                raise MalformedHeader(
                    f"an importance map of {given} does not fit this image and model, "
                    f"expected {expected}: the file was not made by it"
                )

    @torch.no_grad()
    def _latent(self, indices: list[Tensor], order: Tensor, quality: float) -> Tensor:
        """Symbols -> the latent (1, C, h, w) that the synthesis takes."""
        values = [quantizer.mu[i] for quantizer, i in zip(self.model.levels, indices, strict=True)]
        q = self.told(quality)
        return torch.cat(values)[torch.argsort(order)][None] * self.model.inverse_gain(q)

    # Shared by both directions.

    def _coded(self, level: Tensor | None) -> symbols.Coded:
        if level is None:
            return lambda group, before: None
        assert self.model.map is not None
        masks = self.model.map.mask(level)[0].split(list(self.model.config.groups))
        return lambda group, before: masks[group]

    def _side(self, analysis: Analysis, q: Tensor) -> Tensor:
        return self.model.side(analysis.level, q.double(), analysis.latent[:, :1].double())

    def _pack_map(self, level: Tensor | None) -> container.ImportanceMap | None:
        if level is None:
            return None
        rows, cols = level.shape[2:]
        values = level.to(torch.uint8).cpu().numpy().tobytes()
        return container.ImportanceMap(rows, cols, self.model.config.map_levels, values)


def levels_within(quantizer: GMMQuantizer, z: Tensor) -> int:
    """How many levels, those in the middle, hold the nearest to each of z (…).

    Each takes a count of every symbol's probabilities, and time, whether it is used or not.
    """
    fewest = 2 + quantizer.levels % 2
    if not z.numel():
        return fewest
    extremes = torch.stack(z.aminmax())
    low, high = (extremes[:, None] - quantizer.mu).abs().argmin(dim=1).tolist()
    return max(fewest, quantizer.levels - 2 * min(low, quantizer.levels - 1 - high))


def _grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latent."""
    return -(-height // STRIDE), -(-width // STRIDE)


def _apply_roi(level: Tensor, roi: Any, top: int) -> Tensor:
    """Top level where the mask is white, half the levels less where it is black."""
    mask = np.asarray(luma(roi), np.float32) / 255
    grid = F.interpolate(
        torch.from_numpy(mask.copy())[None, None], level.shape[2:], mode="area"
    ).to(level.device)
    outside = (level - (top + 1) // 2).clamp(min=0)
    return torch.round(outside + (top - outside) * grid).long()


def _listing(groups: tuple[container.Group, ...]) -> str:
    return " ".join(f"{group.size}x{group.levels}" for group in groups)
