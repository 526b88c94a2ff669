"""The guided student: the visible image at the output's size, thermal at half of it, fused at the output's size."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .common import SLOPE, activate, conv3x3
from .corner_embedding import CornerEmbeddingAttention
from .dual_frequency import dual_frequency_group
from .presets import GUIDED


@dataclasses.dataclass(frozen=True, slots=True)
class GuidedConfig:
    """Widths and depths of a guided network; a checkpoint stores them, so weights and network always agree."""

    thermal_full: bool = False  # True: thermal comes at the output's size as visible does, as a teacher sees it
    fine_channels: int = 32  # maps on 2x2 blocks of output pixels, of both modalities together
    channels: int = 32  # maps on 4x4 blocks
    layers: int = 3  # plain convolutions on 4x4 blocks, before the 8x8 blocks and as many after them
    deep_channels: int = 64  # maps on 8x8 blocks
    deep_layers: int = 4  # plain convolutions on 8x8 blocks
    detail_channels: int = 16  # maps of the detail part, on 2x2 blocks
    detail_layers: int = 3  # plain convolutions of the detail part
    frame_channels: int = 32  # hidden units of what the whole frame's statistics say; 0 leaves it out
    dfa_units: int = 0  # of dual-frequency attention, on 8x8 blocks
    cea_channels: int = 0  # width inside corner-embedding attention, on 8x8 blocks; 0 leaves it out

    def __post_init__(self) -> None:
        for name in ("fine_channels", "channels", "deep_channels", "detail_channels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("layers", "deep_layers", "detail_layers", "frame_channels", "dfa_units", "cea_channels"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more")


GUIDED_PRESETS = {
    GUIDED: GuidedConfig(),
    "guided_teacher": GuidedConfig(
        thermal_full=True, fine_channels=48, channels=64, deep_channels=96, detail_channels=32, detail_layers=4
    ),
}


KEYS = 1024
"""Keys of attention at most; beyond, those of neighbouring pixels are averaged."""

BLOCK = 8
"""Side of the largest blocks of output pixels; a part of an image that begins at a multiple of it has the same."""


class GuidedOutput(NamedTuple):
    """``fused`` (B, 1, H, W), near [0, 1] but not clipped, and the detail part's first and last maps.

    Both are on 2x2 blocks, (B, detail_channels, ceil(H / 8) * 4, ceil(W / 8) * 4).
    """

    fused: Tensor
    u: Tensor
    t: Tensor


def frame_statistics(thermal: Tensor, visible: Tensor) -> Tensor:
    """Return mean and standard deviation of both lumas, (B, 1, H, W) of any size each, as (B, 4), thermal first."""
    found = []
    for image in (thermal, visible):
        mean = image.mean((1, 2, 3))
        found += [mean, (image.square().mean((1, 2, 3)) - mean.square()).clamp_min(0).sqrt()]
    return torch.stack(found, 1)


def thermal_side(side: int) -> int:
    """Return how many thermal pixels lie along ``side`` pixels of the output: half, rounded up."""
    return (side + 1) // 2


class Guided(nn.Module):
    """Fuses thermal of half the output's size (or coarser, enlarged to it) with visible of the output's size.

    Nothing is convolved at full size. Visible is taken apart into blocks of 2x2 pixels (pixel unshuffle), the size of
    thermal's pixels. On blocks of 4x4 and 8x8 a coarse part looks far and says how fused follows from both sources,
    as local affine maps a, b, c (HDRNet, Gharbi et al., SIGGRAPH 2017; deep guided filter, Wu et al., CVPR 2018). A
    detail part on blocks of 2x2 adds what those miss, r::

        fused = visible + a visible + b (up(thermal) - its mean) + c + r

    b starts at .4, the others at 0: an untrained network adds two fifths of what thermal has above its frame's mean to
    the visible image. Attention, where a configuration has it, begins as nothing. How bright both images are as a
    whole, which no neighbourhood tells, also scales and shifts the maps of the 8x8 blocks.
    """

    def __init__(self, config: GuidedConfig) -> None:
        super().__init__()
        self.config = config
        fine, coarse, deep, detail = (
            config.fine_channels, config.channels, config.deep_channels, config.detail_channels,
        )  # fmt: skip
        self.head = conv3x3(8 if config.thermal_full else 5, fine)
        self.reduce = nn.Conv2d(fine, coarse, 4, stride=2, padding=1)
        self.before = _chain(coarse, config.layers)
        self.reduce_again = nn.Conv2d(coarse, deep, 4, stride=2, padding=1)
        self.deep = _chain(deep, config.deep_layers)
        if config.frame_channels:
            self.frame_enter = nn.Linear(4, config.frame_channels)
            self.frame_leave = nn.Linear(config.frame_channels, 2 * deep)
            nn.init.zeros_(self.frame_leave.weight)
            nn.init.zeros_(self.frame_leave.bias)
        if config.dfa_units:
            self.dfa = dual_frequency_group(deep, config.dfa_units, keys=KEYS)
            nn.init.zeros_(self.dfa.conv.weight)
            nn.init.zeros_(self.dfa.conv.bias)  # type: ignore[arg-type]
        if config.cea_channels:
            self.cea = CornerEmbeddingAttention(deep, branch_channels=config.cea_channels, keys=KEYS)
            nn.init.zeros_(self.cea.merge.weight)
            nn.init.zeros_(self.cea.merge.bias)  # type: ignore[arg-type]
        self.enlarge = nn.Conv2d(deep, 4 * coarse, 1)
        self.after = _chain(coarse, config.layers)
        self.affine = conv3x3(coarse, 3)
        self.context = conv3x3(coarse, 4 * detail)
        self.detail_enter = conv3x3(fine, detail)
        self.detail = _chain(detail, config.detail_layers)
        self.residual = conv3x3(detail, 4)
        for conv in (self.head, self.reduce, self.reduce_again, self.enlarge, self.context, self.detail_enter):
            nn.init.kaiming_normal_(conv.weight, a=SLOPE)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        for conv in (self.affine, self.residual):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.affine.bias[1] = 0.4  # type: ignore[index]

    @property
    def reach(self) -> int:
        """How many pixels around an output pixel it depends on at most, but for what the whole frame says."""
        config = self.config
        after = max(2 * (1 + config.detail_layers), 4)  # the detail part, or the enlarging of a, b and c
        coarse = 4 * (1 + config.layers) + 8 * config.deep_layers + 4 * (1 + config.layers)
        before = 2 + 2  # reduce and head
        return after + coarse + before + BLOCK - 1  # from anywhere in a block to anywhere in another

    @property
    def floats_per_pixel(self) -> float:
        """How many numbers are held at a time for each pixel of the output, about.

        The images, the affine maps and their products at full size, the maps of both parts on blocks.
        """
        config = self.config
        return 12 + (config.fine_channels + 3 * config.detail_channels) / 4 + 2 * config.channels / 16

    def forward(self, thermal: Tensor, visible: Tensor, frame: Tensor | None = None) -> GuidedOutput:
        """Fuse two lumas in [0, 1]: thermal (B, 1, ceil(H / 2), ceil(W / 2)), visible (B, 1, H, W).

        With ``thermal_full`` thermal is (B, 1, H, W). ``frame`` (B, 4) are the :func:`frame_statistics` of the frames
        that the images are crops of; it is left out where they are whole. The images stay as they are where the network
        computes in a shorter format: it says what to make of them, so their gray levels are not rounded.
        """
        height, width = visible.shape[2:]
        if frame is None:
            frame = frame_statistics(thermal, visible)
        visible = _pad(visible, height + -height % BLOCK, width + -width % BLOCK)
        size = (visible.shape[2], visible.shape[3])
        if self.config.thermal_full:
            thermal = enlarged = _pad(thermal, *size)
            blocks = torch.cat([F.pixel_unshuffle(thermal, 2), F.pixel_unshuffle(visible, 2)], 1)
        else:
            thermal = _pad(thermal, size[0] // 2, size[1] // 2)
            enlarged = F.interpolate(thermal, size, mode="bilinear")
            blocks = torch.cat([thermal, F.pixel_unshuffle(visible, 2)], 1)
        fine = activate(self.head(blocks.to(self.head.weight.dtype)))  # (B, F, H / 2, W / 2)
        x = self.before(activate(self.reduce(fine)))  # (B, C, H / 4, W / 4)
        far = activate(self.reduce_again(x))  # (B, D, H / 8, W / 8)
        if self.config.frame_channels:
            hidden = activate(self.frame_enter(frame.to(far.dtype)))
            scale, shift = self.frame_leave(hidden)[:, :, None, None].chunk(2, 1)
            far = far + scale * far + shift
        far = self.deep(far)
        if self.config.dfa_units:
            far = self.dfa(far)
        if self.config.cea_channels:
            far = far + self.cea(far)
        x = self.after(x + F.pixel_shuffle(self.enlarge(far), 2))
        u = activate(self.detail_enter(fine) + F.pixel_shuffle(self.context(x), 2))  # (B, E, H / 2, W / 2)
        t = self.detail(u)
        residual = F.pixel_shuffle(self.residual(t).to(visible.dtype).contiguous(), 2)
        a, b, c = F.interpolate(self.affine(x).to(visible.dtype), size, mode="bilinear").split(1, 1)
        excess = enlarged - frame[:, 0].view(-1, 1, 1, 1)
        fused = visible + a * visible + b * excess + c + residual
        return GuidedOutput(fused[:, :, :height, :width], u, t)


def _chain(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Plain(channels) for _ in range(count)))


class _Plain(nn.Module):
    """One 3x3 convolution and its activation, which starts near the identity so that a chain of them trains."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.conv.weight.mul_(0.3)
            self.conv.weight[:, :, 1, 1] += torch.eye(channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        return activate(self.conv(x))


def _pad(image: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last row and column until the image has this size."""
    down, right = height - image.shape[2], width - image.shape[3]
    return F.pad(image, (0, right, 0, down), "replicate") if down or right else image
