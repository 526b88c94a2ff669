"""Two networks behind one engine: the one that fits the cameras' sizes runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..network.presets import GUIDED
from .config import EngineConfig
from .sizes import SMALLEST, Sizes

SHARPER = 1.5
"""From so many visible pixels along one thermal pixel on guided fuses, which takes thermal at half of its output."""


STUDENT = "realtime"
"""The preset for images of about one size."""


def model_for(thermal: Sequence[int], visible: Sequence[int]) -> str:
    """Return the preset that ``auto`` stands for with cameras of these two sizes, (width, height).

    A visible image whose half is less than any network takes is none for guided.
    """
    is_sharper = all(fine >= SHARPER * coarse for fine, coarse in zip(visible, thermal, strict=True))
    return GUIDED if is_sharper and min(visible) >= 2 * SMALLEST else STUDENT


class _Engine(Protocol):
    """As engine_api.Engine, which imports this module."""

    @property
    def model_name(self) -> str: ...
    @property
    def sizes(self) -> Sizes: ...
    @property
    def scale(self) -> int: ...
    @property
    def backend(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def timings(self) -> Mapping[str, float]: ...
    @property
    def memory(self) -> tuple[int, int] | None: ...
    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]: ...
    def warm_up(self, height: int, width: int) -> float: ...
    def close(self) -> None: ...


One = TypeVar("One", bound=_Engine)


class AutoEngine(Generic[One]):
    """``guided`` where the visible image is sharper than thermal, ``realtime`` where it is not.

    What it says of itself is what the engine that was chosen last says; asked to fuse, it chooses that one.
    """

    def __init__(self, load: Callable[[EngineConfig], One], config: EngineConfig) -> None:
        """Load both networks for ``config``. Raises what ``load`` raises."""
        self._student = load(dataclasses.replace(config, model=STUDENT))
        try:
            self._guided = load(dataclasses.replace(config, model=GUIDED))
        except BaseException:
            self._student.close()
            raise
        self._chosen = self._student

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> One:
        """Return the engine for cameras of these two sizes, (width, height)."""
        self._chosen = self._guided if model_for(thermal, visible) == GUIDED else self._student
        return self._chosen

    @property
    def engines(self) -> tuple[One, One]:
        """Both engines, that of one size first."""
        return self._student, self._guided

    @property
    def model_name(self) -> str:
        return self._chosen.model_name

    @property
    def sizes(self) -> Sizes:
        return self._chosen.sizes

    @property
    def scale(self) -> int:
        return self._chosen.scale

    @property
    def backend(self) -> str:
        return self._chosen.backend

    @property
    def device(self) -> str:
        return self._chosen.device

    @property
    def precision(self) -> str:
        return self._chosen.precision

    @property
    def timings(self) -> Mapping[str, float]:
        return self._chosen.timings

    @property
    def memory(self) -> tuple[int, int] | None:
        return self._chosen.memory

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse as the chosen engine does."""
        return self._chosen.fuse(thermal, visible)

    def warm_up(self, height: int, width: int) -> float:
        """Warm up as the chosen engine does."""
        return self._chosen.warm_up(height, width)

    def close(self) -> None:
        """Free both models and their device memory."""
        for engine in self.engines:
            engine.close()
