"""What a simulated scene is made of, and the cameras that look at it."""

from __future__ import annotations

from dataclasses import dataclass

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
    size: tuple[int, int] = option(
        (320, 240), "Both cameras' images have this width and height.", unit="px", low=32, high=2048
    )
    scale: int = option(
        2, "The truth is this many times as wide and as high as the cameras' images.", choices=(1, 2, 3, 4)
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
        if len(self.size) != 2:
            raise ConfigError(f"size is {self.size}; expected (width, height)")
        pixels = self.size[0] * self.size[1] * self.scale**2
        if pixels > MAX_TRUTH_PIXELS:
            raise ConfigError(
                f"size {self.size[0]}x{self.size[1]} at scale {self.scale} makes a truth of {pixels} pixels; "
                f"expected {MAX_TRUTH_PIXELS} at most"
            )
