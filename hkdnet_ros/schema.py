"""The parameters of a configuration: what they are called, and how values by name become the configuration.

A parameter is an option of a dataclass, or of one of the dataclasses that a configuration has as its sections, each
under a prefix. Names, types, defaults, limits and descriptions stand in the dataclasses only.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from .errors import ConfigError
from .options import option_specs

Config = TypeVar("Config")


class Schema(Generic[Config]):
    """The parameters of ``config``, as ``specs`` in their order.

    ``prefixes`` has a prefix for each of its sections; without, the options of ``config`` itself are the parameters.
    """

    def __init__(self, config: type[Config], prefixes: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._is_flat = prefixes is None
        self.prefixes = {"": ""} if prefixes is None else dict(prefixes)
        hints = {"": config} if prefixes is None else typing.get_type_hints(config)
        assert hints.keys() == self.prefixes.keys(), f"{config.__name__} has other sections than those prefixed"
        self.sections = {section: hints[section] for section in self.prefixes}
        self.specs = tuple(
            spec
            for section, part in self.sections.items()
            for spec in option_specs(part, prefix=self.prefixes[section], section=section)
        )
        names = [spec.name for spec in self.specs]
        assert len(set(names)) == len(names), f"two sections declare one parameter: {sorted(names)}"

    def build(self, values: Mapping[str, Any]) -> Config:
        """Return the configuration with ``values`` (parameter name to value; what is missing keeps its default).

        Names that are no parameter are passed over. Raises :class:`ConfigError` naming the parameter for a wrong type,
        a value out of range, or a contradiction.
        """
        fields: dict[str, dict[str, Any]] = {section: {} for section in self.prefixes}
        for spec in self.specs:
            if spec.name in values:
                fields[spec.section][spec.field] = spec.convert(values[spec.name])
        built = {}
        for section, prefix in self.prefixes.items():
            try:
                built[section] = self.sections[section](**fields[section])
            except ConfigError as error:
                raise ConfigError(f"{prefix}{error}") from error
        return built[""] if self._is_flat else self._config(**built)


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """Return what to say about a parameter that is none of ``known``, with the nearest of those where one is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"no parameter is called {name!r}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")
