"""What both trainings set up alike: device, precision, options of the command line."""

from __future__ import annotations

import argparse
import dataclasses
import types
from typing import Any, get_type_hints

import torch

from ..errors import ConfigError
from ..options import option_info


def choose_device(name: str) -> torch.device:
    """Return the device of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; :class:`ConfigError` where there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}; choose auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {name!r} but torch sees no CUDA device; choose cpu or auto")
    return device


def use_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether to train under bfloat16 autocast; ``auto`` does where the device computes in it."""
    if precision != "auto":
        return precision == "bf16"
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    from ..inference.precision import cpu_has_bf16

    return cpu_has_bf16()


def add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """Add one ``--option`` for each field of a configuration dataclass, with its default, description and unit."""
    hints = get_type_hints(config)
    for field in dataclasses.fields(config):
        info = option_info(field)
        kind = hints[field.name]
        if isinstance(kind, types.GenericAlias):
            raise TypeError(f"{field.name}: tuples have no command-line option")
        text = info.description + (f" [{info.unit}]" if info.unit else "")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, choices=info.choices or None, help=text
        )


def read_options(arguments: argparse.Namespace, config: type[Any]) -> Any:
    """Build the configuration from what :func:`add_options` parsed; :class:`ConfigError` for a value out of range."""
    return config(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(config)})
