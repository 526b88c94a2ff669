"""The teacher: fuses a high-resolution pair with a dense encoder shared by both modalities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .common import activate, activity_weight, blend, conv3x3


class TeacherOutput(NamedTuple):
    """``fused`` (B, 1, H, W), near [0, 1] but not clipped, and the features that students are drawn to."""

    fused: Tensor
    d1: Tensor  # (B, 64, H, W)
    d2: Tensor  # (B, 16, H, W)


class Teacher(nn.Module):
    """Fusion at high resolution (HKDnet, teacher network).

    The decoder's ReLUs leak: maps that died in the published network carried nothing to distil.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shallow = conv3x3(1, 16, reflect=True)
        self.dense = nn.ModuleList(conv3x3(16 * i, 16) for i in (1, 2, 3))
        self.decode1 = conv3x3(64, 64)
        self.decode2 = conv3x3(64, 32)
        self.decode3 = conv3x3(32, 16)
        self.output = conv3x3(16, 1)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return shallow (B, 16, H, W) and dense (B, 64, H, W) features of one modality's luma (B, 1, H, W)."""
        shallow = torch.relu(self.shallow(image))
        maps = shallow
        for conv in self.dense:
            maps = torch.cat([maps, torch.relu(conv(maps))], 1)
        return shallow, maps

    def forward(self, thermal: Tensor, visible: Tensor) -> TeacherOutput:
        """Fuse two lumas in [0, 1], each (B, 1, H, W)."""
        thermal_shallow, thermal_maps = self.encode(thermal)
        visible_shallow, visible_maps = self.encode(visible)
        weight = activity_weight(thermal_maps, visible_maps)
        fused_maps = blend(thermal_maps, visible_maps, weight)
        d1 = activate(self.decode1(fused_maps))
        middle = activate(self.decode2(d1))
        d2 = activate(self.decode3(middle)) + blend(thermal_shallow, visible_shallow, weight)
        return TeacherOutput(self.output(d2), d1, d2)
