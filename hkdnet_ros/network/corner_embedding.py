"""Corner-embedding attention (CEA): position, map and corner attention side by side, for the visible branch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import MapAttention, PositionAttention
from .harris import harris_response


class CornerMask(nn.Module):
    """Weight in (0, 1) of the neighbourhoods of strong corners of each map.

    The paper thresholds the dilated Harris response at 0.7 of the frame's own maximum, a hard mask that hangs on one
    pixel and flickers on video. Here the maximum is a running mean over training batches (as batch normalisation keeps
    its statistics), so a frame is judged alone and alike, and the threshold is a steep sigmoid.
    """

    running_maximum: Tensor

    def __init__(self, channels: int, *, threshold: float = 0.7, slope: float = 20.0, momentum: float = 0.01) -> None:
        super().__init__()
        self.threshold = threshold
        self.slope = slope
        self.momentum = momentum
        self.register_buffer("running_maximum", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        response = F.max_pool2d(harris_response(x.detach()), 3, stride=1, padding=1)  # dilation by a 3x3 square
        if self.training:
            maximum = response.amax((2, 3)).mean(0)  # (C,)
            with torch.no_grad():
                self.running_maximum.lerp_(maximum, self.momentum)
        else:
            maximum = self.running_maximum.float()
        relative = response / maximum.clamp_min(1e-12)[:, None, None]
        return torch.sigmoid(self.slope * (relative - self.threshold)).to(x.dtype)


class CornerAttention(nn.Module):
    """The corner mask times a 1x1 conv-ReLU of the maps, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = CornerMask(channels)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        return x + self.mask(x) * torch.relu(self.conv(x))


def _conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class CornerEmbeddingAttention(nn.Module):
    """CEA: each branch is conv-BN-ReLU, an attention, conv-BN-ReLU, 1x1 conv; their sum goes through a 1x1 conv.

    ``branch_channels`` is the width inside a branch, ``keys`` bounds position attention (see there), ``corner`` False
    leaves the corner branch out (for ablations).
    """

    def __init__(self, channels: int, *, branch_channels: int, keys: int, corner: bool = True) -> None:
        super().__init__()
        attentions: list[nn.Module] = [PositionAttention(branch_channels, keys=keys), MapAttention()]
        if corner:
            attentions.append(CornerAttention(branch_channels))
        self.branches = nn.ModuleList(
            nn.Sequential(
                _conv_norm_relu(channels, branch_channels),
                attention,
                _conv_norm_relu(branch_channels, branch_channels),
                nn.Conv2d(branch_channels, channels, 1),
            )
            for attention in attentions
        )
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return self.merge(total)
