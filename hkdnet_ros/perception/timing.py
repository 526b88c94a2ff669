"""What the stamps of the two streams say about their clocks: skews, offset and drift."""

from __future__ import annotations

import bisect
import itertools
from collections import deque

import numpy as np

from ..images.frames import THERMAL, VISIBLE
from .pairing import PairingConfig

WARNING_PERIOD_NS = 10_000_000_000

_EDGES_MS = (-100, -50, -20, -10, -5, -2, 2, 5, 10, 20, 50, 100)
_DRIFT_BUCKET_NS = 1_000_000_000
_DRIFT_BUCKETS = 120
_LEAST_BUCKETS = 20


class StampWatch:
    """Follows the stamps of both streams against each other and against the receiver's clock.

    To be driven by one thread at a time, with the stamps that :class:`~.stream_clock.StreamClock` found good. They are
    those of the cameras in ns; the offsets of the configuration are applied here. ``now_ns`` is the receiver's clock.
    """

    def __init__(self, config: PairingConfig, now_ns: int) -> None:
        self._config = config
        self._last: dict[str, int] = {}
        self._clocks = {THERMAL: _ClockDrift(), VISIBLE: _ClockDrift()}
        self._closest_ns: int | None = None  # skew of the nearest two stamps since the window began
        self._skews = [0] * (len(_EDGES_MS) + 1)
        self.clock_was_set(now_ns)

    def reconfigure(self, config: PairingConfig) -> None:
        """Go by other offsets and another slop from the next stamp on."""
        self._config = config
        self._last.clear()
        self._closest_ns = None

    def begin_anew(self, stream: str) -> None:
        """Forget the drift of a stream whose clock has jumped back."""
        self._clocks[stream].forget()

    def clock_was_set(self, now_ns: int) -> None:
        """Begin anew with the receiver's clock, which went back or leapt ahead to ``now_ns``."""
        for clock in self._clocks.values():
            clock.forget()
        self._begin_window(now_ns)

    def received(self, stream: str) -> None:
        """Count an image of any stamp, for what is said where nothing pairs."""
        self._received[stream] += 1

    def arrived(self, stream: str, stamp_ns: int, now_ns: int) -> int:
        """Take note of a good stamp; return by how much it is older than the other stream's last one, in ns.

        0 where the other stream has sent nothing yet.
        """
        thermal_offset_ns, visible_offset_ns = self._offsets_ns()
        stamp_ns += thermal_offset_ns if stream == THERMAL else visible_offset_ns
        self._last[stream] = stamp_ns
        self._clocks[stream].note(now_ns - stamp_ns, now_ns)
        other = self._last.get(VISIBLE if stream == THERMAL else THERMAL)
        if other is None:
            return 0
        skew_ns = stamp_ns - other if stream == THERMAL else other - stamp_ns
        if self._closest_ns is None or abs(skew_ns) < abs(self._closest_ns):
            self._closest_ns = skew_ns
        return other - stamp_ns

    def paired(self, skew_ns: int, now_ns: int) -> None:
        """Take note of a pair: thermal minus visible stamp, offsets applied."""
        self._skews[bisect.bisect_right(_EDGES_MS, skew_ns / 1e6)] += 1
        self._begin_window(now_ns)

    def warning(self, now_ns: int) -> str:
        """Return what to say where nothing was paired for 10 s, once per 10 s; else nothing."""
        if now_ns - self._window_ns < WARNING_PERIOD_NS:
            return ""
        seconds = (now_ns - self._window_ns) / 1e9
        text = (
            f"nothing paired for {seconds:.0f} s, in which {self._received[THERMAL]} thermal and "
            f"{self._received[VISIBLE]} visible images came"
        )
        closest_ns = self._closest_ns
        self._begin_window(now_ns)
        if closest_ns is None:
            return text + "; check that both cameras publish, and the topics' names"
        text += f"; the smallest skew was {closest_ns / 1e9:+.3f} s (thermal minus visible)"
        if abs(closest_ns) <= self._config.slop * 1e9:
            return text
        offset = self._config.thermal_offset - closest_ns / 1e9
        return text + (
            f", sync.slop is {self._config.slop:g} s; if the cameras' clocks differ, set sync.thermal_offset to "
            f"{offset:.3f}; if the images of one come late, raise sync.queue_size"
        )

    def skew_histogram(self) -> dict[str, int]:
        """Return the pairs by skew, range in words to count, from the most negative on; ranges without any left out."""
        names = [
            f"below {_EDGES_MS[0]} ms",
            *(f"{low} to {high} ms" for low, high in itertools.pairwise(_EDGES_MS)),
            f"above {_EDGES_MS[-1]} ms",
        ]
        return {name: count for name, count in zip(names, self._skews, strict=True) if count}

    def drift_ppm(self) -> float | None:
        """Return by how much faster the thermal camera's clock runs than the visible one's, in us per s.

        None until both were watched for 20 s.
        """
        thermal, visible = (self._clocks[stream].ppm() for stream in (THERMAL, VISIBLE))
        return None if thermal is None or visible is None else thermal - visible

    def _offsets_ns(self) -> tuple[int, int]:
        return round(self._config.thermal_offset * 1e9), round(self._config.visible_offset * 1e9)

    def _begin_window(self, now_ns: int) -> None:
        self._window_ns = now_ns
        self._received = {THERMAL: 0, VISIBLE: 0}
        self._closest_ns = None


class _ClockDrift:
    """How fast a camera's clock runs, by the delays of its images: of each second the least, as the rest is jitter."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque(maxlen=_DRIFT_BUCKETS)  # (second, least delay in ns)

    def note(self, delay_ns: int, now_ns: int) -> None:
        second = now_ns // _DRIFT_BUCKET_NS
        if self._buckets and self._buckets[-1][0] == second:
            delay_ns = min(delay_ns, self._buckets.pop()[1])
        self._buckets.append((second, delay_ns))

    def forget(self) -> None:
        self._buckets.clear()

    def ppm(self) -> float | None:
        if len(self._buckets) < _LEAST_BUCKETS:
            return None
        seconds, delays = np.array(self._buckets, np.float64).T
        seconds -= seconds.mean()
        slope = float(seconds @ (delays - delays.mean()) / (seconds @ seconds))  # ns per s
        return -slope / 1e3  # a fast clock's images seem to come ever sooner
