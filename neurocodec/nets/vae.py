"""The variational autoencoder: residual transforms, a hyperprior, a grouped mixture prior.

Analysis and synthesis are a block transform each (`block_transform`, learned further), its blocks
overlapping and its coefficients companded where the configuration says so, with networks beside it
that start as no correction at all. They work in the space-to-depth domain, at a quarter
of the resolution and below, where a CPU's convolutions are efficient. The latent's channels are
coded in groups of uneven size, most important first (He et al., ELIC, arXiv 2203.10886, section
3.2), each given a hyperprior (Ballé et al., arXiv 1802.01436) and the groups before it, in a few
passes (`passes`) within the group. A mixture of Gaussians (Cheng et al., arXiv 2001.01568) says how
probable each integer is. One set of weights serves all rates: a gain a channel sets the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets import gaussian
from neurocodec.nets.block_transform import BLOCK, Companding, check_companding, dct_basis
from neurocodec.nets.comrec import FastRecCNN
from neurocodec.nets.gain import QualityGain, check_anchors
from neurocodec.nets.overlap import Overlap
from neurocodec.nets.passes import check_passes, pass_numbers
from neurocodec.nets.zeroed import zeroed

STRIDE = BLOCK
HYPER = 4  # the hyper-latent's stride, in positions of the latent
HYPER_LEVELS = 63  # its integers are within ±31
TYPICAL = 0.02  # local energy, twice the variance of values in [0, 1], that companding leaves alone


@dataclass(frozen=True)
class VAEConfig:
    """Everything that shapes the networks.

    groups: channels of each group, in coding order; passes: of each group (see `passes`).
    steps: quantization step at quality 1 and at 100 before training, in 8-bit grey levels.
    components: Gaussians a symbol. hyper: channels of the hyper-latent, features: of what it says.
    hidden: width of the prior's networks. analysis, synthesis: widths of the transforms at a
    quarter of the resolution and at a sixteenth; blocks: residual blocks of both at a quarter,
    deeper: of both at a sixteenth, beyond the first. overlap: strength that `Overlap` begins with,
    0 for a block transform without; companding: exponent of `Companding`, 0 for none.
    """

    groups: tuple[int, ...] = (3, 21, 48, 72, 112)
    passes: tuple[int, ...] = (5, 3, 2, 2, 1)
    components: int = 2
    hyper: int = 48
    features: int = 64
    hidden: int = 96
    analysis: tuple[int, int] = (64, 128)
    synthesis: tuple[int, int] = (64, 128)
    blocks: tuple[int, int] = (2, 5)
    deeper: tuple[int, int] = (0, 0)
    overlap: float = 0.0
    companding: float = 0.0
    steps: tuple[float, float] = (120.0, 11.0)
    gain_anchors: int = 6

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.passes):
            raise ValueError("groups and passes must have one entry a group each")
        for passes in self.passes:
            check_passes(passes)
        check_companding(self.companding)
        check_anchors(self.gain_anchors)

    @property
    def channels(self) -> int:
        return sum(self.groups)


class Residual(nn.Module):
    """Two convolutions beside a skip; begins close to the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        with torch.no_grad():
            self.second.weight *= 0.1

    def add_nothing(self) -> None:
        """Zero the second convolution, so that the block passes its input on."""
        zeroed(self.second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Analysis(nn.Module):
    """Picture -> latent. x (B, 3, H, W) around 0, multiples of 16 -> (B, C, H/16, W/16)."""

    def __init__(self, config: VAEConfig, filters: Tensor) -> None:
        super().__init__()
        quarter, sixteenth = config.analysis
        self.overlap = Overlap(config.overlap) if config.overlap else nn.Identity()
        self.basis = nn.Parameter(filters.clone())
        self.head = nn.Conv2d(48, quarter, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(quarter) for _ in range(config.blocks[0])))
        self.down = nn.Conv2d(16 * quarter, sixteenth, 1)
        self.body = Residual(sixteenth)
        self.deeper = nn.Sequential(*(Residual(sixteenth) for _ in range(config.deeper[0])))
        self.tail = zeroed(nn.Conv2d(sixteenth, config.channels, 3, padding=1))

    def forward(self, x: Tensor, unit: Tensor) -> Tensor:
        features = self.blocks(F.relu(self.head(F.pixel_unshuffle(x, 4))))
        features = self.body(F.relu(self.down(F.pixel_unshuffle(features, 4))))
        features = self.deeper(features)
        linear = F.conv2d(self.overlap(x) * 255, self.basis, stride=BLOCK)
        return linear + self.tail(features) * unit


class Synthesis(nn.Module):
    """Latent -> picture: the block transform, restored by RecCNN's fast form, which is also told
    what the latent says beyond the transform. Shape: as `Analysis`, reversed."""

    def __init__(self, config: VAEConfig, filters: Tensor) -> None:
        super().__init__()
        quarter, sixteenth = config.synthesis
        self.basis = nn.Parameter(filters.clone())
        self.overlap = Overlap(config.overlap, inverse=True) if config.overlap else nn.Identity()
        self.head = nn.Conv2d(config.channels, sixteenth, 3, padding=1)
        self.body = Residual(sixteenth)
        self.deeper = nn.Sequential(*(Residual(sixteenth) for _ in range(config.deeper[1])))
        self.up = zeroed(nn.Conv2d(sixteenth, 16 * quarter, 1))
        self.restore = FastRecCNN(quarter, config.blocks[1])

    def forward(self, latent: Tensor, unit: Tensor, quality: Tensor) -> Tensor:
        features = self.deeper(self.body(F.relu(self.head(latent / unit))))
        deep = F.pixel_shuffle(self.up(F.relu(features)), 4)
        picture = self.overlap(F.conv_transpose2d(latent, self.basis, stride=BLOCK) / 255) + 0.5
        condition = torch.stack([quality / 100, torch.zeros_like(quality)], dim=1)
        return self.restore(picture, condition, deep)


class HyperAnalysis(nn.Module):
    """Latent in natural units (B, C, h, w), multiples of 4 -> hyper-latent (B, Z, h/4, w/4)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.head = nn.Conv2d(config.channels, config.features, 3, padding=1)
        self.down = nn.Conv2d(HYPER**2 * config.features, 2 * config.features, 1)
        self.tail = nn.Conv2d(2 * config.features, config.hyper, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        features = F.leaky_relu(self.head(torch.asinh(latent)), 0.1)
        features = F.leaky_relu(self.down(F.pixel_unshuffle(features, HYPER)), 0.1)
        return self.tail(features)


class HyperSynthesis(nn.Module):
    """Hyper-latent (B, Z, h/4, w/4) -> what it says of each position, (B, F, h, w)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.head = nn.Conv2d(config.hyper, 2 * config.features, 3, padding=1)
        self.up = nn.Conv2d(2 * config.features, HYPER**2 * config.features, 1)
        self.tail = nn.Conv2d(config.features, config.features, 3, padding=1)

    def forward(self, hyper: Tensor) -> Tensor:
        features = F.leaky_relu(self.up(F.leaky_relu(self.head(hyper), 0.1)), 0.1)
        return F.leaky_relu(self.tail(F.pixel_shuffle(features, HYPER)), 0.1)


class GroupPrior(nn.Module):
    """Mixtures for a group of ``size`` channels, given ``previous`` decoded channels."""

    def __init__(self, config: VAEConfig, size: int, previous: int, passes: int) -> None:
        super().__init__()
        self.size, self.passes, self.components = size, passes, config.components
        hidden = config.hidden
        self.condition = nn.Conv2d(config.features + previous + 1, hidden, 3, padding=1)
        reach = 5 if passes > 2 else 3  # a sparse first grid has its neighbours further away
        # What this group's earlier passes said; the first pass has nothing to look at.
        self.known = (
            nn.Conv2d(size, hidden, reach, padding=reach // 2, bias=False) if passes > 1 else None
        )
        self.turn = nn.Parameter(torch.zeros(passes, hidden))
        self.body = nn.Conv2d(hidden, hidden, 1)
        self.head = nn.Conv2d(hidden, 3 * config.components * size, 1)
        self.shift = zeroed(nn.Conv2d(hidden, size, 1))
        with torch.no_grad():
            self.head.weight *= 0.1
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def look(self, base: Tensor, known: Tensor, index: int) -> Tensor:
        """What the surroundings of each position say in pass ``index``: (B, hidden, h, w).

        base: `condition` of what was decoded before; known: (B, n, h, w), this group's values in
        natural units, zero from pass ``index`` on.
        """
        features = base + self.turn[index][:, None, None]
        if index:
            assert self.known is not None
            features = features + self.known(known)
        return F.leaky_relu(features, 0.1)

    def say(self, seen: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """What `look` saw, (B, hidden, h, w) -> mixtures (B, n, h, w, 3K), and how far the latent
        is expected from the integer, in ±1/2: (B, n, h, w). Works position by position.

        unit: (B, n, 1, 1), natural deviations in integers.
        """
        features = F.leaky_relu(self.body(seen), 0.1)
        return (
            gaussian.parameters(self.head(features), unit),
            0.5 * torch.tanh(self.shift(features)),
        )


class Prior(nn.Module):
    """All that the coder needs to know: it runs in float64 there (DESIGN 5)."""

    def __init__(self, config: VAEConfig, unit: Tensor) -> None:
        super().__init__()
        self.config = config
        self.log_unit = nn.Parameter(unit.log())
        low, high = config.steps
        steps = low * (high / low) ** torch.linspace(0, 1, config.gain_anchors)[:, None]
        self.gain = QualityGain((1 / steps).expand(-1, config.channels).clone())
        self.hyper_gain = QualityGain(torch.ones(config.gain_anchors, config.hyper))
        self.hyper = HyperSynthesis(config)
        self.groups = nn.ModuleList()
        previous = 0
        for size, passes in zip(config.groups, config.passes, strict=True):
            self.groups.append(GroupPrior(config, size, previous, passes))
            previous += size

    @property
    def parts(self) -> list[GroupPrior]:
        """The groups' priors, typed."""
        return [cast(GroupPrior, group) for group in self.groups]

    @property
    def unit(self) -> Tensor:
        """Natural deviation of each channel, in 8-bit units of the transform: (1, C, 1, 1)."""
        return self.log_unit.exp()[None, :, None, None]

    def units(self, quality: Tensor) -> list[Tensor]:
        """The same in quantized integers, a group each: (B, n, 1, 1)."""
        return list((self.unit * self.gain(quality)).split(self.config.groups, dim=1))

    def describe(self, hyper: Tensor, quality: Tensor, rows: int, cols: int) -> Tensor:
        """Integers of the hyper-latent (B, Z, ⌈h/4⌉, ⌈w/4⌉) -> (B, F + 1, h, w) with quality."""
        features = self.hyper(hyper / self.hyper_gain(quality))[:, :, :rows, :cols]
        plane = (quality / 100)[:, None, None, None].expand(-1, 1, rows, cols)
        return torch.cat([features, plane], dim=1)

    def forward(self, latent: Tensor, hyper: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing. latent: (B, C, h, w) in steps, not yet rounded; hyper: integers.

        Returns bits of each (B, C, h, w), and the latent as the decoder will have it, in steps:
        integers, each with its expected distance from the true latent, within ±1/2.
        """
        rows, cols = latent.shape[2:]
        seen = self.describe(hyper, quality, rows, cols)
        bits, decoded = [], []
        parts = zip(
            self.parts, latent.split(self.config.groups, dim=1), self.units(quality), strict=True
        )
        for group, wanted, unit in parts:
            base = group.condition(seen)
            value = straight_through(wanted)
            natural = value / unit
            order = pass_numbers(group.passes, rows, cols, value.device)
            features = base.new_zeros(())
            for index in range(group.passes):
                features = torch.where(
                    order == index, group.look(base, natural * (order < index), index), features
                )
            mixtures, shift = group.say(features, unit)
            bits.append(gaussian.bits(mixtures, wanted))
            decoded.append(value + shift)
            seen = torch.cat([seen, natural], dim=1)
        return torch.cat(bits, dim=1), torch.cat(decoded, dim=1)


class Output(NamedTuple):
    """x_hat (B, 3, H, W); bits (B,) of all symbols and hyper_bits (B,), the hyper-latent's part."""

    x_hat: Tensor
    bits: Tensor
    hyper_bits: Tensor


class VAE(nn.Module):
    """All networks of the codec. `forward` is the training pass; the codec calls the parts.

    hyper_cdf: (Z, 64) int32, the hyper-latent's tables of counts (`coding.cdf`), frozen from the
    bottleneck that it was trained with.
    """

    hyper_cdf: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        filters, frequencies = dct_basis(config.channels)
        unit = natural_deviation(filters, frequencies)
        self.analysis = Analysis(config, filters)
        self.synthesis = Synthesis(config, filters)
        self.compand, self.expand = (
            Companding(frequencies, config.companding, inverse, TYPICAL)
            if config.companding
            else nn.Identity()
            for inverse in (False, True)
        )
        self.hyper_analysis = HyperAnalysis(config)
        self.prior = Prior(config, unit)
        self.inverse_gain = QualityGain(1 / self.prior.gain.log_gain.detach().exp())
        uniform = torch.linspace(0, 2**16, HYPER_LEVELS + 1).round().int()
        self.register_buffer("hyper_cdf", uniform.expand(config.hyper, -1).clone())

    def analyse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, 3, H, W) in [0, 1], multiples of 16 -> latent (B, C, h, w), hyper-latent."""
        unit = self.prior.unit
        latent = self.compand(self.analysis(x - 0.5, unit) / 255) * 255
        padding = (0, -latent.shape[3] % HYPER, 0, -latent.shape[2] % HYPER)
        return latent, self.hyper_analysis(F.pad(latent / unit, padding, mode="replicate"))

    def synthesise(self, values: Tensor, quality: Tensor) -> Tensor:
        """Integers with their shifts (B, C, h, w) -> x_hat (B, 3, H, W), not clipped."""
        latent = self.expand(values * self.inverse_gain(quality) / 255) * 255
        return self.synthesis(latent, self.prior.unit, quality)

    def forward(self, x: Tensor, quality: Tensor, bottleneck: nn.Module) -> Output:
        """One training pass. quality: (B,) in [1, 100].

        bottleneck: called with the scaled hyper-latent, returns it with noise, and likelihoods.
        """
        latent, hyper = self.analyse(x)
        hyper = hyper * self.prior.hyper_gain(quality)
        _, likelihood = bottleneck(hyper)
        hyper_bits = -torch.log2(likelihood).sum(dim=(1, 2, 3))
        steps = latent * self.prior.gain(quality)
        bits, decoded = self.prior(steps, straight_through(hyper), quality)
        total = bits.sum(dim=(1, 2, 3)) + hyper_bits
        return Output(self.synthesise(decoded, quality), total, hyper_bits)


def straight_through(x: Tensor) -> Tensor:
    """Rounds; the gradient passes."""
    return x + (x.round() - x).detach()


def natural_deviation(filters: Tensor, frequencies: Tensor) -> Tensor:
    """About how much each coefficient deviates in photographs, in 8-bit units: (C,).

    Read off 16 photographs of the training set: luma 330/f^1.15, chroma about a quarter of that; DC
    by itself. A start, learned further.
    """
    chroma = filters.sum(dim=1).abs().amax(dim=(1, 2)) < 1e-4
    deviation = torch.where(
        frequencies == 0, torch.tensor(1000.0), 330 * frequencies.clamp(min=1) ** -1.15
    )
    return torch.where(chroma, deviation / 4, deviation)


def kmacs_per_pixel(config: VAEConfig) -> dict[str, float]:
    """Multiply–accumulates of the convolutions for each pixel, in thousands, by part."""
    model = VAE(config)
    counted: dict[str, float] = {}
    size = 4 * STRIDE * HYPER

    def count(name: str):
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            weights = cast(Tensor, layer.weight).numel()
            macs = weights * math.prod(output.shape[2:]) / size**2 / 1000
            part = name.split(".")[0]
            counted[part] = counted.get(part, 0.0) + macs

        return hook

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count(name))
    x, quality = torch.zeros(1, 3, size, size), torch.tensor([50.0])
    with torch.no_grad():
        model(x, quality, _certain)
    transforms = config.channels * 3 * BLOCK**2 / BLOCK**2 / 1000
    if config.overlap:
        transforms += 2 * 3 * BLOCK / 1000
    if config.companding:
        transforms += config.channels**2 / BLOCK**2 / 1000
    for part in ("analysis", "synthesis"):
        counted[part] += transforms
    return counted


def _certain(hyper: Tensor) -> tuple[Tensor, Tensor]:
    return hyper, torch.ones_like(hyper)
