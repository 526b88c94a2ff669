"""What is replayed and how: options of ``hkdnet replay`` and parameters of the replay node alike."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..options import check_options, option
from ..sources.camera_source import NOMINAL_FPS
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """Settings of a replay. Raises :class:`ConfigError` for a value out of range."""

    source: str = option("simulator", FORMS)
    rate: float = option(1.0, "speed, 1 as recorded; fault times are those of the recording", low=0.01, high=100.0)
    loop: bool = option(False, "begin again at the end, stamps running on")
    duration: float = option(0.0, "end after this much of the recording; 0 plays all", unit="s", low=0.0)
    size: tuple[int, int] = option((0, 0), "width and height of both images; 0 0 keeps their own", unit="px", low=0)
    fps: float = option(
        NOMINAL_FPS, "frame rate of the simulator and of image folders", unit="Hz", low=0.1, high=1000.0
    )
    faults: str = option(
        "", "STREAM:NAME=VALUE[,...] separated by blanks, as thermal:delay=0.3 visible:drop=0.1,stop=9"
    )
    seed: int = option(0, "of the faults", low=0)
    wait: float = option(0.0, "wait at most this long for subscribers of both images", unit="s", low=0.0, high=3600.0)
    subscribers: int = option(1, "of each image to wait for", low=1, high=100)
    reliability: str = option("reliable", "quality of service", choices=("reliable", "best_effort"))
    ahead: int = option(8, "images prepared before playing begins, and kept prepared", low=1, high=1_000_000)
    depth: int = option(5, "images kept for a slow subscriber", low=1, high=1000)
    thermal_topic: str = option(THERMAL_TOPIC, "topic of the thermal images inside a bag")
    visible_topic: str = option(VISIBLE_TOPIC, "topic of the visible images inside a bag")

    def __post_init__(self) -> None:
        check_options(self)
        if len(self.size) != 2 or (min(self.size) < 1 and max(self.size) > 0):
            raise ConfigError(f"size is {self.size}; expected width and height, both 0 for the images' own")
