"""How CVQN is trained (see `system`)."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from neurocodec.errors import InvalidArgument
from neurocodec.nets.attention import ResidualChannelAttentionBlock, ResidualGroup
from neurocodec.nets.cvqn import CVQN, CVQNConfig, Output
from neurocodec.training.loss import Losses, rate_distortion
from neurocodec.training.recipe import CVQNRecipe, LossConfig
from neurocodec.training.reconstruction import refresh_importance
from neurocodec.training.system import System, judge_rates, stratified


class CVQNSystem(System):
    """End to end, all qualities at once; a share of the samples with the importance map."""

    def __init__(self, config: CVQNRecipe) -> None:
        self.config = config

    def build(self) -> nn.Module:
        model = CVQN(self.config.model)
        # The transforms run a fifth faster so; the 3D context model has no such form.
        model.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    def part(self, name: str) -> str:
        if name.startswith("quantizers"):
            return "quantizer" if name.endswith("mu") else "spread"
        if name.startswith("context"):
            return "context"
        return "gains" if "gain" in name or "filter" in name else "transforms"

    def loss(self, model: CVQN, x: Tensor, step: int, generator: Generator) -> Losses:
        batch = x.shape[0]
        power = self.config.quality_power
        quality = stratified(batch, generator, power=power).to(x.device)
        use_map = torch.rand(batch, generator=generator) < self.config.map_share
        output = model(x, quality, use_map.to(x.device))
        penalty = map_penalty(output, x, self.config.loss)
        penalty = penalty + self.config.loss.likelihood * output.quantizer_nll
        return rate_distortion(x, output.x_hat, output.bits, quality, self.config.loss, penalty)

    def judge(self, model: CVQN, crops: Tensor) -> list[dict[str, Any]]:
        """Bits are estimates, with the importance map where most samples are trained with it: a
        map that is off unless asked for would say little of how the model is used."""
        with_map = self.config.map_share > 0.5

        def judged(x: Tensor, quality: Tensor) -> Output:
            return model(x, quality, quality.new_full((len(x),), with_map, dtype=torch.bool))

        return judge_rates(judged, crops)

    def begin(self, model: CVQN, other: Any, where: str) -> None:
        """The recipe's model may have more than the file: further groups of channels behind its
        own, further blocks in a stage, gains in the decoder, further levels at both ends, overlap.
        They begin afresh, the groups of channels beside what the file has learned, the blocks and
        gains as if they were not there, the levels as `with_levels` says, and overlap of the
        strength that the recipe says, which changes the pictures."""
        if not isinstance(other, CVQN) or not grows_from(model.config, other.config):
            raise InvalidArgument(
                f"{where} holds networks of another shape than the recipe's: they may differ in "
                "appended groups and blocks, in levels added at both ends, in gains of the decoder "
                "and in overlap where the file has none, and in nothing else"
            )
        closing = {}  # the convolution behind the blocks of a residual group
        for name, group in other.named_modules():
            if isinstance(group, ResidualGroup):
                body = cast(ResidualGroup, model.get_submodule(name)).body
                count = len(group.body) - 1
                closing[f"{name}.body.{count}"] = f"{name}.body.{len(body) - 1}"
                for block in list(body)[count:-1]:
                    cast(ResidualChannelAttentionBlock, block).add_nothing()
        state = model.state_dict()
        for name, value in with_levels(other, model.config.levels).items():
            module, dot, tensor = name.rpartition(".")
            target = state[closing.get(module, module) + dot + tensor]
            target[tuple(slice(size) for size in value.shape)] = value

    def after_step(self, model: CVQN, average: CVQN, epochs: float, crops: Tensor | None) -> bool:
        due = model.config.importance == "re" and epochs % self.config.refresh_importance == 0
        if due:
            assert crops is not None  # the trainer has seen to it
            refresh_importance(model, crops[:4].to(model.gain.log_gain.device))
            average.importance.weight.copy_(model.importance.weight)
        return due


def map_penalty(output: Output, x: Tensor, config: LossConfig) -> Tensor:
    """What the importance map is taken to cost, in bits per pixel: (B,)."""
    if output.importance is None:
        return torch.zeros_like(output.bits)
    m = output.importance
    variation = (m[:, :, 1:] - m[:, :, :-1]).abs().sum((1, 2, 3)) + (
        m[:, :, :, 1:] - m[:, :, :, :-1]
    ).abs().sum((1, 2, 3))
    return config.map_smoothness * variation / (x.shape[2] * x.shape[3])


def grows_from(larger: CVQNConfig, smaller: CVQNConfig) -> bool:
    """Whether ``larger`` is ``smaller``, or differs only in groups and blocks appended to those it
    has, in as many levels more at either end, in a decoder that is told the quality, and in
    overlap."""
    count = len(smaller.groups)
    if larger.groups[:count] != smaller.groups or larger.quality_input < smaller.quality_input:
        return False
    if smaller.overlap not in (0.0, larger.overlap):
        return False
    pairs = list(zip(larger.levels, smaller.levels, strict=False))
    if any(more < less or (more - less) % 2 for more, less in pairs):
        return False
    for ours, theirs in (
        (larger.encoder_blocks, smaller.encoder_blocks),
        (larger.decoder_blocks, smaller.decoder_blocks),
    ):
        if any(more < less for more, less in zip(ours, theirs, strict=True)):
            return False
    shared = dataclasses.replace(
        larger,
        channels=smaller.channels,
        groups=smaller.groups,
        levels=smaller.levels,
        context=dataclasses.replace(larger.context, passes=larger.context.passes[:count]),
        encoder_blocks=smaller.encoder_blocks,
        decoder_blocks=smaller.decoder_blocks,
        quality_input=smaller.quality_input,
        overlap=smaller.overlap,
    )
    return shared == smaller


def with_levels(other: CVQN, levels: tuple[int, ...]) -> dict[str, Tensor]:
    """The state of ``other`` as if its groups had ``levels``, at least as many as they have.

    Further levels go on at both ends in steps as wide as the outermost; spreads, shares and what
    the context model adds to a level are those of the last one there was. Level values reach the
    context model divided by their number: the kernels that read them make up for that. Only where
    a kernel runs across the border of two groups of unlike growth does what it sees change.
    """
    state = {name: value.clone() for name, value in other.state_dict().items()}
    ratios = [more / less for more, less in zip(levels, other.config.levels, strict=False)]
    sizes = other.config.groups
    for index, (part, quantizer) in enumerate(zip(other.context.parts, other.levels, strict=True)):
        side = (levels[index] - part.levels) // 2
        mu, context = quantizer.mu.detach(), f"context.groups.{index}"
        further = torch.arange(1, side + 1, dtype=mu.dtype, device=mu.device)
        below = mu[0] - (mu[1] - mu[0]) * further.flip(0)
        above = mu[-1] + (mu[-1] - mu[-2]) * further
        state[f"quantizers.{index}.mu"] = torch.cat([below, mu, above])
        for name in (
            f"quantizers.{index}.log_sigma",
            f"quantizers.{index}.log_pi",
            f"{context}.logits.basis",
            f"{context}.logits.bias",
        ):
            value = state[name]
            outer = (*value.shape[:-1], side)
            first, last = value[..., :1].expand(outer), value[..., -1:].expand(outer)
            state[name] = torch.cat([first, value, last], dim=-1)
        state[f"{context}.logits.head.weight"][0] /= ratios[index]  # the location
        state[f"{context}.logits.head.bias"][0] /= ratios[index]
        state[f"{context}.hollow.weight"] *= ratios[index]
        channels = [ratio for size, ratio in zip(sizes, ratios, strict=True) for _ in range(size)]
        columns = torch.tensor(channels[: sum(sizes[: index + 1])], device=mu.device)
        weight = state[f"{context}.condition.0.weight"]
        weight[:, : len(columns)] *= columns[:, None, None]
    return state
