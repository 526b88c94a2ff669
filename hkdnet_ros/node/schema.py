"""The node's parameters, derived from the configuration dataclasses of the stages; no ROS here.

A parameter is a field of one of these dataclasses under the prefix of its section. Names, types, defaults, limits and
descriptions stand in the dataclasses only; what a user reads about parameters is generated from here.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..inference.config import CPU, EngineConfig
from ..options import OptionInfo, check_option, check_options, option, option_info
from ..perception.mode import ModeConfig
from ..perception.pairing import PairingConfig
from ..perception.pipeline import PipelineConfig
from ..perception.shutter import ShutterConfig
from ..perception.thermal import ThermalConfig
from .health import DiagnosticsConfig

# What NodeConfig.*_transport may be.
RAW = "raw"
COMPRESSED = "compressed"

# What NodeConfig.device_failure may be.
INACTIVE = "inactive"

_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What the node itself does, beside its stages."""

    autostart: bool = option(True, "configure and activate at the start; false where a lifecycle manager does that")
    bond_heartbeat_period: float = option(
        0.1,
        "of the bond with nav2's lifecycle manager while the node is active, where bondpy is installed; 0 for no bond",
        unit="s",
        low=0.0,
        high=10.0,
    )

    thermal_transport: str = option(
        RAW, "compressed subscribes to the thermal topic with /compressed behind it", choices=(RAW, COMPRESSED)
    )
    visible_transport: str = option(
        RAW, "compressed subscribes to the visible topic with /compressed behind it", choices=(RAW, COMPRESSED)
    )
    jpeg_quality: int = option(90, "of fused/image/compressed", low=1, high=100, live=True)
    device_failure: str = option(
        CPU,
        "when CUDA runs out of memory or is lost and a retry fails: cpu goes on with the CPU, inactive deactivates the "
        "node",
        choices=(CPU, INACTIVE),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """The configuration of the node: a section per stage."""

    node: NodeConfig = field(default_factory=NodeConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    sync: PairingConfig = field(default_factory=PairingConfig)
    thermal: ThermalConfig = field(default_factory=ThermalConfig)
    shutter: ShutterConfig = field(default_factory=ShutterConfig)
    mode: ModeConfig = field(default_factory=ModeConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)


SECTIONS: dict[str, type[Any]] = typing.get_type_hints(FusionConfig)
# section of FusionConfig -> prefix of its parameters
PREFIXES = {
    "node": "",
    "engine": "",
    "pipeline": "",
    "sync": "sync.",
    "thermal": "thermal.",
    "shutter": "shutter.",
    "mode": "mode.",
    "diagnostics": "diagnostics.",
}


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter: where its value goes, what it may be, and what it says about itself.

    ``kind`` is bool, int, float or str, of the value or of each element; ``length`` is None for a single value, else
    the number of elements, 0 where that is free.
    """

    name: str
    section: str
    field: str
    kind: type[Any]
    length: int | None
    default: Any
    info: OptionInfo

    @property
    def expected(self) -> str:
        """The type in words."""
        word = _WORDS[self.kind]
        if self.length is None:
            return word
        return f"a list of {self.length or 'any number of'} values, each {word}"

    @property
    def limits(self) -> str:
        """Unit, choices and range in words; empty where there are none."""
        info = self.info
        words = [f"unit {info.unit}"] if info.unit else []
        if info.choices:
            words.append(f"one of {', '.join(map(str, info.choices))}")
        if info.low is not None and info.high is not None:
            words.append(f"from {_plain(info.low)} to {_plain(info.high)}")
        elif info.low is not None:
            words.append(f"at least {_plain(info.low)}")
        elif info.high is not None:
            words.append(f"at most {_plain(info.high)}")
        return ", ".join(words)

    def convert(self, value: Any) -> Any:
        """Return ``value`` as the field's type: an integer will do for a float, a sequence for a tuple.

        Raises :class:`ConfigError` for any other type, a wrong number of elements, or a value out of limits.
        """
        converted = self._convert_type(value)
        check_option(self.name, converted, self.info)
        return converted

    def _convert_type(self, value: Any) -> Any:
        if self.length is None:
            return self._convert_one(value, value)
        is_list = hasattr(value, "__len__") and not isinstance(value, str | bytes)
        if not is_list or (self.length and len(value) != self.length):
            raise ConfigError(f"{self.name} is {value!r}; it must be {self.expected}")
        return tuple(self._convert_one(element, value) for element in value)

    def _convert_one(self, element: Any, whole: Any) -> Any:
        if type(element) is int and self.kind is float:
            return float(element)
        if type(element) is not self.kind:
            raise ConfigError(f"{self.name} is {whole!r}; it must be {self.expected}")
        return element


def _plain(limit: float) -> str:
    return f"{limit:g}".replace("e+0", "e")


def _spec(section: str, config: Any, item: dataclasses.Field[Any]) -> ParameterSpec:
    hint = typing.get_type_hints(config)[item.name]
    kind, length = hint, None
    if typing.get_origin(hint) is tuple:
        elements = typing.get_args(hint)
        kind, length = elements[0], 0 if elements[-1] is Ellipsis else len(elements)
    if kind not in _WORDS:
        raise TypeError(f"{config.__name__}.{item.name} is of type {hint}, which no ROS parameter can have")
    name = PREFIXES[section] + item.name
    return ParameterSpec(name, section, item.name, kind, length, item.default, option_info(item))


def _all_specs() -> tuple[ParameterSpec, ...]:
    specs = [
        _spec(section, config, item)
        for section, config in SECTIONS.items()
        for item in dataclasses.fields(config)
        if "option" in item.metadata
    ]
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names), f"two stages declare one parameter: {sorted(names)}"
    return tuple(specs)


SPECS = _all_specs()


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """Return what to say about a parameter that is none of ``known``, with the nearest of those where one is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"no parameter is called {name!r}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")


def build(values: Mapping[str, Any]) -> FusionConfig:
    """Return the configuration with ``values`` (parameter name to value; what is missing keeps its default).

    Raises :class:`ConfigError` naming the parameter for a wrong type, a value out of range, or a contradiction.
    """
    by_section: dict[str, dict[str, Any]] = {section: {} for section in PREFIXES}
    for spec in SPECS:
        if spec.name in values:
            by_section[spec.section][spec.field] = spec.convert(values[spec.name])
    sections = {}
    for section, config in SECTIONS.items():
        try:
            sections[section] = config(**by_section[section])
        except ConfigError as error:
            raise ConfigError(f"{PREFIXES[section]}{error}") from error
    return FusionConfig(**sections)
