"""The student: fuses a low-resolution pair and super-resolves the result, in one network."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common import SLOPE, activate, activity_weight, blend, conv3x3, initialise, rcab_group
from .corner_embedding import CornerEmbeddingAttention
from .dual_frequency import dual_frequency_group
from .presets import StudentConfig


class StudentOutput(NamedTuple):
    """``fused`` (B, 1, sH, sW), near [0, 1] but not clipped, and the features drawn to the teacher's D1 and D2."""

    fused: Tensor
    u: Tensor  # (B, upscaled_channels, sH, sW)
    t: Tensor  # (B, tail_channels, sH, sW)


class Head(nn.Module):
    """Shallow features of one luma, by weights that both modalities share: fine ones of every pixel, and coarse ones.

    The coarse ones, of blocks of ``stride`` x ``stride`` pixels, are what a branch works on.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.conv1 = conv3x3(1, config.head_channels, reflect=True)
        self.unshuffle = nn.PixelUnshuffle(config.stride)
        self.conv2 = conv3x3(config.head_channels * config.stride**2, config.channels, reflect=True)

    def fine(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, head_channels, H, W)
        return activate(self.conv1(image)).to(self.conv2.weight.dtype)

    def coarse(self, fine: Tensor) -> Tensor:  # (B, head_channels, H, W) -> (B, C, H / stride, W / stride)
        return activate(self.conv2(self.unshuffle(fine)))


class Branch(nn.Module):
    """One modality's features: residual group, attention, conv, added to the shallow features."""

    def __init__(self, config: StudentConfig, attention: nn.Module) -> None:
        super().__init__()
        self.group = rcab_group(config.channels, config.branch_blocks)
        self.attention = attention
        self.conv = conv3x3(config.channels, config.channels)

    def forward(self, shallow: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        return shallow + self.conv(self.attention(self.group(shallow)))


class SuperResolution(nn.Module):
    """RCAN-like part: residual groups with a long skip, then pixel shuffle to the high resolution.

    It works on single pixels always. Where the decoder worked on blocks of them, the fine features of both modalities
    join in, for detail that is smaller than a block.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.stride = config.stride
        channels = config.detail_channels
        inputs = config.decoder_channels[-1] // config.stride**2
        if config.stride > 1:
            inputs += 2 * config.head_channels
        self.enter = conv3x3(inputs, channels)
        self.groups = nn.Sequential(*(rcab_group(channels, config.group_blocks) for _ in range(config.groups)))
        self.leave = conv3x3(channels, channels)
        self.expand = conv3x3(channels, config.upscaled_channels * config.scale**2)
        self.shuffle = nn.PixelShuffle(config.scale)

    # (B, D, H / stride, W / stride), twice (B, head_channels, H, W) -> (B, U, scale H, scale W)
    def forward(self, decoded: Tensor, thermal_fine: Tensor, visible_fine: Tensor) -> Tensor:
        if self.stride > 1:
            decoded = torch.cat([F.pixel_shuffle(decoded, self.stride), thermal_fine, visible_fine], 1)
        x = self.enter(decoded)
        return self.shuffle(self.expand(x + self.leave(self.groups(x))))


class Student(nn.Module):
    """Simultaneous fusion and super-resolution (HKDnet, student network); sizes in ``config``."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.head = Head(config)
        if config.thermal_branch:
            saliency: nn.Module = nn.Identity()
            if config.dfa_units:
                saliency = dual_frequency_group(channels, config.dfa_units, keys=config.line_keys)
            self.thermal = Branch(config, saliency)
        detail: nn.Module = nn.Identity()
        if config.cea_channels:
            detail = CornerEmbeddingAttention(
                channels, branch_channels=config.cea_channels, keys=config.position_keys, corner=config.corner
            )
        self.visible = Branch(config, detail)
        decoder: list[nn.Module] = []
        for inputs, outputs in zip((channels, *config.decoder_channels), config.decoder_channels, strict=False):
            decoder += [conv3x3(inputs, outputs), nn.LeakyReLU(SLOPE)]
        self.decoder = nn.Sequential(*decoder)
        self.super_resolution = SuperResolution(config)
        self.tail = conv3x3(config.upscaled_channels, config.tail_channels)
        self.output = conv3x3(config.tail_channels, 1)
        initialise(self)
        if config.image_skip:  # begin with what the skip gives
            nn.init.zeros_(self.output.weight)

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that reads each image."""
        return self.head.conv1

    @property
    def floats_per_pixel(self) -> float:
        """How many numbers are held at a time for each pixel of the output, about: where the maps are enlarged."""
        config = self.config
        enlarged = 2 * config.upscaled_channels + 2 * config.tail_channels + 4
        return enlarged + (2 * config.head_channels + 3 * config.detail_channels) / config.scale**2

    def forward(self, thermal: Tensor, visible: Tensor) -> StudentOutput:
        """Fuse two lumas in [0, 1], each (B, 1, H, W), into one of ``scale`` times the size.

        The first and the last convolution may be kept in float32 while the rest computes in a shorter format.
        """
        return self.finish(self.fine(thermal), self.fine(visible), thermal, visible)

    def fine(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, head_channels, H, W), of whole blocks
        """Return the fine features of one luma."""
        stride = self.config.stride
        missing = (0, -image.shape[3] % stride, 0, -image.shape[2] % stride)
        return self.head.fine(F.pad(image, missing, "replicate") if any(missing) else image)

    def finish(self, thermal_fine: Tensor, visible_fine: Tensor, thermal: Tensor, visible: Tensor) -> StudentOutput:
        """Fuse from the fine features of both lumas on, which are still needed for what is skipped to the output."""
        height, width = thermal.shape[2:]
        maps = self.visible(self.head.coarse(visible_fine))
        if self.config.thermal_branch:
            thermal_maps = self.thermal(self.head.coarse(thermal_fine))
            maps = blend(thermal_maps, maps, activity_weight(thermal_maps, maps))
        u = self.super_resolution(self.decoder(maps), thermal_fine, visible_fine)
        u = u[:, :, : height * self.config.scale, : width * self.config.scale]
        t = activate(self.tail(u))
        fused = self.output(t.to(self.output.weight.dtype))
        if self.config.image_skip:
            base = torch.maximum(thermal, visible)
            fused = fused + F.interpolate(base, scale_factor=self.config.scale, mode="bilinear", align_corners=False)
        return StudentOutput(fused, u, t)
