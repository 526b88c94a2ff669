"""What the core does with two streams of images: a section of settings for each of its stages."""

from __future__ import annotations

from dataclasses import dataclass, field

from .mode import ModeConfig
from .pairing import PairingConfig
from .plan import PipelineConfig
from .registration_config import RegistrationConfig
from .shutter import ShutterConfig
from .temperature import TemperatureConfig
from .thermal import ThermalConfig


@dataclass(frozen=True, slots=True)
class PerceptionConfig:
    """The configuration of the core, live and offline; that of the engine is apart (inference/config.py)."""

    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    sync: PairingConfig = field(default_factory=PairingConfig)
    thermal: ThermalConfig = field(default_factory=ThermalConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    shutter: ShutterConfig = field(default_factory=ShutterConfig)
    mode: ModeConfig = field(default_factory=ModeConfig)


PREFIXES = {
    "pipeline": "",
    "sync": "sync.",
    "thermal": "thermal.",
    "registration": "registration.",
    "temperature": "temperature.",
    "shutter": "shutter.",
    "mode": "mode.",
}
"""What the names of a section's parameters begin with."""
