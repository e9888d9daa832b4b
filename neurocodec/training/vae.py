"""How the variational autoencoder is trained (see `system`)."""

from __future__ import annotations

import copy
import re
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from neurocodec.coding.cdf import TOTAL
from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.nets.comrec import Block, ComRec
from neurocodec.nets.vae import HYPER_LEVELS, VAE, Output, Residual
from neurocodec.training.loss import Losses, rate_distortion
from neurocodec.training.recipe import VAERecipe
from neurocodec.training.system import System, judge_rates, stratified

HEAD = re.compile(r"networks\.prior\.groups\.\d+\.head\.(weight|bias)")
"""Of the parameters, those that a row of a mixture comes from."""
OF_A_CHANNEL = re.compile(
    r"networks\.(analysis\.(basis|tail\.(weight|bias))|synthesis\.basis|prior\.log_unit)"
)
"""Those that have a row for each channel of the latent,"""
HEARS_CHANNELS = re.compile(r"networks\.(hyper_analysis|synthesis)\.head\.weight")
"""a column of kernels,"""
GAINS = re.compile(r"networks\.(prior\.gain|inverse_gain)\.log_gain")
"""a column of gains."""
FAINT = -3.0
"""Log-weight of a new Gaussian beside that of the one it comes from."""


class TrainedVAE(nn.Module):
    """The networks, and the bottleneck that learns how the hyper-latent is distributed."""

    def __init__(self, networks: VAE) -> None:
        super().__init__()
        try:
            from compressai.entropy_models import EntropyBottleneck
        except (ImportError, RuntimeError) as error:  # torchvision for another torch
            raise MissingDependency(
                f"training a vae needs compressai, which cannot be imported ({error}): "
                "pip install compressai with a torchvision that fits torch"
            ) from error
        self.networks = networks
        self.bottleneck = EntropyBottleneck(networks.config.hyper, init_scale=4)
        # Its quantiles, and with them the medians, stay where they are: integers are integers.
        self.bottleneck.quantiles.requires_grad_(False)

    def forward(self, x: Tensor, quality: Tensor) -> Output:
        return self.networks(x, quality, self.bottleneck)


class VAESystem(System):
    """End to end, all qualities at once."""

    def __init__(self, config: VAERecipe) -> None:
        self.config = config

    def build(self) -> nn.Module:
        model = TrainedVAE(VAE(self.config.model))
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def part(self, name: str) -> str:
        if any(few in name for few in ("gain", "unit", "overlap")):
            return "gains"
        prior = name.startswith(("bottleneck", "networks.prior", "networks.hyper"))
        return "context" if prior else "transforms"

    def loss(self, model: TrainedVAE, x: Tensor, step: int, generator: Generator) -> Losses:
        low, high = self.config.qualities
        power = self.config.quality_power
        quality = stratified(x.shape[0], generator, low, high, power).to(x.device)
        # The bottleneck's noise is of torch's own state: seeded, a run can be resumed exactly.
        seed = int(torch.randint(2**31, (1,), generator=generator))
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(seed)
            output = model(x, quality)
        return rate_distortion(x, output.x_hat, output.bits, quality, self.config.loss)

    def judge(self, model: TrainedVAE, crops: Tensor) -> list[dict[str, Any]]:
        """Bits are estimates."""
        return judge_rates(model, crops)

    def begin(self, model: TrainedVAE, other: Any, where: str) -> None:
        """A VAE of the same shape, or with fewer Gaussians a symbol, fewer residual blocks or fewer
        groups, of which the new ones begin as if they were not there, groups with what the block
        transform alone does; with its bottleneck if it comes from a checkpoint, else with one that
        says what its tables do. Or, for a start, the RecCNN of a ComRec, which then restores the
        block transform."""
        source: dict[str, Tensor] = other.state_dict()
        if isinstance(other, VAE):
            source = {f"networks.{name}": value for name, value in source.items()}
        if isinstance(other, VAE | TrainedVAE):
            networks = other.networks if isinstance(other, TrainedVAE) else other
            has, wanted = networks.config.components, self.config.model.components
            for name in [name for name in source if HEAD.fullmatch(name)]:
                source[name] = with_more_gaussians(source[name], has, wanted)
            for ours, theirs in zip(_stacks(model.networks), _stacks(networks), strict=True):
                for block in list(ours)[len(theirs) :]:
                    cast(Residual | Block, block).add_nothing()
        elif isinstance(other, ComRec):
            source = {
                f"networks.synthesis.restore.{name}": value
                for name, value in other.rec.state_dict().items()
            }
        state = model.state_dict()
        source = {
            name: with_more_channels(name, value, state[name]) if name in state else value
            for name, value in source.items()
        }
        if any(name not in state or state[name].shape != v.shape for name, v in source.items()):
            raise InvalidArgument(f"{where} holds networks of another shape than the recipe's")
        model.load_state_dict(source, strict=False)
        if isinstance(other, VAE):
            fit(model.bottleneck, other.hyper_cdf)

    def finished(self, model: TrainedVAE) -> VAE:
        """The networks, with the bottleneck as integer tables."""
        model.networks.hyper_cdf.copy_(tables(model.bottleneck))
        return model.networks


def _stacks(networks: VAE) -> tuple[nn.Sequential | nn.ModuleList, ...]:
    """Of residual blocks, those that a configuration gives a length."""
    analysis, synthesis = networks.analysis, networks.synthesis
    return analysis.blocks, analysis.deeper, synthesis.restore.blocks, synthesis.deeper


def with_more_channels(name: str, few: Tensor, fresh: Tensor) -> Tensor:
    """A parameter of a VAE as a start for that of one with channels appended to its latent, whose
    parameter before training is ``fresh``: the new channels are what they are there, with the gains
    of the last one that there was, and no network hears of them. As it is where it has as many, or
    where more than the channels differs."""
    if OF_A_CHANNEL.fullmatch(name) and few.shape[1:] == fresh.shape[1:]:
        return torch.cat([few, fresh[len(few) :]])
    new = fresh[:, few.shape[1] :] if few.dim() == fresh.dim() > 1 else fresh
    if HEARS_CHANNELS.fullmatch(name) and len(few) == len(fresh):
        return torch.cat([few, torch.zeros_like(new)], dim=1)
    if GAINS.fullmatch(name) and len(few) == len(fresh):
        return torch.cat([few, few[:, -1:].expand_as(new)], dim=1)
    return few


def with_more_gaussians(head: Tensor, has: int, wanted: int) -> Tensor:
    """Weight or bias of a head for mixtures of ``has`` Gaussians, (3K·n, …), made one for
    ``wanted``: the new ones begin as faint copies of the last, each e times as wide as the one
    before (see `gaussian.parameters`). As it is where it has as many or more."""
    if has >= wanted:
        return head
    rows = head.unflatten(0, (-1, 3, has))
    new = rows[:, :, -1:].repeat(1, 1, wanted - has, *[1] * (rows.dim() - 3))
    if head.dim() == 1:
        new[:, 0] += FAINT
    return torch.cat([rows, new], dim=2).flatten(0, 2)


@torch.enable_grad()
def fit(bottleneck: nn.Module, cdf: Tensor, steps: int = 400) -> None:
    """Let a bottleneck say of the integers what `tables` (Z, 64) do, which were made of another."""
    share = cdf.diff(dim=1).to(_any_of(bottleneck)) / TOTAL
    learning = copy.deepcopy(bottleneck).requires_grad_()  # an averaged one takes no gradients
    moved = [value for name, value in learning.named_parameters() if name != "quantiles"]
    optimizer = torch.optim.Adam(moved, lr=0.03)
    for _ in range(steps):
        bits = -(share * _likelihoods(learning).log2()).sum(dim=1)
        optimizer.zero_grad()
        bits.mean().backward()
        optimizer.step()
    bottleneck.load_state_dict(learning.state_dict())


@torch.no_grad()
def tables(bottleneck: nn.Module) -> Tensor:
    """What a bottleneck says of the integers -31…31, as counts of 2**16: (Z, 64) int32.

    The ends take what lies beyond; every integer keeps a count.
    """
    share = _likelihoods(bottleneck).double().cpu()
    share = share / share.sum(dim=1, keepdim=True)
    upper = torch.cumsum(share, dim=1) * (TOTAL - HYPER_LEVELS)
    counts = upper.floor().int() + torch.arange(1, HYPER_LEVELS + 1, dtype=torch.int32)
    counts[:, -1] = TOTAL
    return torch.cat([torch.zeros(len(counts), 1, dtype=torch.int32), counts], dim=1)


def _likelihoods(bottleneck: nn.Module) -> Tensor:
    """Of the integers -31…31, by channel: (Z, 63) float32."""
    reach = HYPER_LEVELS // 2
    integers = torch.arange(-reach, reach + 1).to(_any_of(bottleneck))
    grid = integers.expand(1, cast(int, bottleneck.channels), -1)[..., None]
    _, likelihood = bottleneck(grid, training=False)
    return likelihood[0, :, :, 0]


def _any_of(module: nn.Module) -> Tensor:
    """A parameter, for its device and dtype."""
    return next(module.parameters())
