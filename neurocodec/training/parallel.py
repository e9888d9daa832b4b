"""Several processes that train one model: each on crops of its own, their gradients averaged.

`torchrun --nproc-per-node N -m neurocodec train …` starts them and tells each its number in
the environment; without it there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """The processes of a training, as one of them sees it. ``rank`` 0 writes what is written."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, model: nn.Module) -> None:
        """Every process gets the parameters and buffers of the first: the same work does not end in
        the same bits on every device."""
        if self.size == 1:
            return
        for tensor in model.state_dict().values():
            theirs = tensor.contiguous()
            dist.broadcast(theirs, 0)
            tensor.copy_(theirs)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every process gets the mean; a gradient that one of them lacks counts as zero there. What
        none has stays without, as in one process: an optimizer leaves such weights alone."""
        if self.size == 1:
            return
        # The same in all processes, whatever learns in the step at hand.
        candidates = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in candidates]
        has = [float(p.grad is not None) for p in candidates]
        flat = [gradient.flatten() for gradient in gradients]
        together = torch.cat([*flat, torch.tensor(has).to(flat[0])]) / self.size
        dist.all_reduce(together)
        *shares, had = together.split([*(one.numel() for one in flat), len(has)])
        for parameter, share, any_has in zip(candidates, shares, had.tolist(), strict=True):
            # Laid out as the parameter is: fused Adam takes the two for granted to be alike.
            mean = torch.empty_like(parameter).copy_(share.view_as(parameter))
            parameter.grad = mean if any_has else None

    def any(self, mine: bool, device: torch.device) -> bool:
        """Whether it is so in any process."""
        if self.size == 1:
            return mine
        votes: Tensor = torch.tensor(float(mine), device=device)
        dist.all_reduce(votes)
        return bool(votes)


def is_first() -> bool:
    """Whether this process is the first of those that torchrun started, or there is one alone."""
    return os.environ.get("RANK", "0") == "0"


def device_of(name: str) -> str:
    """The device of this process: each has a GPU of its own, if ``name`` is cuda."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if name == "cuda" and local is not None else name


@contextmanager
def team(device: str) -> Iterator[Team]:
    """The processes that torchrun started, or this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
