"""Keeps what takes long to make and has memory of its own, such as a network compiled for one size: the latest used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KEPT = 4
"""So many computations of a device are kept: each has memory, and one for a new size takes seconds to make."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Latest(Generic[Key, Value]):
    """Values that take long to make, by what they are for: the ``kept`` used last."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value for ``key``, by ``make`` where it is new."""
        if key in self._values:
            self._values.move_to_end(key)
        else:
            while len(self._values) >= self._kept:  # first, so that its memory is there for the new one
                self._values.popitem(last=False)
            self._values[key] = make()
        return self._values[key]

    def clear(self) -> None:
        """Let go of all of them."""
        self._values.clear()
