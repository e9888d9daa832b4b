"""Mixed precision: what residual blocks compute in bfloat16, everything else in float32 (which
convolutions on a GPU may round to tf32).

The skips, the linear paths and their latents, whatever tells rates, and the loss keep single
precision: an integer beyond 256 is none any more in bfloat16's eight bits. Weights, gradients and
optimizer do too, as torch's autocast has it; no loss has to be scaled.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from neurocodec.nets.attention import ResidualGroup
from neurocodec.nets.comrec import Block
from neurocodec.nets.vae import Residual

RESIDUAL = (Block, Residual, ResidualGroup)


def in_bfloat16(model: nn.Module, device: torch.device) -> None:
    """Let the residual blocks of a model compute in bfloat16 from now on, on ``device``.

    They still take and give float32. A copy of the model made before stays as it is; one must not
    be made after, since its blocks would compute with this one's weights.
    """
    for module in model.modules():
        if isinstance(module, RESIDUAL):
            module.forward = _lowered(module.forward, device)  # type: ignore[method-assign]


def _lowered(forward: Any, device: torch.device) -> Any:
    @functools.wraps(forward)
    def lowered(*inputs: Any, **named: Any) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return forward(*inputs, **named).float()

    return lowered
