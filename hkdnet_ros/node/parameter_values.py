"""Reads the node's parameters from its own file, and from the command line as ROS has them, without ROS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..schema import unknown_parameter
from .schema import SPECS, FusionConfig, build

NODE = "fusion"
"""The node's name, as launch/fusion.launch.py gives it."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def read_config(file: Path | None, assignments: Sequence[str] = ()) -> FusionConfig:
    """Return the configuration that a parameter file says, changed by ``NAME:=VALUE`` assignments.

    Of the file those sections count that the node would take: of ``/**`` and of nodes that are called ``fusion``, in
    their order. Raises :class:`ConfigError` for a file that cannot be read, for a name that is no parameter and for
    what :func:`~hkdnet_ros.node.schema.build` refuses.
    """
    values = dict(_of_file(file)) if file is not None else {}
    for assignment in assignments:
        name, separator, text = assignment.partition(":=")
        if not separator or not name:
            raise ConfigError(f"{assignment!r} assigns nothing; write NAME:=VALUE, as in sync.slop:=0.02")
        values[name] = _value(text, assignment)
    names = [spec.name for spec in SPECS]
    for name in values:
        if name not in names and name != "use_sim_time" and not name.startswith("qos_overrides."):
            raise ConfigError(f"{f'{file}: ' if file else ''}{unknown_parameter(name, names)}")
    return build(values)


def values_of(config: FusionConfig) -> dict[str, Any]:
    """Return the values of all parameters by name, in their order."""
    return {spec.name: getattr(getattr(config, spec.section), spec.field) for spec in SPECS}


def _of_file(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file}: holds no parameters; config/fusion.yaml is a file to copy")
    sections = [
        section
        for node, section in content.items()
        if str(node).rpartition("/")[2] in ("**", "*", NODE) and isinstance(section, Mapping)
    ]
    if not any("ros__parameters" in section for section in sections):
        there = ", ".join(map(str, content)) or "nothing"
        raise ConfigError(f"{file}: has no ros__parameters of /** or of a node {NODE}; it has {there}")
    for section in sections:
        yield from _flat(section.get("ros__parameters") or {})


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _as_ros(value)


def _as_ros(value: Any) -> Any:
    """Return a value as rcl reads it: 1e9 is a number, though YAML 1.1 wants a point and a sign in it."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return [_as_ros(element) for element in value] if isinstance(value, list) else value


def _value(text: str, assignment: str) -> Any:
    try:
        return _as_ros(yaml.safe_load(text)) if text else ""
    except yaml.YAMLError as error:
        raise ConfigError(f"{assignment!r} has no value that can be read; write it as in YAML") from error
