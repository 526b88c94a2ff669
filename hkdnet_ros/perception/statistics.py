"""What a session counts from its start on."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_RATE_WINDOW_NS = 10_000_000_000
_LATENCIES = 300  # frames that percentiles are taken of

OUTPUT = "fused"  # the stream that goes out, beside those that come in

# Why a frame or a pair was dropped; stream_clock.py and pairing.py have reasons of their own.
SUPERSEDED = "superseded"  # a newer pair came before inference had time for this one
BAD_PAIR = "bad pair"  # the pipeline refused the pixels, a visible image of floats for one
NOT_REGISTERED = "not registered"  # a calibration, transform or depth image is missing, or is of something else
NO_LIVE_VIEW = "no live view"  # a thermal image that is frozen, flat or behind the shutter
STOPPED = "stopped"  # a pair made while the mode said to publish nothing
NO_SUBSCRIBER = "no subscriber"  # nobody would have seen the result
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


class Rate:
    """Events per second over the last 10 s."""

    def __init__(self) -> None:
        self._times: deque[int] = deque()
        self._begun_ns = 0

    def note(self, now_ns: int) -> None:
        """Take note of one event."""
        if not self._begun_ns:
            self._begun_ns = now_ns  # the first event begins the time, it is none within
            return
        self._times.append(now_ns)
        self._forget(now_ns)

    def per_second(self, now_ns: int) -> float:
        """Return the rate in Hz."""
        self._forget(now_ns)
        span_ns = min(now_ns - self._begun_ns, _RATE_WINDOW_NS) if self._begun_ns else 0
        return len(self._times) * 1e9 / span_ns if span_ns > 0 else 0.0

    def _forget(self, now_ns: int) -> None:
        while self._times and self._times[0] <= now_ns - _RATE_WINDOW_NS:
            self._times.popleft()


class Statistics:
    """Counters and figures that any thread may raise and read; ``now_ns`` is the receiver's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates: dict[str, Rate] = {}
        self._latencies: deque[Mapping[str, float]] = deque(maxlen=_LATENCIES)
        self._published_ns: int | None = None
        self._received: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._pairs = 0
        self._published = 0

    def clock_was_set(self) -> None:
        """Begin the rates anew: the clock went back or leapt ahead. The counts stay."""
        with self._lock:
            self._rates.clear()
            self._published_ns = None

    def add_received(self, stream: str, now_ns: int) -> None:
        """Count one message of ``stream``, good or bad."""
        with self._lock:
            self._received[stream] += 1
            self._rates.setdefault(stream, Rate()).note(now_ns)

    def add_pair(self) -> None:
        """Count one pair made."""
        with self._lock:
            self._pairs += 1

    def add_published(self, now_ns: int) -> None:
        """Count one fused image published."""
        with self._lock:
            self._published += 1
            self._published_ns = now_ns
            self._rates.setdefault(OUTPUT, Rate()).note(now_ns)

    def add_latencies(self, latencies_s: Mapping[str, float]) -> None:
        """Keep the seconds that one fused image took by stage."""
        with self._lock:
            self._latencies.append(latencies_s)

    def rates(self, now_ns: int) -> dict[str, float]:
        """Return the rate of each stream in Hz, OUTPUT among them; those that never were are left out."""
        with self._lock:
            return {stream: rate.per_second(now_ns) for stream, rate in self._rates.items()}

    def latencies(self) -> dict[str, tuple[float, float]]:
        """Return p50 and p95 in s by stage, of the latest images."""
        with self._lock:
            kept = list(self._latencies)
        by_stage: dict[str, list[float]] = {}
        for latencies in kept:
            for stage, seconds in latencies.items():
                by_stage.setdefault(stage, []).append(seconds)
        percentiles = {stage: np.percentile(seconds, (50, 95)) for stage, seconds in by_stage.items()}
        return {stage: (float(p50), float(p95)) for stage, (p50, p95) in percentiles.items()}

    def since_output(self, now_ns: int) -> float | None:
        """Return the seconds since the latest fused image was published, None where none was."""
        with self._lock:
            return None if self._published_ns is None else (now_ns - self._published_ns) / 1e9

    def add_drop(self, reason: str) -> int:
        """Count one frame or pair dropped for ``reason``; return how many there are now."""
        with self._lock:
            self._drops[reason] += 1
            return self._drops[reason]

    def totals(self) -> Totals:
        """Return all counts of one moment."""
        with self._lock:
            return Totals(Counter(self._received), self._pairs, self._published, Counter(self._drops))
