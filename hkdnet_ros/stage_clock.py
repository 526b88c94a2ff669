"""How long each stage of a computation takes."""

from __future__ import annotations

import time


class StageClock:
    """Sums the time between laps by stage, in ms."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for ``stage``."""
        last = self._last
        self.skip()
        self.timings[stage] = self.timings.get(stage, 0.0) + (self._last - last) * 1e3

    def skip(self) -> None:
        """Count the time since the last lap for nothing."""
        self._last = time.perf_counter()
