"""Named sizes of the students."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from ..errors import ConfigError

SCALES = (2, 3, 4)

GUIDED = "guided"
"""The preset of the guided network (guided.py, which needs torch) that ships weights."""


def _check_scale(scale: int) -> None:
    if scale not in SCALES:
        raise ConfigError(f"scale is {scale}; choose one of {', '.join(map(str, SCALES))}")


@dataclasses.dataclass(frozen=True, slots=True)
class StudentConfig:
    """Widths and depths of a student; a checkpoint stores them, so weights and network always agree."""

    scale: int = 2
    stride: int = 1  # 2: branches and decoder work on 2x2 pixel blocks, a quarter of the positions
    head_channels: int = 16
    channels: int = 64  # maps of the branches
    branch_blocks: int = 9  # RCABs per modality
    thermal_branch: bool = True  # False: thermal comes in by its fine features alone, which takes a stride beyond 1
    dfa_units: int = 6  # 0 leaves dual-frequency attention out
    line_keys: int = 640  # keys along one line of dual-frequency attention
    cea_channels: int = 64  # width inside corner-embedding attention; 0 leaves it out
    position_keys: int = 4096  # keys of position attention: exact up to 64x64 pixels
    corner: bool = True
    decoder_channels: tuple[int, ...] = (64, 64, 32, 16)
    detail_channels: int = 64  # maps of the super-resolution part
    groups: int = 5
    group_blocks: int = 20  # RCABs per group
    upscaled_channels: int = 64
    tail_channels: int = 16
    image_skip: bool = False  # add the enlarged brighter source to the output: the network learns what that lacks

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        for name in (
            "stride",
            "head_channels",
            "channels",
            "line_keys",
            "position_keys",
            "detail_channels",
            "upscaled_channels",
            "tail_channels",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.dfa_units and not self.thermal_branch:
            raise ConfigError(
                f"dfa_units is {self.dfa_units}, but dual-frequency attention is of the thermal branch, "
                "which is left out; set thermal_branch=1 too"
            )
        if not self.thermal_branch and self.stride == 1:
            raise ConfigError("without its branch thermal comes in by the fine features, which a stride of 1 lacks")
        if self.decoder_channels[-1] % self.stride**2:
            raise ConfigError(
                f"the decoder ends with {self.decoder_channels[-1]} maps; blocks of {self.stride}x{self.stride} pixels "
                f"need a multiple of {self.stride**2}"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class FastConfig:
    """Width and depth of a fast student (fast.py); a checkpoint stores them."""

    scale: int = 2
    stride: int = 2  # it works on blocks of so many pixels along each side
    channels: int = 48
    blocks: int = 5  # RCABs

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        for name in ("stride", "channels", "blocks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")


AnyConfig: TypeAlias = "StudentConfig | FastConfig"
"""The configuration of a network that takes both images at one size."""


def differences(mine: AnyConfig, theirs: AnyConfig) -> list[str]:
    """Say in which fields two configurations of one kind differ, each as ``field THEIRS instead of MINE``."""
    pairs = ((field.name, getattr(mine, field.name), getattr(theirs, field.name)) for field in dataclasses.fields(mine))
    return [f"{name} {its} instead of {own}" for name, own, its in pairs if own != its]


PRESETS: dict[str, AnyConfig] = {
    "paper": StudentConfig(),
    "realtime": StudentConfig(
        stride=2,
        channels=32,
        head_channels=16,
        branch_blocks=1,
        thermal_branch=False,  # training gave it no weight, docs/history/training.md
        dfa_units=0,
        cea_channels=8,
        position_keys=64,
        decoder_channels=(32, 32, 32, 64),
        detail_channels=32,
        groups=1,
        group_blocks=4,
        upscaled_channels=12,
        tail_channels=8,
        image_skip=True,
    ),
    "fast": FastConfig(),
}


REALTIME_BLOCKS = {2: 4, 3: 8, 4: 12}
"""RCABs of the ``realtime`` super-resolution part by scale.

Enlarging more takes more of them, and an image of one size comes from fewer pixels: per pixel of the output x3 and x4
compute less than x2 all the same.
"""


def preset(name: str, *, scale: int) -> AnyConfig:
    """Return the preset ``name`` at ``scale``; :class:`ConfigError` names the choices otherwise."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    config = dataclasses.replace(PRESETS[name], scale=scale)
    if name == "realtime" and isinstance(config, StudentConfig):
        return dataclasses.replace(config, group_blocks=REALTIME_BLOCKS[scale])
    return config
