"""Self-describing fields for configuration dataclasses.

Each stage keeps its settings in a frozen dataclass whose fields carry their own description and limits. The node's
parameters, the parameter reference and the command line are generated from them, so a default is written once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from .errors import ConfigError


@dataclasses.dataclass(frozen=True, slots=True)
class OptionInfo:
    """What a field says about itself besides its type and default.

    ``low`` and ``high`` are inclusive limits in ``unit``; ``live`` tells whether a running node may change the value.
    """

    description: str
    unit: str = ""
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    live: bool = False


def option(default: Any, description: str, **info: Any) -> Any:
    """Declare a dataclass field with a default and an :class:`OptionInfo` (keywords as there)."""
    return dataclasses.field(default=default, metadata={"option": OptionInfo(description, **info)})


def option_info(field: dataclasses.Field[Any]) -> OptionInfo:
    """Return what ``field`` was declared with by :func:`option`."""
    info = field.metadata["option"]
    assert isinstance(info, OptionInfo)
    return info


def check_option(name: str, value: Any, info: OptionInfo) -> None:
    """Raise :class:`ConfigError` where ``value``, called ``name``, is outside the choices or limits of ``info``.

    Limits hold for each element of a tuple.
    """
    if info.choices and value not in info.choices:
        raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(map(str, info.choices))}")
    for element in value if isinstance(value, tuple) else (value,):
        too_low = info.low is not None and not element >= info.low
        too_high = info.high is not None and not element <= info.high
        if too_low or too_high:
            limits = f"[{'' if info.low is None else info.low}, {'' if info.high is None else info.high}]"
            raise ConfigError(f"{name} is {element}; it must lie in {limits} {info.unit}".rstrip())


def check_options(config: Any) -> None:
    """Raise :class:`ConfigError` for the first field of ``config`` outside its choices or limits.

    Meant for ``__post_init__``; fields not declared with :func:`option` are passed over.
    """
    for field in dataclasses.fields(config):
        if "option" in field.metadata:
            check_option(field.name, getattr(config, field.name), option_info(field))
