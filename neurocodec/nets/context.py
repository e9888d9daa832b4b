"""The context model: probabilities of a group's symbols, pass by pass.

3D masked convolutions over (channel, row, column) as in CVQN (arXiv 2007.12619, section 3.4) and
Mentzer et al. (arXiv 1801.04260), but masked by *pass number* (see `passes`): all symbols of a
pass are predicted at once. 2D convolutions over everything decoded before (earlier groups, the
importance map, the quality) enter the first 3D layer as a bias.

The training loop and the coder run the same `GroupContext.step`, so that they cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurocodec.nets.passes import check_passes, pass_numbers

INPUT_RANGE = 2.0  # level values reach the network scaled to about ±this


@dataclass(frozen=True)
class ContextConfig:
    """``passes``: passes of each group. ``residual_kernel``: 3 as published, 1 for speed."""

    passes: tuple[int, ...] = (2, 2, 2)
    features: int = 12
    hidden: int = 96
    residual_kernel: Literal[1, 3] = 1
    rank: int = 4

    def __post_init__(self) -> None:
        for passes in self.passes:
            check_passes(passes)


class State(NamedTuple):
    """Features of the symbols met so far, (B, F, n, H, W) each; zero where not met yet. Only a
    residual kernel of 3 looks at them."""

    first: Tensor
    middle: Tensor


class LevelLogits(nn.Module):
    """The final layer: F features a voxel -> Q logits, aware that levels lie on a line.

    logit_k = 1 − √(1 + ((μ_k − m)/s)²) + Σ_r c_r B_rk + b_k, with location m, log-scale and the
    few c_r linear in the features. A plain linear layer has to learn each of Q rows alone, which
    is slow for the 127 levels of the coarsest group; this one begins as a smooth density.
    """

    def __init__(self, features: int, levels: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.half_range = levels / 2
        self.head = nn.Conv3d(features, 2 + rank, 1)
        with torch.no_grad():
            self.head.weight *= 0.1
        self.head.bias = nn.Parameter(torch.zeros(2 + rank))
        self.basis = nn.Parameter(torch.randn(rank, levels) * 0.1)
        self.bias = nn.Parameter(torch.zeros(levels))
        self.log_scale = nn.Parameter(torch.tensor(levels / 16).log())

    def parameters_of(self, features: Tensor) -> Tensor:
        """(B, F, n, H, W) -> (B, 2 + rank, n, H, W): location, log-scale, coefficients."""
        return self.head(features)

    def forward(self, parameters: Tensor, mu: Tensor, window: slice = slice(None)) -> Tensor:
        """(N, 2 + rank) and level values (Q,) -> logits (N, L), unnormalized, in nats.

        window: the L levels that are asked for, all Q by default.
        """
        location = parameters[:, 0:1] * (self.half_range / INPUT_RANGE)
        inverse_scale = torch.exp(-(self.log_scale + parameters[:, 1:2]).clamp(-6, 6))
        distance = (mu[None, window] - location) * inverse_scale
        return (
            1
            - torch.sqrt(1 + distance * distance)
            + torch.addmm(self.bias[window], parameters[:, 2:], self.basis[:, window])
        )


class GroupContext(nn.Module):
    """Context model of one group of ``size`` channels, given ``previous`` decoded channels."""

    def __init__(
        self,
        size: int,
        levels: int,
        previous: int,
        passes: int,
        features: int,
        hidden: int,
        residual_kernel: int,
        rank: int,
    ) -> None:
        super().__init__()
        self.size, self.levels, self.passes, self.features = size, levels, passes, features
        reach = 5 if passes > 2 else 3  # a sparse first grid has its neighbours further away
        self.condition = nn.Sequential(
            nn.Conv2d(previous + size + 2, hidden, reach, padding=reach // 2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hidden, hidden, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hidden, features * size, 1),
        )
        self.hollow = nn.Conv3d(1, features, 3, padding=(0, 1, 1), bias=False)
        kernel = (3, residual_kernel, residual_kernel)
        padding = (1, residual_kernel // 2, residual_kernel // 2)
        self.residual_a = nn.Conv3d(features, features, kernel, padding=padding)
        self.residual_b = nn.Conv3d(features, features, kernel, padding=padding)
        self.pointwise = residual_kernel == 1
        self.logits = LevelLogits(features, levels, rank)

    def start(self, like: Tensor) -> State | None:
        """Before the first pass; like: (B, n, H, W)."""
        if self.pointwise:
            return None
        batch, _, rows, cols = like.shape
        empty = like.new_zeros(batch, self.features, self.size, rows, cols)
        return State(empty, empty)

    def given(self, previous: Tensor, side: Tensor) -> Tensor:
        """What is known before the first pass, as the first 2D layer sees it: (B, hidden, H, W).

        previous: (B, P, H, W), all earlier groups' values, scaled; side: (B, 2, H, W), map and
        quality in [0, 1].
        """
        layer = cast(nn.Conv2d, self.condition[0])
        before, _, beside = layer.weight.split([previous.shape[1], self.size, 2], dim=1)
        known = torch.cat([previous, side], dim=1)
        weight = torch.cat([before, beside], dim=1)
        return F.conv2d(known, weight, layer.bias, padding=layer.padding)

    def step(
        self,
        index: int,
        known: Tensor,
        given: Tensor,
        below: Tensor,
        order: Tensor,
        state: State | None,
        wanted: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        """Features of P positions of pass ``index``, row by row: (B, F, n, P), and the next state.

        known: (B, n, H, W), this group's values scaled by `scale_values`, zero from pass ``index``
        on; given: see `given`; below: (B, 1, H, W), the last of the earlier groups' channels, or
        zeros; order: (H, W), pass numbers; wanted: bool (H, W), the positions of the pass whose
        features are wanted, None for all of it.
        """
        now = order == index
        wanted = now if wanted is None else wanted
        needed = wanted if self.pointwise else now
        if not needed.any():
            return known.new_zeros(len(known), self.features, self.size, 0), state
        looked = self._look(known if index else None, given, below, needed)
        if self.pointwise:
            middle = F.leaky_relu(_pointwise(self.residual_a, looked), 0.1)
            return looked + _pointwise(self.residual_b, middle), None
        assert state is not None
        before, middle = state
        first = before.clone()
        first[..., now] = looked
        middle = torch.where(now, F.leaky_relu(self.residual_a(first), 0.1), middle)
        last = first + self.residual_b(middle)
        return last[..., wanted], State(first, middle)

    def _look(self, known: Tensor | None, given: Tensor, below: Tensor, now: Tensor) -> Tensor:
        """The first 3D layer, with its bias from the 2D ones, at the positions ``now`` (H, W).

        known: None where nothing is.
        """
        if known is None:
            known = below.new_zeros(()).expand(below.shape[0], self.size, *now.shape)
        else:
            layer = cast(nn.Conv2d, self.condition[0])
            own = layer.weight[:, -self.size - 2 : -2]
            given = given + F.conv2d(known, own, padding=layer.padding)
        hidden = given[..., now]
        bias = self.condition[1:](hidden[..., None])
        # The slab is one channel taller on each side: the last channel of the previous group is
        # known everywhere, the first of the next group nowhere.
        slab = F.pad(torch.cat([below, known, torch.zeros_like(below)], dim=1), (1, 1, 1, 1))
        rows, cols = now.shape
        around = [
            slab[..., row : row + rows, col : col + cols][..., now]
            for row in range(3)
            for col in range(3)
        ]
        seen = across_channels(self.hollow.weight[:, 0].flatten(2), torch.stack(around, dim=1))
        return F.leaky_relu(seen + bias.unflatten(1, (self.features, self.size))[..., 0], 0.1)


def _pointwise(layer: nn.Conv3d, x: Tensor) -> Tensor:
    """A 3D layer with a kernel of (3, 1, 1), of x (B, F, n, P)."""
    assert layer.bias is not None
    kernel = layer.weight[..., 0, 0].transpose(1, 2)
    return across_channels(kernel, F.pad(x, (0, 0, 1, 1))) + layer.bias[:, None, None]


def across_channels(kernel: Tensor, x: Tensor) -> Tensor:
    """A convolution along the third dimension alone, of three taps, without padding.

    kernel: (O, 3, I); x: (B, I, n + 2, P) -> (B, O, n, P). One matrix product and shifted sums: a
    3D convolution in float64, which torch has no fast code for, takes four times as long.
    """
    outputs, taps, inputs = kernel.shape
    stacked = kernel.transpose(0, 1).reshape(taps * outputs, inputs)
    product = (stacked @ x.flatten(2)).unflatten(2, x.shape[2:]).unflatten(1, (taps, outputs))
    left, middle, right = product.unbind(1)
    return left[:, :, :-2] + middle[:, :, 1:-1] + right[:, :, 2:]


def scale_values(values: Tensor, levels: int) -> Tensor:
    """Level values of a group -> network input of about ±INPUT_RANGE."""
    return values * (2 * INPUT_RANGE / levels)


def last_of(previous: Tensor, like: Tensor) -> Tensor:
    """The last channel of ``previous`` (B, P, H, W), zeros where there is none: (B, 1, H, W)."""
    return previous[:, -1:] if previous.shape[1] else torch.zeros_like(like[:, :1])


class ContextModel(nn.Module):
    """One `GroupContext` a group, in coding order."""

    def __init__(
        self,
        sizes: list[int],
        levels: list[int],
        passes: list[int],
        features: int,
        hidden: int,
        residual_kernel: int,
        rank: int,
    ) -> None:
        super().__init__()
        self.groups = nn.ModuleList()
        previous = 0
        for size, group_levels, group_passes in zip(sizes, levels, passes, strict=True):
            self.groups.append(
                GroupContext(
                    size=size,
                    levels=group_levels,
                    previous=previous,
                    passes=group_passes,
                    features=features,
                    hidden=hidden,
                    residual_kernel=residual_kernel,
                    rank=rank,
                )
            )
            previous += size

    @property
    def parts(self) -> list[GroupContext]:
        """The groups' models, typed."""
        return [cast(GroupContext, group) for group in self.groups]

    def forward(self, values: list[Tensor], mus: list[Tensor], side: Tensor) -> list[Tensor]:
        """Teacher forcing: logits of all symbols given the values of all groups.

        values: per group (B, n, H, W) level values; mus: per group (Q,);
        returns per group (B, n, H, W, Q).
        """
        previous = values[0][:, :0]
        out = []
        for group, value, mu in zip(self.parts, values, mus, strict=True):
            scaled = scale_values(value, group.levels)
            rows, cols = value.shape[2:]
            order = pass_numbers(group.passes, rows, cols, value.device)
            given, below = group.given(previous, side), last_of(previous, value)
            state = group.start(value)
            features = []
            for index in range(group.passes):
                known = scaled * (order < index)
                found, state = group.step(index, known, given, below, order, state)
                features.append(found)
            # From the order of the passes to that of the positions.
            back = order.flatten().argsort(stable=True).argsort()
            last = torch.cat(features, dim=-1)[..., back].unflatten(-1, (rows, cols))
            parameters = group.logits.parameters_of(last).movedim(1, -1)
            shape = parameters.shape[:-1]
            logits = group.logits(parameters.reshape(-1, parameters.shape[-1]), mu)
            out.append(logits.view(*shape, group.levels))
            previous = torch.cat([previous, scaled], dim=1)
        return out
