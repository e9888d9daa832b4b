"""The channel-level variable quantization network (CVQN, Zhong et al., arXiv 2007.12619)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets.attention import AttentionForm, ResidualGroup
from neurocodec.nets.block_transform import (
    BLOCK,
    Companding,
    check_companding,
    dct_basis,
    initial_steps,
)
from neurocodec.nets.context import ContextConfig, ContextModel
from neurocodec.nets.gain import QualityGain, check_anchors
from neurocodec.nets.gdn import GDN
from neurocodec.nets.importance import ChannelImportance, ImportanceForm, ImportanceMap
from neurocodec.nets.overlap import Overlap
from neurocodec.nets.quantizer import GMMQuantizer

STRIDE = 16


@dataclass(frozen=True)
class CVQNConfig:
    """Everything that shapes the networks. Defaults are the published groups and levels."""

    channels: int = 32
    encoder_features: tuple[int, int, int, int] = (4, 12, 24, 48)
    decoder_features: tuple[int, int, int, int] = (4, 12, 24, 48)
    encoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    decoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    quality_input: bool = False  # whether the decoder weighs its residual groups by the quality
    gdn: bool = True
    attention: AttentionForm = "sigmoid"
    groups: tuple[int, ...] = (8, 16, 8)
    levels: tuple[int, ...] = (3, 5, 7)
    importance: ImportanceForm = "predefined"
    map_levels: int = 0  # 0: no importance map
    linear_path: bool = True
    companding: float = 0.3
    overlap: float = 0.0  # strength that `Overlap` of the linear path begins with; 0 for none
    gain_anchors: int = 6
    gain_span: float = 2.5  # the step at quality 1 and 1/step at quality 100, against quality 50
    context: ContextConfig = field(default_factory=ContextConfig)

    def __post_init__(self) -> None:
        if sum(self.groups) != self.channels:
            raise ValueError(f"groups {self.groups} do not add up to {self.channels} channels")
        if not len(self.groups) == len(self.levels) == len(self.context.passes):
            raise ValueError("groups, levels and context.passes must have one entry a group each")
        check_companding(self.companding)
        check_anchors(self.gain_anchors)
        if self.overlap and not self.linear_path:
            raise ValueError("overlap is of the linear path: linear_path true, or overlap 0")


class Encoder(nn.Module):
    """Head convolution; four stages {pixel unshuffle, GDN, residual group, convolution}.

    Shape: x (B, 3, H, W), H and W multiples of 16 -> features (B, F, H/16, W/16).
    """

    def __init__(self, config: CVQNConfig) -> None:
        super().__init__()
        widths = config.encoder_features
        nexts = (*widths[1:], 4 * widths[-1])
        self.head = nn.Conv2d(3, widths[0], 3, padding=1)
        stages: list[nn.Module] = []
        for width, following, blocks in zip(widths, nexts, config.encoder_blocks, strict=True):
            inner = 4 * width
            stages.append(nn.PixelUnshuffle(2))
            if config.gdn:
                stages.append(GDN(inner))
            stages.append(ResidualGroup(inner, blocks, config.attention))
            # The last stage keeps its width, for which a 1×1 is enough.
            kernel = 3 if following != inner else 1
            stages.append(nn.Conv2d(inner, following, kernel, padding=kernel // 2))
        self.stages = nn.Sequential(*stages)
        self.features = nexts[-1]
        self.tail = nn.Conv2d(self.features, config.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.head(x))


class Decoder(nn.Module):
    """The mirror: four stages {convolution, residual group, GDN, pixel shuffle}, convolution.

    With ``quality_input``, what each residual group adds is weighed, channel by channel, by a gain
    of the quality: coarse steps leave more to mend than fine ones.
    Shape: latent (B, C, h, w), quality (B,) -> (B, 3, 16h, 16w).
    """

    def __init__(self, config: CVQNConfig) -> None:
        super().__init__()
        widths = config.decoder_features
        stages: list[nn.Module] = []
        incoming = config.channels
        gains: list[nn.Module] = []
        for width, blocks in zip(reversed(widths), reversed(config.decoder_blocks), strict=True):
            inner = 4 * width
            if config.quality_input:
                gains.append(QualityGain(torch.ones(config.gain_anchors, inner)))
            stages.append(nn.Conv2d(incoming, inner, 3, padding=1))
            stages.append(ResidualGroup(inner, blocks, config.attention))
            if config.gdn:
                stages.append(GDN(inner, inverse=True))
            stages.append(nn.PixelShuffle(2))
            incoming = width
        self.stages = nn.Sequential(*stages)
        self.group_gains = nn.ModuleList(gains)
        self.tail = nn.Conv2d(incoming, 3, 3, padding=1)

    def forward(self, latent: Tensor, quality: Tensor) -> Tensor:
        gains = iter(self.group_gains)
        features = latent
        for stage in self.stages:
            if self.group_gains and isinstance(stage, ResidualGroup):
                features = stage(features, weight=next(gains)(quality))
            else:
                features = stage(features)
        return self.tail(features)


class Output(NamedTuple):
    """x_hat (B, 3, H, W); bits (B,) of all symbols; group_bits (B, G); quantizer_nll, the mean
    −log p(Z) in nats; importance (B, 1, h, w) in (0, 1) or None."""

    x_hat: Tensor
    bits: Tensor
    group_bits: Tensor
    quantizer_nll: Tensor
    importance: Tensor | None


class CVQN(nn.Module):
    """All networks of the codec. `forward` is the training pass; the codec calls the parts."""

    def __init__(self, config: CVQNConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        steps = torch.full((config.channels,), 1.0)
        if config.linear_path:
            filters, frequencies = dct_basis(config.channels)
            self.analysis_basis = nn.Parameter(filters.clone())
            self.synthesis_basis = nn.Parameter(filters.clone())
            self.compand, self.expand = (
                Companding(frequencies, config.companding, inverse)
                if config.companding
                else nn.Identity()
                for inverse in (False, True)
            )
            self.pre_filter, self.post_filter = (
                Overlap(config.overlap, inverse) if config.overlap else nn.Identity()
                for inverse in (False, True)
            )
            steps = initial_steps(frequencies, config.companding > 0)
            # The networks start as no correction at all.
            nn.init.zeros_(self.encoder.tail.weight)
            nn.init.zeros_(self.decoder.tail.weight)
        for tail in (self.encoder.tail, self.decoder.tail):
            tail.bias = nn.Parameter(torch.zeros(tail.out_channels))
        span = config.gain_span ** torch.linspace(-1, 1, config.gain_anchors)[:, None]
        if config.linear_path:
            span = torch.where(frequencies == 0, span**0.4, span)
        self.gain = QualityGain(span / steps)
        self.inverse_gain = QualityGain(steps / span)
        self.importance = ChannelImportance(config.channels, config.importance)
        self.map = (
            ImportanceMap(self.encoder.features, config.channels, config.map_levels)
            if config.map_levels
            else None
        )
        self.quantizers = nn.ModuleList(GMMQuantizer(levels) for levels in config.levels)
        context = config.context
        self.context = ContextModel(
            list(config.groups), list(config.levels), list(context.passes), context.features,
            context.hidden, context.residual_kernel, context.rank,
        )  # fmt: skip

    @property
    def levels(self) -> list[GMMQuantizer]:
        """The groups' quantizers, typed."""
        return [cast(GMMQuantizer, quantizer) for quantizer in self.quantizers]

    def analyse(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x (B, 3, H, W) in [0, 1], multiples of 16 -> latent (B, C, h, w), importance or None."""
        x = x - 0.5
        features = self.encoder(x)
        latent = self.encoder.tail(features)
        if self.config.linear_path:
            linear = F.conv2d(self.pre_filter(x), self.analysis_basis, stride=BLOCK)
            latent = latent + self.compand(linear)
        return latent, self.map(features) if self.map is not None else None

    def synthesise(self, latent: Tensor, quality: Tensor) -> Tensor:
        """Dequantized latent (B, C, h, w), quality (B,) -> x_hat (B, 3, H, W), not clipped."""
        if self.config.linear_path:
            latent = self.expand(latent)
            base = F.conv_transpose2d(latent, self.synthesis_basis, stride=BLOCK)
            return self.decoder(latent, quality) + self.post_filter(base) + 0.5
        return self.decoder(latent, quality) + 0.5

    def side(self, level: Tensor | None, quality: Tensor, like: Tensor) -> Tensor:
        """Side input of the context model: (B, 2, h, w), map level and quality, both in [0, 1]."""
        batch, _, rows, cols = like.shape
        plane = (quality / 100).to(like.dtype)[:, None, None, None].expand(batch, 1, rows, cols)
        if level is None:
            return torch.cat([torch.ones_like(plane), plane], dim=1)
        return torch.cat([(level + 1).to(like.dtype) / self.config.map_levels, plane], dim=1)

    def forward(self, x: Tensor, quality: Tensor, use_map: Tensor | None = None) -> Output:
        """One training pass. quality: (B,) in [1, 100]. use_map: (B,) bool, default all."""
        latent, importance = self.analyse(x)
        scaled, order = self.importance(latent)
        ordered = (scaled * self.gain(quality))[:, order]
        mask = level = None
        if importance is not None:
            assert self.map is not None
            if use_map is not None:
                importance = torch.where(use_map[:, None, None, None], importance, 1 - 1e-4)
            mask = self.map.soft_mask(importance)
            level = self.map.level(importance)

        values, assignments, masks = [], [], []
        nll = x.new_zeros(())
        start = 0
        for size, quantizer in zip(self.config.groups, self.levels, strict=True):
            quantized = quantizer(ordered[:, start : start + size])
            value = quantized.values
            group_mask = mask[:, start : start + size] if mask is not None else None
            if group_mask is not None:
                zero = quantizer.mu[quantizer.zero]
                value = zero + (value - zero) * group_mask
            values.append(value)
            assignments.append(quantized.assignment)
            masks.append(group_mask)
            nll = nll - quantized.log_likelihood.mean() * (size / self.config.channels)
            start += size

        mus = [quantizer.mu for quantizer in self.levels]
        all_logits = self.context(values, mus, self.side(level, quality, latent))
        group_bits = []
        for logits, assignment, group_mask in zip(all_logits, assignments, masks, strict=True):
            nats = -(assignment * F.log_softmax(logits, dim=-1)).sum(dim=-1)
            if group_mask is not None:
                nats = nats * group_mask
            group_bits.append(nats.sum(dim=(1, 2, 3)) / math.log(2))
        bits = torch.stack(group_bits, dim=1)

        merged = torch.cat(values, dim=1)[:, torch.argsort(order)] * self.inverse_gain(quality)
        return Output(self.synthesise(merged, quality), bits.sum(dim=1), bits, nll, importance)
