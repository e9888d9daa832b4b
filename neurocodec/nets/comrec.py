"""ComCNN and RecCNN (Jiang et al., arXiv 1708.00838): a compact image, and what rebuilds it.

ComCNN makes an image of half the width and height, a codec carries it, and RecCNN adds to the
decoded image, upsampled, what it has lost. Colour, the quality as an input, and the fast forms are
this project's own; the full forms are the published ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets.block_dct import BlockDCT, BlockDCTConfig
from neurocodec.nets.zeroed import zeroed

Form = Literal["fast", "full"]
InnerName = Literal["dct", "jpeg", "jpeg2000", "webp", "avif", "heic"]
CONDITIONS = 2  # inner quality, and whether the decoded image was of half size


@dataclass(frozen=True)
class ComRecConfig:
    """``inner``: the codec that the networks were trained around.

    rec_features, rec_blocks, com_features: widths of the fast forms; the full ones are fixed.
    switch: quality from which `auto` codes the picture at full size, RecCNN alone; below it and
    from ``certain`` on, it tries that and half the size.
    both, rec: inner quality at quality 1, at the switch, and at 100.
    """

    inner: InnerName = "dct"
    form: Form = "fast"
    com_features: int = 48
    rec_features: int = 64
    rec_blocks: int = 5
    switch: float = 50.0
    certain: float = 1.0
    both: tuple[float, float, float] = (1.0, 50.0, 100.0)
    rec: tuple[float, float, float] = (1.0, 50.0, 100.0)
    dct: BlockDCTConfig = field(default_factory=BlockDCTConfig)

    def inner_quality(self, quality: float, half: bool) -> float:
        """What the inner codec is asked for at ``quality``: linear below and above the switch."""
        low, middle, high = self.both if half else self.rec
        if quality == self.switch:
            return middle
        if quality < self.switch:
            return low + (middle - low) * (quality - 1) / (self.switch - 1)
        return middle + (high - middle) * (quality - self.switch) / (100 - self.switch)


def upsample(x: Tensor) -> Tensor:
    """Bicubic, ×2: (B, 3, h, w) -> (B, 3, 2h, 2w)."""
    return F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """Bicubic with a low pass, ×1/2: (B, 3, 2h, 2w) -> (B, 3, h, w)."""
    size = (x.shape[2] // 2, x.shape[3] // 2)
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)


def planes(condition: Tensor, like: Tensor) -> Tensor:
    """(B, K) -> (B, K, H, W) of the height and width of ``like``."""
    return condition[:, :, None, None].expand(-1, -1, *like.shape[2:])


class FastComCNN(nn.Module):
    """The three layers after a pixel unshuffle, as a correction to bicubic downsampling.

    Shape: x (B, 3, 2h, 2w) in [0, 1], condition (B, 2) -> compact image (B, 3, h, w), not clipped.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(12 + CONDITIONS, features, 3, padding=1)
        self.body = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, 3, 3, padding=1)
        zeroed(self.tail)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        packed = F.pixel_unshuffle(x - 0.5, 2)
        features = F.relu(self.head(torch.cat([packed, planes(condition, packed)], dim=1)))
        return downsample(x) + self.tail(F.relu(self.body(features)))


class FullComCNN(nn.Module):
    """As published, table 1: 64 features, the second layer with stride 2; here in colour."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3 + CONDITIONS, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(64, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.layers(torch.cat([x, planes(condition, x)], dim=1))


class Block(nn.Module):
    """Two convolutions beside a skip; the first one's output scaled and shifted by condition."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.modulation = nn.Linear(32, 2 * features)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        with torch.no_grad():
            self.second.weight *= 0.1

    def add_nothing(self) -> None:
        """Zero the second convolution, so that the block passes its input on."""
        zeroed(self.second)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        return x + self.second(F.relu(self.first(x) * (1 + scale) + shift))


class FastRecCNN(nn.Module):
    """RecCNN's role at a quarter of the resolution: pixel unshuffle ×4, residual blocks, shuffle.

    Shape: decoded and upsampled image (B, 3, H, W) in [0, 1], H and W multiples of 4, condition
    (B, 2) -> restored image (B, 3, H, W), not clipped.
    """

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(CONDITIONS, 32), nn.ReLU(), nn.Linear(32, 32))
        self.head = nn.Conv2d(48, features, 3, padding=1)
        self.blocks = nn.ModuleList(Block(features) for _ in range(blocks))
        self.tail = nn.Conv2d(features, 48, 3, padding=1)
        zeroed(self.tail)

    def forward(self, x: Tensor, condition: Tensor, more: Tensor | None = None) -> Tensor:
        """more: (B, features, H/4, W/4), what else is known of the picture."""
        embedding = F.relu(self.embed(condition))
        features = self.head(F.pixel_unshuffle(x - 0.5, 4))
        if more is not None:
            features = features + more
        for block in self.blocks:
            features = block(features, embedding)
        return x + F.pixel_shuffle(self.tail(features), 4)


class FullRecCNN(nn.Module):
    """As published, table 2: 20 convolutions of 64 features with batch normalization, residual."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3 + CONDITIONS, 64, 3, padding=1), nn.ReLU()]
        for _ in range(18):
            layers += [nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return x + self.layers(torch.cat([x, planes(condition, x)], dim=1))


class ComRec(nn.Module):
    """Both networks and, where the inner codec is this project's own, its tables and context."""

    def __init__(self, config: ComRecConfig) -> None:
        super().__init__()
        self.config = config
        fast = config.form == "fast"
        self.com: nn.Module = FastComCNN(config.com_features) if fast else FullComCNN()
        self.rec: nn.Module = (
            FastRecCNN(config.rec_features, config.rec_blocks) if fast else FullRecCNN()
        )
        self.dct = BlockDCT(config.dct) if config.inner == "dct" else None

    @staticmethod
    def condition(inner_quality: Tensor, half: bool) -> Tensor:
        """Inner quality (B,) in [1, 100] -> (B, 2), what both networks are told."""
        return torch.stack([inner_quality / 100, torch.full_like(inner_quality, half)], dim=1)

    def compact(self, x: Tensor, inner_quality: Tensor) -> Tensor:
        """x (B, 3, 2h, 2w) in [0, 1] -> compact image (B, 3, h, w), clipped to [0, 1]."""
        return self.com(x, self.condition(inner_quality, True)).clamp(0, 1)

    def restore(self, decoded: Tensor, inner_quality: Tensor, half: bool) -> Tensor:
        """Decoded image (B, 3, h, w) -> (B, 3, H, W), not clipped; twice the size where ``half``.

        Any size: the fast form is padded to multiples of four and cropped.
        """
        x = upsample(decoded) if half else decoded
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
        return self.rec(x, self.condition(inner_quality, half))[:, :, :height, :width]
