"""Blocks that several networks share: residual channel attention (RCAN, Zhang et al. 2018) and activity fusion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Slope of negative values after an activation: maps that died behind a plain ReLU never came back in training."""

MOST_ACTIVE = 4.0
"""Difference of two modalities' activities beyond which their weights stay: 0.018 and 0.982."""


def conv3x3(inputs: int, outputs: int, *, reflect: bool = False) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size; ``reflect`` mirrors the borders, else they are padded with 0."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect" if reflect else "zeros")


def activate(x: Tensor) -> Tensor:
    """Return the leaky ReLU of ``x``; the paper's is a plain one, see :data:`SLOPE`."""
    return F.leaky_relu(x, SLOPE)


def initialise(network: nn.Module) -> None:
    """Draw all 3x3 weights so that signals keep their variance (He et al., ICCV 2015), and zero their biases.

    The last convolution of each residual path starts at a tenth of that, so that a deep chain begins near identity.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ResidualChannelAttentionBlock):
                module.conv2.weight.mul_(0.1)
            elif isinstance(module, ResidualGroup):
                module.conv.weight.mul_(0.1)


class ChannelAttention(nn.Module):
    """Squeeze and excite: scale each map by a weight in (0, 1) computed from all maps' means."""

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        weight = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        weight = self.excite(torch.relu(self.squeeze(weight)))
        return x * torch.sigmoid(weight)


class ResidualChannelAttentionBlock(nn.Module):
    """RCAB: conv, ReLU, conv, channel attention, added to the input."""

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)
        self.attention = ChannelAttention(channels, reduction=reduction)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        residual = self.conv2(activate(self.conv1(x)))
        return x + self.attention(residual)


class ResidualGroup(nn.Module):
    """A chain of blocks closed by a convolution, with a skip around all of it."""

    def __init__(self, blocks: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        return x + self.conv(self.blocks(x))


def rcab_group(channels: int, count: int) -> ResidualGroup:
    """Return a residual group of ``count`` RCABs."""
    return ResidualGroup([ResidualChannelAttentionBlock(channels) for _ in range(count)], channels)


def activity_weight(thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the thermal features' weight per pixel, (B, 1, H, W) in (0, 1); the visible features get the rest.

    A modality's activity is the mean over its maps; the weights are the softmax of the two activities, which for two
    terms is the sigmoid of their difference. That is bounded, so that neither modality can be switched off: trained
    without, branches were, and then drifted until their maps overflowed fp16.
    """
    difference = thermal.mean(1, keepdim=True) - visible.mean(1, keepdim=True)
    return torch.sigmoid(difference.clamp(-MOST_ACTIVE, MOST_ACTIVE))


def blend(thermal: Tensor, visible: Tensor, weight: Tensor) -> Tensor:
    """Return ``weight * thermal + (1 - weight) * visible``."""
    return torch.lerp(visible, thermal, weight)
