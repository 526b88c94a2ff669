"""What the trainings set up alike: precision, the layout of weights, and changes of a preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from ..errors import ConfigError
from ..inference.device import has_bf16
from ..network.guided import GuidedConfig
from ..network.presets import FastConfig, StudentConfig

Module = TypeVar("Module", bound=nn.Module)
Config = TypeVar("Config", bound="StudentConfig | FastConfig | GuidedConfig")


def use_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether to train under bfloat16 autocast; ``auto`` does where the device computes in it."""
    if precision != "auto":
        return precision == "bf16"
    return has_bf16(device)


def channels_last(network: Module) -> Module:
    """Lay the weights of ``network`` out for channels-last images, in place, and return it."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def override(config: Config, settings: Sequence[str], *, fixed: Collection[str] = ()) -> Config:
    """Return ``config``, a dataclass, with ``FIELD=INTEGER`` settings applied, but for the fields that are ``fixed``.

    Raises :class:`ConfigError` for an unknown or wrong one.
    """
    known = {field.name for field in dataclasses.fields(config)}.difference(fixed)
    changes: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known or not value.isdigit():
            raise ConfigError(f"--set {setting}: expected FIELD=INTEGER with a field among {', '.join(sorted(known))}")
        changes[name] = int(value)
    return dataclasses.replace(config, **changes)
