"""The CVQN codec: photographs to .ncz files and back with the networks of `nets.cvqn`."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neurocodec import container
from neurocodec.codecs import search, symbols
from neurocodec.codecs.symbols import RateReport
from neurocodec.errors import ImageTooLarge, InvalidArgument, MalformedHeader, ModelMismatch
from neurocodec.image import Photo, open_photo, pack_alpha, to_pil, unpack_alpha
from neurocodec.nets.cvqn import CVQN, STRIDE

CODEC_ID = 1


@dataclass(frozen=True)
class Analysis:
    """What the analysis network gives; every quality is coded from it."""

    photo: Photo
    latent: Tensor  # (1, C, h, w), channels scaled by importance
    order: Tensor  # (C,) int64, coding order
    level: Tensor | None  # (1, 1, h, w) int64, None where uniform


@dataclass(frozen=True)
class Coded:
    """One attempt at a quality: the file, and what decodes from it."""

    data: bytes
    quality: float
    indices: list[Tensor]
    analysis: Analysis


class CVQNCodec:
    """Encodes and decodes with one set of weights; safe to share between threads.

    model: the networks, in float32. wire_id, digest: what a file names the weights by, the first
    four bytes of their SHA-256. default_map: whether the learned importance map is used unless
    the caller says otherwise.
    """

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
        self.name, self.wire_id, self.digest = name, wire_id, digest
        self.device = torch.device(device)
        self.default_map = default_map
        self.rate_aware = rate_aware
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.model.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.context = copy.deepcopy(self.model.context).double()
        self.mus = [quantizer.mu.double() for quantizer in self.model.levels]

    # Encoding.

    def encode(
        self,
        image: Any,
        quality: float = 50,
        *,
        target_bpp: float | None = None,
        target_size: int | None = None,
        target_psnr: float | None = None,
        target_msssim: float | None = None,
        roi: Any = None,
        importance: bool | None = None,
    ) -> bytes:
        """An image (see `open_photo`) -> the bytes of an .ncz file.

        quality: 1 to 100; at most one target replaces it: target_bpp in file bits per pixel,
        target_size in bytes (never exceeded), target_psnr in dB over RGB, target_msssim in (0, 1).
        roi: an image whose luma, scaled to the picture, raises importance where bright and lowers
        it where dark. importance: whether to use the learned importance map.
        Raises InvalidArgument for values out of range or targets out of reach.
        """
        targets = {
            "target bpp": target_bpp,
            "target size": target_size,
            "target PSNR": target_psnr,
            "target MS-SSIM": target_msssim,
        }
        chosen = [(name, value) for name, value in targets.items() if value is not None]
        if len(chosen) > 1:
            raise InvalidArgument(f"{chosen[0][0]} and {chosen[1][0]} exclude each other: give one")
        if not chosen and not 1 <= quality <= 100:
            raise InvalidArgument(f"quality {quality} is out of range: use 1 to 100")
        if chosen and not chosen[0][1] > 0:
            raise InvalidArgument(f"{chosen[0][0]} {chosen[0][1]} must be positive")
        photo = open_photo(image)
        analysis = self._analyse(photo, roi, self.default_map if importance is None else importance)

        def attempt(quality: float) -> Coded:
            return self._code(analysis, quality)

        if not chosen:
            return attempt(quality).data
        name, target = chosen[0]
        if name == "target size":
            return search.highest_within(attempt, lambda c: len(c.data), target, name).data
        if name == "target bpp":
            pixels = photo.pixels.shape[0] * photo.pixels.shape[1]
            bits = target * pixels / 8
            return search.highest_within(attempt, lambda c: len(c.data), bits, "file size").data
        from neurocodec.evaluation import metrics

        metric = metrics.psnr if name == "target PSNR" else metrics.ms_ssim

        def score(coded: Coded) -> float:
            decoded = self._pixels(coded.indices, analysis.order, coded.quality, photo)
            return metric(photo.pixels, decoded)

        return search.lowest_reaching(attempt, score, target, name).data

    @torch.no_grad()
    def _analyse(self, photo: Photo, roi: Any, use_map: bool) -> Analysis:
        x = torch.from_numpy(photo.pixels.copy()).to(self.device).permute(2, 0, 1)[None]
        x = _pad(x.float() / 255).contiguous(memory_format=torch.channels_last)
        latent, importance = self.model.analyse(x)
        latent, order = self.model.importance(latent)
        level = None
        if self.model.map is not None:
            top = self.model.map.levels - 1
            if use_map:
                assert importance is not None
                level = self.model.map.level(importance)
            else:
                level = torch.full_like(latent[:, :1], top, dtype=torch.int64)
            if roi is not None:
                level = _apply_roi(level, roi, top)
            if bool((level == top).all()):
                level = None
        elif roi is not None:
            raise InvalidArgument(f"model {self.name} has no importance map: encode without --roi")
        return Analysis(photo, latent, order, level)

    @torch.no_grad()
    def _code(self, analysis: Analysis, quality: float) -> Coded:
        config = self.model.config
        quality = container.snap_quality(quality)
        q = torch.tensor([quality], device=self.device)
        ordered = (analysis.latent * self.model.gain(q))[0, analysis.order]
        groups = ordered.split(list(config.groups))

        def choose(group: int, logits: Tensor, where: Tensor) -> Tensor:
            return self._quantize(group, groups[group][where], logits)

        streams, offset, indices = symbols.encode(
            self.context, self.mus, self._mask(analysis.level), self._side(analysis, q), choose
        )
        own = self.model.importance.own_order
        photo = analysis.photo
        header = container.LearnedHeader(
            quality=quality,
            grid_offset=offset,
            groups=tuple(map(container.Group, config.groups, config.levels)),
            channel_order=None
            if torch.equal(analysis.order, own)
            else tuple(analysis.order.tolist()),
            importance=self._pack_map(analysis.level),
        )
        file = container.NczFile(
            codec=CODEC_ID,
            model=self.wire_id,
            model_digest=self.digest,
            width=photo.pixels.shape[1],
            height=photo.pixels.shape[0],
            mode=container.Mode[photo.mode],
            header=header,
            streams=streams,
            icc=photo.icc,
            exif=photo.exif,
            xmp=photo.xmp,
            alpha=None if photo.alpha is None else pack_alpha(photo.alpha),
        )
        return Coded(container.write(file), quality, indices, analysis)

    def _quantize(self, group: int, z: Tensor, logits: Tensor) -> Tensor:
        """Level of greatest responsibility, the mixture's π replaced by the context's probability.

        The quantizer's own π is what is known of a symbol before its context; at encoding the
        context is at hand. ``rate_aware`` weighs it: 0 gives the plain quantizer, whose π then
        counts. The decoder does not care.
        """
        quantizer = self.model.levels[group]
        score = quantizer.log_responsibility(z).double()
        if self.rate_aware:
            score = score + self.rate_aware * torch.log_softmax(logits, dim=1)
        return score.argmax(dim=1)

    # Decoding.

    def decode(self, data: bytes, *, max_pixels: int = 2**28) -> Image.Image:
        """The bytes of an .ncz file -> a PIL image. Raises NczError where they are not one."""
        file = container.read(data, max_pixels=max_pixels)
        rows, cols = _grid(file.height, file.width)
        if rows * cols * STRIDE**2 > max(max_pixels, 4 * STRIDE**2):
            # A picture one pixel wide is padded to sixteen: the header's product is not the cost.
            raise ImageTooLarge(
                f"{file.width}x{file.height} pixels become {rows * cols * STRIDE**2} when padded, "
                f"above the limit of {max_pixels}: raise max_pixels if the file is trusted"
            )
        return self.decode_file(file)

    def decode_file(self, file: container.NczFile) -> Image.Image:
        """A parsed file -> a PIL image, metadata in ``info`` and alpha merged."""
        indices, order, _ = self._read_symbols(file)
        blank = Photo(
            pixels=np.empty((file.height, file.width, 3), np.uint8), mode=file.mode.name,
            alpha=None, icc=file.icc, exif=file.exif, xmp=file.xmp,
        )  # fmt: skip
        pixels = self._pixels(indices, order, file.header.quality, blank)
        alpha = None
        if file.alpha is not None:
            alpha = unpack_alpha(file.alpha, file.width, file.height)
        return to_pil(replace(blank, pixels=pixels, alpha=alpha))

    def rate_report(self, data: bytes) -> RateReport:
        """Estimated, coded and file bits of an .ncz file."""
        file = container.read(data)
        _, _, estimate = self._read_symbols(file)
        return RateReport(estimate, 8 * sum(map(len, file.streams)), 8 * len(data))

    @torch.no_grad()
    def _read_symbols(self, file: container.NczFile) -> tuple[list[Tensor], Tensor, float]:
        self._check(file)
        header = file.header
        order = self.model.importance.own_order
        if header.channel_order is not None:
            order = torch.tensor(header.channel_order, device=self.device)
        rows, cols = _grid(file.height, file.width)
        level = None
        if header.importance is not None:
            values = np.frombuffer(header.importance.values, np.uint8).astype(np.int64)
            level = torch.from_numpy(values).view(1, 1, rows, cols).to(self.device)
        like = torch.empty(1, 1, rows, cols, device=self.device)
        q = torch.tensor([header.quality], device=self.device)
        side = self.model.side(level, q.double(), like.double())
        indices, estimate = symbols.decode(
            self.context, self.mus, self._mask(level), side, file.streams, header.grid_offset
        )
        return indices, order, estimate

    def _check(self, file: container.NczFile) -> None:
        """Refuse what other weights, or no encoder of this model, could have written."""
        if (file.codec, file.model) != (CODEC_ID, self.wire_id):
            raise ModelMismatch(
                f"the file was made with model {file.model} of codec {file.codec}, not with "
                f"{self.name} ({self.wire_id}): load that model"
            )
        if file.model_digest != self.digest:
            raise ModelMismatch(
                f"the file was made with weights {file.model_digest.hex()} of model {self.name}, "
                f"installed are {self.digest.hex()}: install the release it was made with"
            )
        config = self.model.config
        groups = tuple(map(container.Group, config.groups, config.levels))
        if file.header.groups != groups:
            raise MalformedHeader(
                f"channel groups {_listing(file.header.groups)} are not those of model "
                f"{self.name}, {_listing(groups)}: the file was not made by it"
            )
        importance = file.header.importance
        if importance is not None:
            rows, cols = _grid(file.height, file.width)
            found = f"{importance.rows}x{importance.cols} of {importance.levels} levels"
            expected = f"{rows}x{cols} of {config.map_levels} levels"
            if found != expected:
                raise MalformedHeader(
                    f"an importance map of {found} does not fit this image and model, "
                    f"expected {expected}: the file was not made by it"
                )

    @torch.no_grad()
    def _pixels(
        self, indices: list[Tensor], order: Tensor, quality: float, photo: Photo
    ) -> np.ndarray:
        """Symbols -> decoded pixels (H, W, 3) uint8, before greyscale conversion."""
        height, width = photo.pixels.shape[:2]
        values = [quantizer.mu[i] for quantizer, i in zip(self.model.levels, indices, strict=True)]
        q = torch.tensor([quality], device=self.device)
        latent = torch.cat(values)[torch.argsort(order)][None] * self.model.inverse_gain(q)
        x = self.model.synthesise(latent.contiguous(memory_format=torch.channels_last))
        x = x[0, :, :height, :width].clamp(0, 1).mul(255).round().to(torch.uint8)
        return x.permute(1, 2, 0).contiguous().cpu().numpy()

    # Shared by both directions.

    def _mask(self, level: Tensor | None) -> Tensor | None:
        if level is None:
            return None
        assert self.model.map is not None
        return self.model.map.mask(level)[0]

    def _side(self, analysis: Analysis, q: Tensor) -> Tensor:
        return self.model.side(analysis.level, q.double(), analysis.latent[:, :1].double())

    def _pack_map(self, level: Tensor | None) -> container.ImportanceMap | None:
        if level is None:
            return None
        rows, cols = level.shape[2:]
        values = level.to(torch.uint8).cpu().numpy().tobytes()
        return container.ImportanceMap(rows, cols, self.model.config.map_levels, values)


def _grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latent."""
    return -(-height // STRIDE), -(-width // STRIDE)


def _pad(x: Tensor) -> Tensor:
    """Replicate the last row and column up to multiples of the stride: (1, 3, H, W)."""
    bottom, right = -x.shape[2] % STRIDE, -x.shape[3] % STRIDE
    return F.pad(x, (0, right, 0, bottom), mode="replicate")


def _apply_roi(level: Tensor, roi: Any, top: int) -> Tensor:
    """Top level where the mask is white, half the levels less where it is black."""
    mask = np.asarray(to_pil(open_photo(roi)).convert("L"), np.float32) / 255
    grid = F.interpolate(
        torch.from_numpy(mask.copy())[None, None], level.shape[2:], mode="area"
    ).to(level.device)
    outside = (level - (top + 1) // 2).clamp(min=0)
    return torch.round(outside + (top - outside) * grid).long()


def _listing(groups: tuple[container.Group, ...]) -> str:
    return " ".join(f"{group.size}x{group.levels}" for group in groups)
