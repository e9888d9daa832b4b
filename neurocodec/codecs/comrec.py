"""The ComRec codec: ComCNN, an inner codec, and RecCNN, each of the networks where it helps."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from neurocodec import container
from neurocodec.codecs import symbols
from neurocodec.codecs.base import Attempt, Codec, pad, to_pixels, to_tensor
from neurocodec.codecs.inner import INNERS
from neurocodec.codecs.symbols import RateReport
from neurocodec.container import Arrangement, ComRecHeader, Inner
from neurocodec.errors import CorruptStream, InvalidArgument
from neurocodec.image import Photo
from neurocodec.nets.block_dct import BLOCK, PLANES, BlockDCT
from neurocodec.nets.comrec import ComRec, upsample

CODEC_ID = 2

SLOPE = 3.3
"""Decibels that a rate larger by a factor of e is worth, about those of photographs at 0.1 to
0.5 bpp: what `auto` weighs two arrangements by."""

ArrangementName = Literal["auto", "both", "rec", "com"]


@dataclass(frozen=True)
class Prepared:
    """A picture, padded to even sides, and what was chosen for it."""

    photo: Photo
    x: Tensor  # (1, 3, H, W) in [0, 1]
    inner: Inner
    arrangement: Arrangement | None  # None: by quality


class ComRecCodec(Codec):
    """Encodes and decodes with one set of weights; safe to share between threads.

    model: the networks, in float32. rate_aware: nats of a coefficient's cost against squared
    steps of its error, see `_quantize`. default_map: this codec has no map; ignored.
    """

    codec_id = CODEC_ID
    block = 2 * BLOCK

    def __init__(
        self,
        model: ComRec,
        *,
        name: str = "comrec",
        wire_id: int = 0,
        digest: bytes = bytes(4),
        device: str | torch.device = "cpu",
        default_map: bool = False,
        rate_aware: float = 0.06,
    ) -> None:
        super().__init__(name=name, wire_id=wire_id, digest=digest, device=device)
        self.rate_aware = rate_aware
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.model.com.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.rec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if model.dct is not None:
            self.context = copy.deepcopy(model.dct.context).double()

    # Encoding.

    def prepare(  # type: ignore[override]
        self,
        photo: Photo,
        *,
        inner: str | None = None,
        arrangement: ArrangementName = "auto",
        roi: Any = None,
        importance: bool | None = None,
    ) -> Prepared:
        """inner: the codec in the middle, by default the one the networks were trained around.
        arrangement: `both` networks, `rec` (full size, RecCNN alone), `com` (ComCNN alone), or
        `auto`: `rec` from the model's switch of quality on; below it, what does better on this
        picture, for which both are tried; `both`, untried, at the lowest rates.
        """
        if roi is not None or importance:
            raise InvalidArgument(
                f"model {self.name} has no importance map: encode without a region of interest"
            )
        chosen = self._inner(inner or self.model.config.inner)
        if arrangement not in ("auto", "both", "rec", "com"):
            raise InvalidArgument(
                f"arrangement {arrangement!r} does not exist: use auto, both, rec or com"
            )
        fixed = None if arrangement == "auto" else Arrangement[arrangement.upper()]
        return Prepared(photo, pad(to_tensor(photo, self.device), 2), chosen, fixed)

    def _inner(self, name: str) -> Inner:
        ours = self.model.dct is not None
        if name != "dct" and name not in INNERS:
            raise InvalidArgument(f"no inner codec {name!r}: use dct, {', '.join(INNERS)}")
        if ours != (name == "dct"):
            raise InvalidArgument(
                f"model {self.name} was trained around {self.model.config.inner}, not {name}: "
                "choose the model for that inner codec"
            )
        return Inner[name.upper()]

    def attempt(self, prepared: Prepared, quality: float) -> Attempt:
        config = self.model.config
        if prepared.arrangement is not None:
            return self._attempt(prepared, quality, prepared.arrangement)
        if quality >= config.switch:
            return self._attempt(prepared, quality, Arrangement.REC)
        both = self._attempt(prepared, quality, Arrangement.BOTH)
        if quality < config.certain:
            return both
        rec = self._attempt(prepared, quality, Arrangement.REC)
        from neurocodec.evaluation.metrics import psnr

        pixels = prepared.photo.pixels
        gain = psnr(pixels, rec.pixels()) - psnr(pixels, both.pixels())
        return rec if gain > SLOPE * math.log(len(rec.data) / len(both.data)) else both

    @torch.no_grad()
    def _attempt(self, prepared: Prepared, quality: float, arrangement: Arrangement) -> Attempt:
        config = self.model.config
        half = arrangement != Arrangement.REC
        inner_quality = container.snap_quality(config.inner_quality(quality, half))
        asked = torch.tensor([inner_quality], device=self.device)
        photo = prepared.photo
        height, width = photo.pixels.shape[:2]
        if half:
            picture = self.model.compact(prepared.x, asked)
        else:
            picture = prepared.x[:, :, :height, :width]
        streams: tuple[bytes, ...]
        offset, indices, size = 0, None, picture.shape[2:]
        if prepared.inner == Inner.DCT:
            streams, offset, indices = self._encode_dct(picture, asked, half)
        else:
            inner = INNERS[prepared.inner.name.lower()]
            streams = (inner.encode(to_pixels(picture), inner_quality),)
        header = ComRecHeader(
            quality=quality,
            arrangement=arrangement,
            inner=prepared.inner,
            inner_quality=inner_quality,
            grid_offset=offset,
        )

        @functools.cache  # `auto` looks, and so may a search for a target
        def pixels() -> np.ndarray:
            if indices is None:
                carried = self._open(header, streams[0], height, width)
            else:
                carried = self._picture(indices, asked, half, *size)
            return self._restore(carried, header, height, width)

        return Attempt(self.pack(photo, header, streams), quality, pixels)

    def _encode_dct(
        self, picture: Tensor, quality: Tensor, half: bool
    ) -> tuple[tuple[bytes, ...], int, list[Tensor]]:
        dct = self._dct
        coefficients = dct.transform(pad(picture, BLOCK))
        scaled = (coefficients / dct.steps(quality, half))[0].split(dct.config.groups)
        side = dct.side(quality.double(), half, coefficients[:, :1].double())
        mus = dct.mus(side)

        def choose(group: int, logits: Tensor, where: Tensor) -> Tensor:
            return self._quantize(scaled[group][where], mus[group], logits)

        return symbols.encode(self.context, mus, self._coded, side, choose)

    def _quantize(self, z: Tensor, mu: Tensor, logits: Tensor) -> Tensor:
        """The level of least (z − μ)² − w·log p.

        At high rate one nat costs 2Δ²/12 of squared error on the convex hull, hence w near 1/6;
        less is used, because a symbol also informs those after it.
        """
        score = -((z.double()[:, None] - mu) ** 2)
        return (score + self.rate_aware * torch.log_softmax(logits, dim=1)).argmax(dim=1)

    # Decoding.

    @torch.no_grad()
    def read_pixels(self, file: container.NczFile) -> np.ndarray:
        header = self._header(file)
        if header.inner == Inner.DCT:
            indices, _ = self._read_symbols(file, estimate=False)
            half = header.arrangement != Arrangement.REC
            asked = torch.tensor([header.inner_quality], device=self.device)
            carried = self._picture(indices, asked, half, *_carried_size(header, file))
        else:
            carried = self._open(header, file.streams[0], file.height, file.width)
        return self._restore(carried, header, file.height, file.width)

    def check(self, file: container.NczFile) -> None:
        """Refuse also a file whose inner codec this model was not made for."""
        super().check(file)
        try:
            self._inner(self._header(file).inner.name.lower())
        except InvalidArgument as error:
            raise CorruptStream(f"{error}; the file was not made by it") from error

    def rate_report(self, data: bytes) -> RateReport:
        """Of a stream that is another codec's own file, the estimate is its size."""
        file = container.read(data)
        self.check(file)
        coded = 8 * sum(map(len, file.streams))
        estimate = float(coded)
        if self._header(file).inner == Inner.DCT:
            _, estimate = self._read_symbols(file)
        return RateReport(estimate, coded, 8 * len(data))

    def coefficients(self, data: bytes) -> list[np.ndarray]:
        """Quantized coefficients of an .ncz file with inner `dct`: Y, Cb, Cr, each (rows, cols, 64)
        int64 in zigzag order, those that are not coded zero. Raises InvalidArgument for others."""
        file = container.read(data)
        self.check(file)
        inner = self._header(file).inner
        if inner != Inner.DCT:
            raise InvalidArgument(
                f"the picture is carried by {inner.name.lower()}, not dct: its coefficients are in "
                "a stream of that format"
            )
        dct = self._dct
        indices, _ = self._read_symbols(file, estimate=False)
        rows, cols = indices[0].shape[1:]
        found = np.zeros((PLANES, rows, cols, BLOCK**2), np.int64)
        values = [
            (index - levels // 2).cpu().numpy()
            for index, levels in zip(indices, dct.config.levels, strict=True)
        ]
        for (plane, place), value in zip(dct.config.channels, np.concatenate(values), strict=True):
            found[plane, :, :, place] = value
        return list(found)

    @torch.no_grad()
    def _read_symbols(
        self, file: container.NczFile, *, estimate: bool = True
    ) -> tuple[list[Tensor], float]:
        header = self._header(file)
        dct = self._dct
        height, width = _carried_size(header, file)
        like = torch.empty(
            1, 1, -(-height // BLOCK), -(-width // BLOCK), dtype=torch.float64, device=self.device
        )
        asked = torch.tensor([header.inner_quality], device=self.device, dtype=torch.float64)
        side = dct.side(asked, header.arrangement != Arrangement.REC, like)
        return symbols.decode(
            self.context, dct.mus(side), self._coded, side, file.streams, header.grid_offset,
            estimate=estimate,
        )  # fmt: skip

    # Shared by both directions.

    @property
    def _dct(self) -> BlockDCT:
        assert self.model.dct is not None
        return self.model.dct

    def _coded(self, group: int, before: Sequence[Tensor]) -> Tensor | None:
        levels = self._dct.config.levels
        values = [index[None] - n // 2 for index, n in zip(before, levels, strict=False)]
        blocks = self._dct.coded_blocks(group, values)
        return None if blocks is None else blocks[0].expand(self._dct.config.groups[group], -1, -1)

    @staticmethod
    def _header(file: container.NczFile) -> ComRecHeader:
        return cast(ComRecHeader, file.header)  # the container sees to it

    @torch.no_grad()
    def _picture(
        self, indices: list[Tensor], quality: Tensor, half: bool, height: int, width: int
    ) -> Tensor:
        """Symbols -> the decoded picture (1, 3, height, width), not clipped."""
        dct = self._dct
        levels = torch.cat(
            [index - n // 2 for index, n in zip(indices, dct.config.levels, strict=True)]
        )
        coefficients = levels[None].float() * dct.steps(quality, half)
        return dct.inverse(coefficients)[:, :, :height, :width]

    def _open(self, header: ComRecHeader, stream: bytes, height: int, width: int) -> Tensor:
        """An inner codec's file -> the decoded picture (1, 3, h, w) in [0, 1]."""
        if header.arrangement != Arrangement.REC:
            height, width = -(-height // 2), -(-width // 2)
        pixels = INNERS[header.inner.name.lower()].decode(stream, width, height)
        x = torch.from_numpy(pixels.copy()).to(self.device).permute(2, 0, 1)[None]
        return x.float() / 255

    @torch.no_grad()
    def _restore(
        self, carried: Tensor, header: ComRecHeader, height: int, width: int
    ) -> np.ndarray:
        """The decoded picture -> pixels (height, width, 3) uint8."""
        if header.arrangement == Arrangement.COM:
            x = upsample(carried)
        else:
            asked = torch.tensor([header.inner_quality], device=self.device)
            x = self.model.restore(carried, asked, header.arrangement == Arrangement.BOTH)
        return to_pixels(x[:, :, :height, :width])


def _carried_size(header: ComRecHeader, file: container.NczFile) -> tuple[int, int]:
    """Height and width of the picture that the inner codec holds."""
    if header.arrangement == Arrangement.REC:
        return file.height, file.width
    return -(-file.height // 2), -(-file.width // 2)
