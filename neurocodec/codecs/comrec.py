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
from neurocodec.container import Arrangement, Box, ComRecHeader, Inner, layout
from neurocodec.errors import CorruptStream, InvalidArgument
from neurocodec.image import Photo
from neurocodec.metrics import psnr
from neurocodec.nets.block_dct import BLOCK, PLANES, BlockDCT
from neurocodec.nets.comrec import ComRec, upsample

SLOPE = 3.3
"""Decibels that a rate larger by a factor of e is worth, about those of photographs at 0.1 to
0.5 bpp: what `auto` weighs two arrangements by."""

ArrangementName = Literal["auto", "both", "rec", "com"]


@dataclass(frozen=True)
class Prepared:
    """A picture, padded to even sides, and what was chosen for it."""

    photo: Photo
    x: Tensor  # (1, 3, H, W) in [0, 1]
    inside: Box  # where in x the photo is; the rest is around it
    inner: Inner
    arrangement: Arrangement | None  # None: by quality


class ComRecCodec(Codec):
    """Encodes and decodes with one set of weights; safe to share between threads.

    model: the networks, in float32. rate_aware: nats of a coefficient's cost against squared
    steps of its error, see `_quantize`. prefer_half_db: by how much full size has to be better than
    half for `auto` to take it: at equal PSNR, half keeps more structure (SSIM).
    """

    codec_id = layout.COMREC
    block = 2 * BLOCK
    margin = 4 * block

    def __init__(
        self,
        model: ComRec,
        *,
        name: str = "comrec",
        wire_id: int = 0,
        digest: bytes = bytes(4),
        device: str | torch.device = "cpu",
        rate_aware: float = 0.06,
        prefer_half_db: float = 0.0,
    ) -> None:
        super().__init__(name=name, wire_id=wire_id, digest=digest, device=device)
        self.rate_aware = rate_aware
        self.prefer_half_db = prefer_half_db
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
        inside: Box | None = None,
    ) -> Prepared:
        """inner: the codec in the middle, by default the one the networks were trained around.
        arrangement: `both` networks, `rec` (full size, RecCNN alone), `com` (ComCNN alone), or
        `auto`: `rec` from the model's switch of quality on; below it, what does better on this
        picture, for which both are tried; `both`, untried, at the lowest rates.
        """
        self.check_options(roi=roi, importance=importance)
        chosen = self._inner(inner or self.model.config.inner)
        if arrangement not in ("auto", "both", "rec", "com"):
            raise InvalidArgument(
                f"arrangement {arrangement!r} does not exist: use auto, both, rec or com"
            )
        fixed = None if arrangement == "auto" else Arrangement[arrangement.upper()]
        x = pad(to_tensor(photo, self.device), 2)
        if inside is None:
            inside = Box(0, 0, *photo.pixels.shape[1::-1])
        else:
            photo = photo.cut(*inside)
        return Prepared(photo, x, inside, chosen, fixed)

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
        arrangement = self._certain(prepared, quality)
        if arrangement is None:
            return self._best([prepared], quality)[0]
        return self._attempt(prepared, quality, arrangement)

    def agree(self, samples: Sequence[Prepared], quality: float) -> dict[str, Any]:
        """Tiles share their arrangement: the header has it once."""
        if samples[0].arrangement is not None:
            return {}
        arrangement = self._certain(samples[0], quality)
        if arrangement is None:
            best = container.read(self._best(samples, quality)[0].data)
            arrangement = self._header(best).arrangement
        return {"arrangement": arrangement.name.lower()}

    def _certain(self, prepared: Prepared, quality: float) -> Arrangement | None:
        """The arrangement, where none has to be tried for it."""
        if prepared.arrangement is not None:
            return prepared.arrangement
        config = self.model.config
        if quality >= config.switch:
            return Arrangement.REC
        return Arrangement.BOTH if quality < config.certain else None

    def _best(self, prepared: Sequence[Prepared], quality: float) -> list[Attempt]:
        """Pictures in the one of two arrangements that does better on them together."""
        both, rec = (
            [self._attempt(one, quality, arrangement) for one in prepared]
            for arrangement in (Arrangement.BOTH, Arrangement.REC)
        )
        gain = _mean_psnr(prepared, rec) - _mean_psnr(prepared, both)
        rate = SLOPE * math.log(_coded_bytes(rec) / _coded_bytes(both))
        return rec if gain > rate + self.prefer_half_db else both

    @torch.no_grad()
    def _attempt(self, prepared: Prepared, quality: float, arrangement: Arrangement) -> Attempt:
        config = self.model.config
        half = arrangement != Arrangement.REC
        inner_quality = container.snap_quality(config.inner_quality(quality, half))
        asked = self.told(inner_quality)
        photo = prepared.photo
        height, width = photo.pixels.shape[:2]
        picture = self.model.compact(prepared.x, asked) if half else prepared.x
        picture = picture[(..., *prepared.inside.positions(2 if half else 1).slices)]
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
                latent = self._open(header, streams[0], height, width)
            else:
                latent = self._picture(indices, asked, half, *size)
            return self.render(latent, header)[:height, :width]

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

    def read_latent(self, file: container.NczFile) -> Tensor:
        """The decoded picture that the inner codec carries, in [0, 1] about."""
        header = self._header(file)
        if header.inner != Inner.DCT:
            return self._open(header, file.streams[0], file.height, file.width)
        indices, _ = self._read_symbols(file, estimate=False)
        half = header.arrangement != Arrangement.REC
        asked = self.told(header.inner_quality)
        return self._picture(indices, asked, half, *_carried_size(header, file))

    def synthesise(self, latent: Tensor, header: container.Header) -> Tensor:
        header = cast(ComRecHeader, header)
        if header.arrangement == Arrangement.COM:
            return upsample(latent)
        asked = self.told(header.inner_quality)
        return self.model.restore(latent, asked, header.arrangement == Arrangement.BOTH)

    def cell(self, header: container.Header) -> int:
        return 1 if cast(ComRecHeader, header).arrangement == Arrangement.REC else 2

    def estimate(self, file: container.NczFile) -> float:
        if self._header(file).inner == Inner.DCT:
            return self._read_symbols(file)[1]
        return 8.0 * sum(map(len, file.streams))

    def check(self, file: container.NczFile) -> None:
        """Refuse also a file whose inner codec this model was not made for."""
        super().check(file)
        try:
            self._inner(self._header(file).inner.name.lower())
        except InvalidArgument as error:
            raise CorruptStream(f"{error}; the file was not made by it") from error

    def coefficients(self, data: bytes) -> list[np.ndarray]:
        """Quantized coefficients of an .ncz file with inner `dct`: Y, Cb, Cr, each (rows, cols, 64)
        int64 in zigzag order, those that are not coded zero. Raises InvalidArgument for others."""
        file = container.read(data)
        self.check(file)
        if file.tiling is not None:
            raise InvalidArgument("the picture is in tiles: encode it with tile_size=0")
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
        asked = self.told(header.inner_quality).double()
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


def _mean_psnr(prepared: Sequence[Prepared], attempts: Sequence[Attempt]) -> float:
    """PSNR in dB of coded pictures, the mean over them."""
    scores = [psnr(p.photo.pixels, a.pixels()) for p, a in zip(prepared, attempts, strict=True)]
    return sum(scores) / len(scores)


def _coded_bytes(attempts: Sequence[Attempt]) -> int:
    """Bytes of the files without what takes as many however the pixels are coded."""
    return sum(
        size
        for attempt in attempts
        for part, size in container.sizes(attempt.data).items()
        if part not in ("alpha", "icc", "exif", "xmp")
    )


def _carried_size(header: ComRecHeader, file: container.NczFile) -> tuple[int, int]:
    """Height and width of the picture that the inner codec holds."""
    if header.arrangement == Arrangement.REC:
        return file.height, file.width
    return -(-file.height // 2), -(-file.width // 2)
