"""What the node counts since its activation, and which of it to log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# Why the node dropped a frame or a pair; the pairer has reasons of its own (perception/pairing.py).
SUPERSEDED = "superseded"  # a newer pair came before inference had time for this one
BAD_PAIR = "bad pair"  # the pipeline refused the pixels, NaN for one
NO_LIVE_VIEW = "no live view"  # a thermal image that is frozen, flat or behind the shutter
STOPPED = "stopped"  # a pair made while the mode said to publish nothing
ONE_STREAM = "one stream"  # the other stream is published alone until this one has settled
DEVICE_FAILED = "device failed"  # CUDA ran out of memory or was lost
INTERNAL_ERROR = "internal error"  # a defect of this program, logged with its traceback


def bad_image(stream: str) -> str:
    """Return the reason of dropping a malformed image of ``stream``."""
    return f"bad {stream} image"


@dataclass(frozen=True, slots=True)
class Totals:
    """A snapshot of :class:`Statistics`."""

    received: Counter[str]  # by stream
    pairs: int
    published: int
    drops: Counter[str]  # by reason


class Statistics:
    """Counters that any thread may raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._pairs = 0
        self._published = 0

    def add_received(self, stream: str) -> None:
        """Count one message of ``stream``, good or bad."""
        with self._lock:
            self._received[stream] += 1

    def add_pair(self) -> None:
        """Count one pair made."""
        with self._lock:
            self._pairs += 1

    def add_published(self) -> None:
        """Count one fused image published."""
        with self._lock:
            self._published += 1

    def add_drop(self, reason: str) -> int:
        """Count one frame or pair dropped for ``reason``; return how many there are now."""
        with self._lock:
            self._drops[reason] += 1
            return self._drops[reason]

    def totals(self) -> Totals:
        """Return all counts of one moment."""
        with self._lock:
            return Totals(Counter(self._received), self._pairs, self._published, Counter(self._drops))


class Throttle:
    """Lets the first event of each kind pass at once, then one per ``period_s``.

    rclpy's own throttle is per line of code and so would let one reason hide another. Steady time, as there: the
    node's clock may stand still in simulation while something floods the log.
    """

    def __init__(self, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
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
