"""Where lines for a person go, and which of a flood of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol


class Log(Protocol):
    """The part of rclpy's and of Python's loggers used here."""

    def info(self, message: str, /) -> Any: ...
    def warning(self, message: str, /) -> Any: ...
    def error(self, message: str, /) -> Any: ...


_PERIOD_S = 5.0


class OnceLog:
    """Passes each line to ``log`` once, as where a thousand files are each read anew."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: set[str] = set()

    def _is_new(self, message: str) -> bool:
        is_new = message not in self._said
        self._said.add(message)
        return is_new

    def info(self, message: str, /) -> None:
        if self._is_new(message):
            self._log.info(message)

    def warning(self, message: str, /) -> None:
        if self._is_new(message):
            self._log.warning(message)

    def error(self, message: str, /) -> None:
        if self._is_new(message):
            self._log.error(message)


class Throttle:
    """Lets the first event of each kind pass at once, then one per ``period_s``.

    rclpy's own throttle is per line of code and so would let one reason hide another. Steady time, as there: the
    node's clock may stand still in simulation while something floods the log.
    """

    def __init__(self, period_s: float = _PERIOD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._passed: dict[str, float] = {}

    def passes(self, kind: str) -> bool:
        """Return whether an event of ``kind`` may pass now."""
        now = self._clock()
        with self._lock:
            if kind in self._passed and now - self._passed[kind] < self._period_s:
                return False
            self._passed[kind] = now
            return True
