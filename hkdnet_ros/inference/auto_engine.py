"""Two networks behind one engine: the one that fits the cameras' sizes runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network.presets import GUIDED
from .config import EngineConfig
from .engine import Engine, EngineInFront
from .raw_pair import RawFused, RawPair
from .sizes import SMALLEST

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


class AutoEngine(EngineInFront):
    """``guided`` where the visible image is sharper than thermal, ``realtime`` where it is not.

    What it says of itself is what the engine that was chosen last says; asked to fuse, it chooses that one.
    """

    def __init__(self, load: Callable[[EngineConfig], Engine], config: EngineConfig) -> None:
        """Load both networks for ``config``. Raises what ``load`` raises."""
        self._student = load(dataclasses.replace(config, model=STUDENT))
        try:
            self._guided = load(dataclasses.replace(config, model=GUIDED))
        except BaseException:
            self._student.close()
            raise
        self._engine = self._student

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> Engine:
        """Return the engine for cameras of these two sizes, (width, height)."""
        self._engine = self._guided if model_for(thermal, visible) == GUIDED else self._student
        return self._engine

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """Both engines, that of one size first."""
        return self._student, self._guided

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse as the chosen engine does."""
        return self._engine.fuse(thermal, visible)

    def fuse_raw(self, pair: RawPair) -> RawFused | None:
        """Fuse as the chosen engine does."""
        return self._engine.fuse_raw(pair)

    def warm_up(self, height: int, width: int) -> float:
        """Warm up as the chosen engine does."""
        return self._engine.warm_up(height, width)

    def close(self) -> None:
        """Free both models and their device memory."""
        for engine in self.engines:
            engine.close()
