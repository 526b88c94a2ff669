"""What is soaked and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...inference.config import EngineConfig
from ...options import check_options, option
from .numbered import SMALLEST

_ENGINE = EngineConfig()


@dataclass(frozen=True, slots=True)
class SoakConfig:
    """Settings of ``hkdnet soak``. Raises :class:`~hkdnet_ros.errors.ConfigError` for a value out of range."""

    minutes: float = option(
        30.0, "The soak lasts this many minutes; the fault at the end is finished.", low=0.01, high=1e5
    )
    size: tuple[int, int] = option(
        (80, 60), "Both images have this width and height.", unit="px", low=SMALLEST, high=8192
    )
    rate: float = option(15.0, "Each camera sends this many images per second.", unit="Hz", low=2.0, high=200.0)
    hold: float = option(5.0, "Each fault lasts this long.", unit="s", low=0.1, high=3600.0)
    seed: int = option(0, "The order of the faults, and noise, losses and jitter follow from this number.", low=0)
    model: str = option(
        "realtime",  # both cameras' images have one size, whatever the faults do to them
        "The network has the weights of this preset, which comes with the package, or of this .safetensors file.",
    )
    device: str = option(
        _ENGINE.device, "The network runs on auto, cpu, cuda or cuda:N; auto is CUDA where there is one, else the CPU."
    )
    faults: tuple[str, ...] = ()  # those of FAULTS in faults.py to run; none: all
    out: Path = Path("out/soak")

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def slop(self) -> float:
        """Largest time between the images of a pair, in s: the cameras take theirs up to half a period apart."""
        return 0.75 / self.rate

    def node_parameters(self) -> dict[str, Any]:
        """Return the node's parameters; those of modes and shutter stay at their defaults."""
        return {"model": self.model, "device": self.device, "sync.slop": self.slop}
