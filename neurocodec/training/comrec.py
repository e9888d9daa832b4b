"""How ComCNN and RecCNN are trained (see `system`)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_msssim import ms_ssim, ssim
from torch import Generator, Tensor, nn

from neurocodec.codecs.inner import INNERS, Inner, jpeg_tables
from neurocodec.errors import InvalidArgument
from neurocodec.nets.block_dct import filters
from neurocodec.nets.comrec import Block, ComRec, FastRecCNN
from neurocodec.training.loss import Losses, rate_distortion
from neurocodec.training.recipe import ComRecRecipe, LossConfig
from neurocodec.training.system import System, stratified

JUDGED = ((10.0, True), (30.0, True), (30.0, False), (50.0, False), (80.0, False))
NEARLY_NOTHING = (1 / 255) ** 2  # keeps log MSE from chasing what eight bits cannot show


class ComRecSystem(System):
    """End to end through inner `dct`; alternating around codecs without a gradient."""

    def __init__(self, config: ComRecRecipe) -> None:
        self.config = config
        self.inner = INNERS.get(config.model.inner)

    def build(self) -> nn.Module:
        model = ComRec(self.config.model)
        model.com.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.rec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    def part(self, name: str) -> str:
        if name.startswith("dct.context"):
            return "context"
        return "gains" if "steps" in name else "transforms"

    def loss(self, model: ComRec, x: Tensor, step: int, generator: Generator) -> Losses:
        recs, coms = self.config.loss.alternate
        compacting = self.inner is not None and step % (recs + coms) >= recs
        half = compacting or bool(torch.rand((), generator=generator) < self.config.loss.half_share)
        quality = stratified(x.shape[0], generator, power=self.config.quality_power).to(x.device)
        if half:
            quality = 1 + (quality - 1) * (self.config.loss.half_until - 1) / 99
        if self.inner is None:
            return self._end_to_end(model, x, quality, half)
        config = model.config
        asked = [config.inner_quality(float(q), half) for q in quality]
        inner_quality = torch.tensor(asked, device=x.device)
        for network, learns in ((model.com, compacting), (model.rec, not compacting)):
            network.train(learns).requires_grad_(learns)  # the full form has batch statistics, too
        bpp = torch.zeros(x.shape[0], device=x.device)
        if compacting:
            picture = carried = model.compact(x, inner_quality)
            if self.config.loss.straight_through:
                decoded, bpp = through(self.inner, picture, asked)
                carried = picture + (decoded - picture).detach()
        else:
            with torch.no_grad():
                picture = model.compact(x, inner_quality) if half else x
            carried, bpp = through(self.inner, picture, asked)
        bpp = bpp / (4 if half else 1)
        restored = model.restore(carried, inner_quality, half)
        mse = _mse(restored, x)
        total = torch.log10(mse + NEARLY_NOTHING)
        if self.config.loss.similarity_share:
            pair = restored.contiguous(), x.contiguous()  # see `loss`
            similarity = ssim(*pair, data_range=1.0, size_average=False)
            unlike = torch.log10((1 - similarity).clamp(min=0) + NEARLY_NOTHING)
            total = total + self.config.loss.similarity_share * unlike
        if compacting and self.config.loss.rate_share:
            rate = activity(picture, asked) + NEARLY_NOTHING  # a crop of sky may have none
            total = total + self.config.loss.rate_share * torch.log(rate)
        total = total.mean()
        return Losses(total, bpp, _psnr(mse), torch.full_like(mse, float("nan")))

    def _end_to_end(self, model: ComRec, x: Tensor, quality: Tensor, half: bool) -> Losses:
        assert model.dct is not None
        picture = model.compact(x, quality) if half else x
        carried, bits = model.dct(picture, quality, half)
        restored = model.restore(carried, quality, half)
        loss = LossConfig("mse", self.config.loss.weight, balance=0.5)
        return rate_distortion(x, restored, bits, quality, loss)

    def judge(self, model: ComRec, crops: Tensor) -> list[dict[str, Any]]:
        """Bits are those of the inner codec's files, or of `dct`'s estimate."""
        rows = []
        for quality, half in JUDGED:
            asked = model.config.inner_quality(quality, half)
            results = []
            for x in crops.split(4):
                inner_quality = torch.full((x.shape[0],), asked, device=x.device)
                picture = model.compact(x, inner_quality) if half else x
                if self.inner is None:
                    assert model.dct is not None
                    carried, bits = model.dct(picture, inner_quality, half)
                    bpp = bits / (x.shape[2] * x.shape[3])
                else:
                    carried, bpp = through(self.inner, picture, [asked] * x.shape[0])
                    bpp = bpp / (4 if half else 1)
                restored = model.restore(carried, inner_quality, half).clamp(0, 1)
                similarity = ms_ssim(restored, x, data_range=1.0, size_average=False)
                results.append((bpp, _psnr(_mse(restored, x)), similarity))
            bpp, psnr, similarity = (
                torch.cat(values).mean().item() for values in zip(*results, strict=True)
            )
            name = f"{quality:g}{'h' if half else ''}"
            rows.append({"quality": name, "bpp": bpp, "psnr": psnr, "ms_ssim": similarity})
        return rows

    def begin(self, model: ComRec, other: Any, where: str) -> None:
        """Networks trained around another inner codec are a good start: the tables and context of
        `dct` then begin afresh. The fast RecCNN may have further blocks, which begin as if they
        were not there."""
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        fits = isinstance(other, ComRec) and all(
            shapes.get(name) == value.shape
            for name, value in other.state_dict().items()
            if not name.startswith("dct.")
        )
        if not fits:
            raise InvalidArgument(
                f"{where} holds networks of another shape than the recipe's: they may differ in "
                "the inner codec and in appended blocks of RecCNN, and in nothing else"
            )
        state = {
            name: value
            for name, value in other.state_dict().items()
            if shapes.get(name) == value.shape
        }
        model.load_state_dict(state, strict=False)
        if isinstance(model.rec, FastRecCNN):
            for block in list(model.rec.blocks)[len(other.rec.blocks) :]:
                cast(Block, block).add_nothing()

    def after_step(
        self, model: ComRec, average: ComRec, epochs: float, crops: Tensor | None
    ) -> bool:
        """The average of the weights goes with the batch statistics of the full form."""
        for theirs, ours in zip(average.rec.buffers(), model.rec.buffers(), strict=True):
            theirs.copy_(ours)
        return False


def through(inner: Inner, x: Tensor, qualities: list[float]) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, H, W) in [0, 1] through an inner codec: decoded ones, bits a pixel (B,)."""
    decoded, bpp = [], []
    pixels = (
        (x.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    )
    for picture, quality in zip(pixels, qualities, strict=True):
        height, width = picture.shape[:2]
        file = inner.encode(np.ascontiguousarray(picture), quality)
        decoded.append(torch.from_numpy(inner.decode(file, width, height).copy()))
        bpp.append(8 * len(file) / (height * width))
    back = torch.stack(decoded).permute(0, 3, 1, 2).to(x.device).float() / 255
    return back, torch.tensor(bpp, device=x.device)


def activity(x: Tensor, qualities: list[float]) -> Tensor:
    """How much a block codec would have to say of pictures (B, 3, H, W): (B,) ≥ 0, differentiable.

    The mean over 8×8 DCT coefficients c of log2(1 + |c|/Δ), Δ as `jpeg_tables` has it, with chroma
    of half the resolution.
    """
    kept = [(p, u, v) for p in range(3) for u in range(8) for v in range(8) if p == 0 or u + v < 6]
    analysis, _ = filters(kept)
    tables = torch.tensor([jpeg_tables(quality) for quality in qualities], dtype=x.dtype)
    steps = torch.stack([tables[:, min(p, 1), 8 * u + v] for p, u, v in kept], dim=1)
    coefficients = F.conv2d((x - 0.5) * 255, analysis.to(x), stride=8)
    ratio = coefficients.abs() / steps.to(x)[:, :, None, None]
    return torch.log2(1 + ratio).mean(dim=(1, 2, 3))


def _mse(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.mse_loss(x_hat, x, reduction="none").mean(dim=(1, 2, 3))


def _psnr(mse: Tensor) -> Tensor:
    return -10 * torch.log10(mse.detach().clamp(min=1e-10))
