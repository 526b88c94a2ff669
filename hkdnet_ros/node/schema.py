"""The node's parameters: those of the core and of the engine, and its own; no ROS here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..inference.config import CPU, EngineConfig
from ..options import check_options, option
from ..perception.config import PREFIXES, PerceptionConfig
from ..schema import Schema
from .health import DiagnosticsConfig

# What NodeConfig.*_transport may be.
RAW = "raw"
COMPRESSED = "compressed"

# What NodeConfig.device_failure may be.
INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What the node itself does, beside its stages."""

    autostart: bool = option(
        True,
        "The node configures and activates itself at the start; set it to false where a lifecycle manager does that.",
    )
    bond_heartbeat_period: float = option(
        0.1,
        "While the node is active, the bond with nav2's lifecycle manager beats with this period, where "
        "bondpy is installed; 0 means no bond.",
        unit="s",
        low=0.0,
        high=10.0,
    )

    thermal_transport: str = option(
        RAW,
        "With raw the node subscribes to the thermal topic itself, with compressed to that topic with "
        "/compressed behind it.",
        choices=(RAW, COMPRESSED),
    )
    visible_transport: str = option(
        RAW,
        "With raw the node subscribes to the visible topic itself, with compressed to that topic with "
        "/compressed behind it.",
        choices=(RAW, COMPRESSED),
    )
    jpeg_quality: int = option(
        90, "Images on fused/image/compressed are JPEG of this quality.", low=1, high=100, live=True
    )
    device_failure: str = option(
        CPU,
        "When CUDA runs out of memory or is lost and a retry fails, cpu goes on with the CPU and inactive "
        "deactivates the node.",
        choices=(CPU, INACTIVE),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class FusionConfig(PerceptionConfig):
    """The configuration of the node: that of the core, with sections for the node, its engine and its diagnostics."""

    node: NodeConfig = field(default_factory=NodeConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)


PARAMETERS = Schema(FusionConfig, {"node": "", "engine": "", **PREFIXES, "diagnostics": "diagnostics."})
SPECS = PARAMETERS.specs
build = PARAMETERS.build
