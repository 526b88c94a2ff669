"""Dual-frequency attention (DFA): lifts salient targets of the thermal branch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import LineAttention
from .common import ResidualChannelAttentionBlock, ResidualGroup


class DualFrequencyUnit(nn.Module):
    """One unit: the input is split into low and high frequencies, which query each other along lines.

    A 5x5 mean gives the low frequencies, which carry a target; the rest are the high ones, which carry its outline.
    An RCAB refines each. Queries come from the low, keys from the high, values from both; what is attended is weighted
    by a sigmoid gate from the low frequencies and added back to the input.
    """

    def __init__(self, channels: int, *, axis: int, keys: int) -> None:
        super().__init__()
        self.low = ResidualChannelAttentionBlock(channels)
        self.high = ResidualChannelAttentionBlock(channels)
        self.attention = LineAttention(channels, axis=axis, keys=keys)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        smooth = F.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)
        low = self.low(smooth)
        high = self.high(x - smooth)
        attended = self.attention(low, high, low + high)
        return x + torch.sigmoid(self.gate(low)) * attended


def dual_frequency_group(channels: int, units: int, *, keys: int) -> ResidualGroup:
    """Return ``units`` units, along rows and columns in turn, closed by a convolution and a skip."""
    chain: list[nn.Module] = [DualFrequencyUnit(channels, axis=3 - i % 2, keys=keys) for i in range(units)]
    return ResidualGroup(chain, channels)
