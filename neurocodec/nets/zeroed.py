"""Layers that begin as nothing: what they are added to passes unchanged until they have learned."""

from __future__ import annotations

from torch import nn


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights and bias of zero."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
