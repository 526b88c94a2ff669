"""What both trainings set up alike: precision and the options of the command line."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, TypeVar, get_type_hints

import torch
from torch import nn

from ..inference.device import has_bf16
from ..options import option_info

Module = TypeVar("Module", bound=nn.Module)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether to train under bfloat16 autocast; ``auto`` does where the device computes in it."""
    if precision != "auto":
        return precision == "bf16"
    return has_bf16(device)


def channels_last(network: Module) -> Module:
    """Lay the weights of ``network`` out for channels-last images, in place, and return it."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """Add one ``--option`` for each field of a configuration dataclass, with its default, description and unit."""
    hints = get_type_hints(config)
    for field in dataclasses.fields(config):
        info = option_info(field)
        kind = hints[field.name]
        text = info.description + (f" [{info.unit}]" if info.unit else "")
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=field.default, choices=info.choices or None, help=text)


def read_options(arguments: argparse.Namespace, config: type[Any]) -> Any:
    """Build the configuration from what :func:`add_options` parsed; :class:`ConfigError` for a value out of range."""
    return config(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(config)})
