"""An engine whose time is summed, and which computes nothing for frames that are there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...inference.checked_engine import check_values
from ...inference.engine import Engine, EngineInFront
from ...inference.raw_pair import RawFused, RawPair


class Spent:
    """Seconds that networks have computed, and for how many frames."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.frames = 0


class WatchedEngine(EngineInFront):
    """Another engine; see :class:`~hkdnet_ros.inference.engine.Engine`.

    While ``is_done()`` says that the next frame is there from an earlier run, it gives a black image: all that comes
    before the network goes its way, so that what carries over from frame to frame is as it would have been.
    """

    def __init__(self, engine: Engine, is_done: Callable[[], bool], spent: Spent) -> None:
        self._engine = engine
        self._is_done = is_done
        self._spent = spent

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> WatchedEngine:
        """Return the engine for cameras of these sizes, watched as this one is."""
        return WatchedEngine(self._engine.choose(thermal, visible), self._is_done, self._spent)

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse as the engine does, or refuse what it would refuse and return black."""
        if self._is_done():
            self.sizes.check(thermal.shape, visible.shape)
            check_values("thermal", thermal)
            check_values("visible", visible)
            return np.zeros(self.sizes.output_for(visible.shape), np.float32)
        begun = time.perf_counter()
        fused = self._engine.fuse(thermal, visible)
        self._spent.seconds += time.perf_counter() - begun
        self._spent.frames += 1
        return fused

    @property
    def takes_raw(self) -> bool:
        """Whether whole frames are fused on the device: not here, where a recording is to give the same on any."""
        return False

    def fuse_raw(self, pair: RawPair) -> RawFused | None:
        """Leave it to :meth:`fuse`."""
        return None

    def warm_up(self, height: int, width: int) -> float:
        """Warm up as the engine does."""
        return self._engine.warm_up(height, width)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
