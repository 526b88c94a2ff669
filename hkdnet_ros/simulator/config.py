"""What a simulated scene is made of, and the cameras that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..options import check_options, option

MAX_TRUTH_PIXELS = 8_300_000  # 3840x2160; setting up takes about 200 bytes a pixel
SETTINGS = ("day", "night", "smoke")


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Settings of the simulator. Raises :class:`ConfigError` for a value out of range.

    Two scenes with equal settings give equal images for equal frame indices.
    """

    setting: str = option("day", "The scene has this light and air.", choices=SETTINGS)
    seed: int = option(
        0,
        "The scene's buildings, people and cars and the sensors' noise follow from this number.",
        low=0,
        high=2**31 - 1,
    )
    thermal_size: tuple[int, int] = option(
        (160, 120), "The thermal camera's images have this width and height.", unit="px", low=32, high=2048
    )
    visible_size: tuple[int, int] = option(
        (640, 480), "The visible camera's images have this width and height.", unit="px", low=32, high=4096
    )
    scale: int = option(
        1, "The truth is this many times as wide and as high as the visible camera's images.", choices=(1, 2, 3, 4)
    )
    fps: float = option(30.0, "Both cameras take this many images per second.", unit="Hz", low=0.1, high=1000.0)
    people: int = option(6, "This many pedestrians walk in the scene.", low=0, high=12)
    cars: int = option(2, "This many cars drive through the scene.", low=0, high=4)
    netd: float = option(
        0.06, "The thermal sensor's temporal noise has this standard deviation.", unit="K", low=0.0, high=10.0
    )
    fixed_pattern: float = option(
        0.08,
        "The fixed pattern that the thermal sensor's correction leaves has this standard deviation.",
        unit="K",
        low=0.0,
        high=10.0,
    )
    drift: float = option(0.4, "The thermal sensor drifts slowly with this amplitude.", unit="K", low=0.0, high=50.0)

    def __post_init__(self) -> None:
        check_options(self)
        for name, size in (("thermal_size", self.thermal_size), ("visible_size", self.visible_size)):
            if len(size) != 2:
                raise ConfigError(f"{name} is {size}; expected (width, height)")
        width, height = self.truth_size
        made = "visible_size {}x{} at scale {} makes a truth of".format(*self.visible_size, self.scale)
        if width * height > MAX_TRUTH_PIXELS:
            raise ConfigError(f"{made} {width * height} pixels; expected {MAX_TRUTH_PIXELS} at most")
        if self.thermal_size[0] > width or self.thermal_size[1] > height:
            raise ConfigError(
                f"{made} {width}x{height}, less than thermal_size {self.thermal_size[0]}x{self.thermal_size[1]}; "
                "expected a thermal image of that size at most"
            )

    @classmethod
    def of_one_size(cls, size: tuple[int, int], scale: int = 2, **settings: Any) -> SceneConfig:
        """Return a scene whose cameras both give images of ``size``; its truth is ``scale`` times as large."""
        return cls(thermal_size=size, visible_size=size, scale=scale, **settings)

    @property
    def truth_size(self) -> tuple[int, int]:
        """Width and height of the truth in pixels."""
        return self.visible_size[0] * self.scale, self.visible_size[1] * self.scale
