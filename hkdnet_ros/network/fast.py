"""The fast student: fuses a low-resolution pair and super-resolves the result on blocks of pixels alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common import activate, conv3x3, initialise, rcab_group
from .presets import FastConfig


class FastOutput(NamedTuple):
    """``fused`` (B, 1, sH, sW), near [0, 1] but not clipped."""

    fused: Tensor


class Fast(nn.Module):
    """A chain of residual channel-attention blocks (RCAN, Zhang et al. 2018) between two pixel shuffles.

    Both images are taken apart into blocks of ``stride`` x ``stride`` pixels (pixel unshuffle, which loses nothing), so
    each convolution covers them at a ``stride ** 2``-th of the positions, and nothing is convolved at the output's
    size. What comes out is added to the enlarged brighter source. The channel attentions see the whole frame.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = conv3x3(2 * config.stride**2, config.channels)
        self.group = rcab_group(config.channels, config.blocks)
        self.output = conv3x3(config.channels, (config.scale * config.stride) ** 2)
        initialise(self)
        nn.init.zeros_(self.output.weight)  # begin with the enlarged brighter source

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that reads both images."""
        return self.enter

    @property
    def floats_per_pixel(self) -> float:
        """How many numbers are held at a time for each pixel of the output, about: the images, the maps of a block."""
        return 4 + 3 * self.config.channels / (self.config.scale * self.config.stride) ** 2

    def forward(self, thermal: Tensor, visible: Tensor) -> FastOutput:
        """Fuse two lumas in [0, 1], each (B, 1, H, W), into one of ``scale`` times the size.

        The first and the last convolution may be kept in float32 while the rest computes in a shorter format.
        """
        return self.finish(self.fine(thermal), self.fine(visible), thermal, visible)

    def fine(self, image: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C stride ** 2, H / stride, W / stride)
        """Return the pixels of an image by blocks; its last row and column are repeated to whole ones."""
        stride = self.config.stride
        missing = (0, -image.shape[3] % stride, 0, -image.shape[2] % stride)
        return F.pixel_unshuffle(F.pad(image, missing, "replicate") if any(missing) else image, stride)

    def finish(self, thermal_fine: Tensor, visible_fine: Tensor, thermal: Tensor, visible: Tensor) -> FastOutput:
        """Fuse from the blocks of both lumas on, which are still needed for what is skipped to the output."""
        scale = self.config.scale
        x = activate(self.enter(torch.cat([thermal_fine, visible_fine], 1)))
        x = self.group(x.to(self.group.conv.weight.dtype))
        detail = F.pixel_shuffle(self.output(x.to(self.output.weight.dtype)), scale * self.config.stride)
        detail = detail[:, :, : thermal.shape[2] * scale, : thermal.shape[3] * scale]
        base = torch.maximum(thermal, visible)
        return FastOutput(detail + F.interpolate(base, scale_factor=scale, mode="bilinear", align_corners=False))
