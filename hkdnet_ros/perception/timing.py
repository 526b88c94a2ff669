"""What the stamps of the two streams say about their clocks: skews, offset and drift."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..images.frames import THERMAL, VISIBLE
from .advice import Evidence, Settings, ahead, late, narrow_slop, unpaired, wrong_offset
from .pairing import CAMERA, PairingConfig

WARNING_PERIOD_NS = 10_000_000_000

_EDGES_MS = (-100, -50, -20, -10, -5, -2, 2, 5, 10, 20, 50, 100)
_DRIFT_BUCKET_NS = 1_000_000_000
_DRIFT_BUCKETS = 120
_LEAST_BUCKETS = 20
_DRIFT_PPM = 100.0  # clocks that are kept together differ by less in their pace
_CERTAIN_SECONDS = 40
_LOOK_NS = 5_000_000_000
_FORGET_NS = 60_000_000_000
_SILENCE_NS = 5_000_000_000  # without an image: the camera has stopped
_KEPT = 1000  # images of a stream: 10 s at 100 Hz
_RECENT = 9


class StampWatch:
    """Follows the stamps of both streams against each other and against the receiver's clock.

    To be driven by one thread at a time, with the stamps that :class:`~.stream_clock.StreamClock` found good. They are
    those of the cameras in ns; the offsets of the configuration are applied here. ``now_ns`` is the receiver's clock.
    ``why_silent`` gives the reason why no image of a stream comes, where somebody knows it.
    """

    def __init__(
        self, config: PairingConfig, now_ns: int, why_silent: Callable[[str], str] = lambda stream: ""
    ) -> None:
        self._config = config
        self._why_silent = why_silent
        self._last: dict[str, int] = {}
        self._clocks = {THERMAL: _ClockDrift(), VISIBLE: _ClockDrift()}
        self._arrivals = {THERMAL: _Arrivals(), VISIBLE: _Arrivals()}
        self._skews = [0] * (len(_EDGES_MS) + 1)
        self._said: dict[str, int] = {}  # what the remarks of the last time are about, and when each held
        self._doubts: list[str] = []
        self._unpaired = ""
        self.clock_was_set(now_ns)

    def reconfigure(self, config: PairingConfig) -> None:
        """Go by other offsets and another slop from the next stamp on."""
        self._config = config
        self._last.clear()
        for arrivals in self._arrivals.values():
            arrivals.forget()
        self._said.clear()
        self._doubts = []

    def begin_anew(self, stream: str) -> None:
        """Forget the drift and the stamps of a stream whose clock has jumped back."""
        self._clocks[stream].forget()
        self._arrivals[stream].forget()

    def clock_was_set(self, now_ns: int) -> None:
        """Begin anew with the receiver's clock, which went back or leapt ahead to ``now_ns``."""
        for stream in (THERMAL, VISIBLE):
            self._clocks[stream].forget()
            self._arrivals[stream].forget()
        self._looked_ns = now_ns
        self._begin_window(now_ns)

    def received(self, stream: str) -> None:
        """Count an image of any stamp, for what is said where nothing pairs."""
        self._received[stream] += 1

    def refused(self, stream: str, reason: str) -> None:
        """Count an image that could not be used, likewise."""
        self._refused[stream][reason] += 1

    def arrived(self, stream: str, stamp_ns: int, now_ns: int, nbytes: int = 0) -> int:
        """Take note of a good stamp; return by how much it is older than the other stream's last one, in ns.

        0 where the other stream has sent nothing yet.
        """
        thermal_offset_ns, visible_offset_ns = self._offsets_ns()
        stamp_ns += thermal_offset_ns if stream == THERMAL else visible_offset_ns
        self._last[stream] = stamp_ns
        self._clocks[stream].note(now_ns - stamp_ns, now_ns)
        self._arrivals[stream].note(stamp_ns, now_ns, nbytes)
        other = self._last.get(VISIBLE if stream == THERMAL else THERMAL)
        return 0 if other is None else other - stamp_ns

    def paired(self, skew_ns: int, now_ns: int) -> None:
        """Take note of a pair: thermal minus visible stamp, offsets applied."""
        self._skews[bisect.bisect_right(_EDGES_MS, skew_ns / 1e6)] += 1
        self._unpaired = ""
        self._begin_window(now_ns)

    def warning(self, now_ns: int, mode_limit: float = math.inf, mode: str = "") -> str:
        """Return what to say where nothing was paired for 10 s, once per 10 s; else nothing.

        A slow camera has three of its periods. ``mode_limit`` is the lateness in s from which a stream counts as lost,
        ``mode`` the mode and its cause where that is not to fuse.
        """
        slowest_ns = max(arrivals.period_ns for arrivals in self._arrivals.values())
        if now_ns - self._window_ns < max(WARNING_PERIOD_NS, 3 * slowest_ns):
            return ""
        evidence = {stream: self._evidence(stream, now_ns, self._window_ns) for stream in (THERMAL, VISIBLE)}
        drift_ppm = self.drift_ppm() if self._is_drifting() else None
        settings = Settings(self._config, mode_limit, mode, drift_ppm, self._why_silent)
        self._unpaired = (
            f"nothing paired for {(now_ns - self._window_ns) / 1e9:.0f} s, in which {self._received[THERMAL]} thermal "
            f"and {self._received[VISIBLE]} visible images came; {unpaired(evidence, settings)}"
        )
        self._begin_window(now_ns)
        return self._unpaired

    def remarks(self, now_ns: int) -> list[str]:
        """Return what else to say about arrival and clocks: each once, until it was over for a minute."""
        if now_ns - self._looked_ns < _LOOK_NS:
            return []
        self._looked_ns = now_ns
        begin_ns = now_ns - WARNING_PERIOD_NS
        evidence = {stream: self._evidence(stream, now_ns, begin_ns) for stream in (THERMAL, VISIBLE)}
        doubts: dict[str, str] = {}  # by what they are about
        lesser: dict[str, str] = {}
        config = self._config
        offsets = {THERMAL: config.thermal_offset, VISIBLE: config.visible_offset}
        for stream, other, stamps in (
            (THERMAL, VISIBLE, config.thermal_stamps),
            (VISIBLE, THERMAL, config.visible_stamps),
        ):
            own, others, offset = evidence[stream], evidence[other], offsets[stream]
            text = wrong_offset(stream, own, offset, offsets[other]) or ahead(stream, own, others, offset, config)
            # Images with the time of their arrival need an offset for the time that they took.
            if text and stamps == CAMERA:
                doubts[stream] = text
            elif text := late(stream, own, others):
                lesser[f"{stream} late"] = text
        if text := narrow_slop(evidence, config):
            lesser["slop"] = text
        if self._is_drifting():
            doubts["drift"] = (
                f"the thermal clock runs {self.drift_ppm():+.0f} us/s against the visible one, so that pairs are taken "
                "ever further apart than their stamps say; synchronise the cameras' clocks (PTP, NTP)"
            )
        self._doubts = list(doubts.values())
        found = doubts | lesser
        self._said = {about: at_ns for about, at_ns in self._said.items() if now_ns - at_ns < _FORGET_NS}
        new = [text for about, text in found.items() if about not in self._said]
        self._said |= dict.fromkeys(found, now_ns)
        return new

    def trouble(self) -> str:
        """Return why nothing pairs or what pairs should not be trusted, as was said last; empty where all is well."""
        return self._unpaired or "; ".join(self._doubts)

    def delays(self, now_ns: int) -> dict[str, tuple[float, float]]:
        """Return the time from stamp to arrival in s, p50 and most, of the last 10 s by stream."""
        found = {}
        for stream in (THERMAL, VISIBLE):
            delays = self._evidence(stream, now_ns, now_ns - WARNING_PERIOD_NS).delays
            if len(delays):
                found[stream] = float(np.median(delays)), float(delays.max())
        return found

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

    def _is_drifting(self) -> bool:
        """Return whether the clocks drift by more than clocks that are kept together, and than the arrivals vary.

        In either half of the time as well: a clock that was set, or a way that became slower, is no drift.
        """
        thermal, visible = self._clocks[THERMAL], self._clocks[VISIBLE]
        if min(thermal.seconds, visible.seconds) < _CERTAIN_SECONDS:
            return False
        (first, _), (second, _), (drift, error) = (
            (t[0] - v[0], math.hypot(t[1], v[1])) for t, v in zip(thermal.fits(), visible.fits(), strict=True)
        )
        return abs(drift) > max(_DRIFT_PPM, 5 * error) and min(first / drift, second / drift) > 0.5

    def _offsets_ns(self) -> tuple[int, int]:
        return round(self._config.thermal_offset * 1e9), round(self._config.visible_offset * 1e9)

    def _evidence(self, stream: str, now_ns: int, begin_ns: int) -> Evidence:
        """Return what came of ``stream`` since ``begin_ns``; the counts are those since the latest pair."""
        arrivals = self._arrivals[stream]
        kept = [(stamp_ns, at_ns) for stamp_ns, at_ns in arrivals.kept if at_ns > begin_ns]
        silent_s = 0.0
        if kept and not self._refused[stream]:
            silent_ns = now_ns - kept[-1][1]
            silent_s = silent_ns / 1e9 if silent_ns > max(_SILENCE_NS, 3 * arrivals.period_ns) else 0.0
        stamps, arrived = [stamp_ns for stamp_ns, _ in kept], [at_ns for _, at_ns in kept]
        return Evidence(
            self._received[stream], self._refused[stream], stamps, arrived, arrivals.nbytes, silent_s=silent_s
        )

    def _begin_window(self, now_ns: int) -> None:
        self._window_ns = now_ns
        self._received = {THERMAL: 0, VISIBLE: 0}
        self._refused: dict[str, Counter[str]] = {THERMAL: Counter(), VISIBLE: Counter()}


class _Arrivals:
    """The last images of a stream: (stamp, time of arrival) in ns, and how large they are."""

    def __init__(self) -> None:
        self.kept: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self.nbytes = 0

    def note(self, stamp_ns: int, now_ns: int, nbytes: int) -> None:
        self.kept.append((stamp_ns, now_ns))
        self.nbytes = nbytes

    def forget(self) -> None:
        self.kept.clear()

    @property
    def period_ns(self) -> int:
        """The usual time between the stamps of two images; 0 where it is not known."""
        if len(self.kept) < 3:
            return 0
        recent = [self.kept[index][0] for index in range(-min(len(self.kept), _RECENT), 0)]
        return max(0, sorted(after - before for before, after in itertools.pairwise(recent))[(len(recent) - 1) // 2])


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

    @property
    def seconds(self) -> int:
        """How many seconds were watched."""
        return len(self._buckets)

    def ppm(self) -> float | None:
        return None if len(self._buckets) < _LEAST_BUCKETS else self.fits()[-1][0]

    def fits(self) -> list[tuple[float, float]]:
        """Return the pace and its standard error in us per s, of the first half, of the second, and of all."""
        half = len(self._buckets) // 2
        every = np.array(self._buckets, np.float64)
        return [_fit(part) for part in (every[:half], every[half:], every)]


def _fit(buckets: NDArray[np.float64]) -> tuple[float, float]:
    seconds, delays = (column - column.mean() for column in buckets.T)
    spread = float(seconds @ seconds)
    slope = float(seconds @ delays) / spread  # ns per s
    error = math.sqrt(float(np.mean((delays - slope * seconds) ** 2)) / spread)
    return -slope / 1e3, error / 1e3  # a fast clock's images seem to come ever sooner
