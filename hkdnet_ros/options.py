"""Self-describing fields for configuration dataclasses.

Each stage keeps its settings in a frozen dataclass whose fields carry their own description and limits. From them,
read by :func:`option_specs`, one generator each makes ROS parameters (node/parameters.py), options of the command line
(arguments.py) and the parameter file and reference (node/parameter_file.py), so a default is written once.
"""

from __future__ import annotations

import dataclasses
import typing
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


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


@dataclasses.dataclass(frozen=True, slots=True)
class OptionSpec:
    """One option: the field its value goes to, what it may be, and what it says about itself.

    ``name`` is what users call it: ``field``, behind the prefix of its ``section`` where configurations are put
    together (schema.py). ``kind`` is bool, int, float or str, of the value or of each element; ``length`` is None for a
    single value, else the number of elements, 0 where that is free.
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


def option_specs(config: type[Any], *, prefix: str = "", section: str = "") -> tuple[OptionSpec, ...]:
    """Return the options of the dataclass ``config``, in the order of its fields, with ``prefix`` before their names.

    Fields not declared with :func:`option` are passed over. Raises TypeError for one of a type that no option can have.
    """
    hints = typing.get_type_hints(config)
    specs = []
    for item in dataclasses.fields(config):
        if "option" not in item.metadata:
            continue
        kind, length = hints[item.name], None
        if typing.get_origin(kind) is tuple:
            elements = typing.get_args(kind)
            kind, length = elements[0], 0 if elements[-1] is Ellipsis else len(elements)
        if kind not in _WORDS:
            raise TypeError(f"{config.__name__}.{item.name} is of type {hints[item.name]}, which no option can have")
        specs.append(OptionSpec(prefix + item.name, section, item.name, kind, length, item.default, option_info(item)))
    return tuple(specs)
