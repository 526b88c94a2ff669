"""What the trainings set up alike: precision, and the layout of weights."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from ..inference.device import has_bf16

Module = TypeVar("Module", bound=nn.Module)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether to train under bfloat16 autocast; ``auto`` does where the device computes in it."""
    if precision != "auto":
        return precision == "bf16"
    return has_bf16(device)


def channels_last(network: Module) -> Module:
    """Lay the weights of ``network`` out for channels-last images, in place, and return it."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
