"""Fields of a YAML file, with an error that names file, field and what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError


class Fields:
    """A mapping of a YAML file; ``place`` says in errors where it is."""

    def __init__(self, mapping: Mapping[str, Any], place: str) -> None:
        self._mapping, self.place = mapping, place

    @classmethod
    def read(cls, path: str | Path) -> Fields:
        """Read a file. Raises :class:`ConfigError` where it cannot be read, is no YAML, or no mapping."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        except (yaml.YAMLError, RecursionError) as error:
            what = " ".join(str(error).split())
            raise ConfigError(f"{path}: is no YAML: {what}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path}: holds no mapping; expected a calibration as docs/registration.md shows it")
        return cls(content, str(path))

    def __contains__(self, key: str) -> bool:
        return self._mapping.get(key) is not None

    def check_known(self, *names: str) -> None:
        """Raise :class:`ConfigError` where there is a field of another name, which nobody would read."""
        for key in self._mapping:
            if key not in names:
                raise ConfigError(f"{self.place}: has a field {key!r}; expected {', '.join(names)}")

    def text(self, key: str, default: str = "") -> str:
        """Return a text, ``default`` where there is none."""
        value = self._mapping.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._error(key, value, "a text")
        return value

    def integer(self, key: str) -> int:
        """Return an integer of at least 1."""
        value = self._mapping.get(key)
        if type(value) is not int or value < 1:
            raise self._error(key, value, "an integer of at least 1")
        return value

    def number(self, key: str, default: float) -> float:
        """Return a finite number, ``default`` where there is none."""
        if key not in self:
            return default
        return self._finite(key, [self._mapping[key]])[0]

    def numbers(self, key: str, *counts: int) -> tuple[float, ...]:
        """Return finite numbers, row by row where they are written as rows; ``counts`` are the lengths allowed.

        A matrix may be written as ROS has it, {rows: 3, cols: 3, data: [...]}.
        """
        value = self._mapping.get(key)
        if isinstance(value, dict) and "data" in value:
            value = value["data"]
        if not isinstance(value, list):
            raise self._error(key, value, self._list_of(counts))
        flat = [element for row in value for element in (row if isinstance(row, list) else [row])]
        found = self._finite(key, flat)
        if counts and len(found) not in counts:
            raise self._error(key, value, self._list_of(counts))
        return found

    def fields(self, key: str) -> Fields:
        """Return a mapping within this one."""
        value = self._mapping.get(key)
        if not isinstance(value, dict):
            raise self._error(key, value, "a mapping")
        return Fields(value, f"{self.place}: {key}")

    def _finite(self, key: str, values: list[Any]) -> tuple[float, ...]:
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise self._error(key, value, "a finite number" if len(values) == 1 else "finite numbers")
        return tuple(map(float, values))

    def _error(self, key: str, value: Any, expected: str) -> ConfigError:
        found = "is missing" if value is None else f"is {str(value)[:60]!r}"
        return ConfigError(f"{self.place}: {key} {found}; expected {expected}")

    @staticmethod
    def _list_of(counts: tuple[int, ...]) -> str:
        return f"a list of {' or '.join(map(str, counts)) or 'any number of'} numbers"
