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

    source: str = option("simulator", f"The source is {FORMS}.")
    rate: float = option(
        1.0,
        "The recording is played at this speed, 1 as recorded; times of faults are those of the recording.",
        low=0.01,
        high=100.0,
    )
    loop: bool = option(False, "The recording begins again at its end, and stamps run on.")
    duration: float = option(
        0.0, "The replay ends after this much of the recording; 0 plays all of it.", unit="s", low=0.0
    )
    size: tuple[int, int] = option(
        (0, 0),
        "Both images are brought to this width and height, or the visible one alone where thermal_size is given; "
        "unless it is given, they keep their own: the simulator's are 160x120 (thermal) and 640x480 (visible).",
        unit="px",
        low=0,
    )
    thermal_size: tuple[int, int] = option(
        (0, 0),
        "The thermal images are brought to this width and height; unless it is given, they follow size.",
        unit="px",
        low=0,
    )
    fps: float = option(
        NOMINAL_FPS,
        "The simulator and folders of images are played at this frame rate.",
        unit="Hz",
        low=0.1,
        high=1000.0,
    )
    faults: str = option(
        "", "Faults are STREAM:NAME=VALUE[,...] separated by blanks, such as thermal:delay=0.3 visible:drop=0.1,stop=9."
    )
    seed: int = option(0, "Random faults follow from this number.", low=0)
    wait: float = option(
        0.0, "The replay waits for subscribers of both images, for at most this long.", unit="s", low=0.0, high=3600.0
    )
    subscribers: int = option(1, "The replay waits for this many subscribers of each image.", low=1, high=100)
    reliability: str = option(
        "reliable", "Images are published with this reliability.", choices=("reliable", "best_effort")
    )
    ahead: int = option(
        8, "This many images are prepared before playing begins, and kept prepared.", low=1, high=1_000_000
    )
    depth: int = option(5, "This many images are kept for a slow subscriber.", low=1, high=1000)
    thermal_topic: str = option(THERMAL_TOPIC, "Thermal images inside a bag have this topic.")
    visible_topic: str = option(VISIBLE_TOPIC, "Visible images inside a bag have this topic.")

    def __post_init__(self) -> None:
        check_options(self)
        for name, size in (("size", self.size), ("thermal_size", self.thermal_size)):
            if len(size) != 2 or (min(size) < 1 and max(size) > 0):
                raise ConfigError(f"{name} is {size}; expected width and height, both 0 for the images' own")
