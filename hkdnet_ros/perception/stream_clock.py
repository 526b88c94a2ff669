"""The one judge of time in front of all stages: which stamps can be used, and when a stream or a clock begins anew.

A bag that loops, a simulation that starts again and a driver whose clock was set send stamps from the past. What a
stage has learnt of the time before must not be mixed with that. So each stage offers ``begin_anew`` and none looks for
jumps itself.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from dataclasses import dataclass, field

from ..images.frames import THERMAL, VISIBLE
from .incoming import DEPTH, Incoming

# Why an image is of no use for its stamp, the keys of the drop counts.
ZERO_STAMP = "zero stamp"  # the driver did not set the stamp
DUPLICATE = "duplicate"  # the stamp of the image before it
LATE = "late"  # out of order within its stream

# A remark that does not keep an image from its use.
FUTURE = "future stamp"  # later than the receiver's clock
FUTURE_TOLERANCE_NS = 100_000_000  # clocks of two machines kept by NTP differ by less

LEAP_NS = 10_000_000_000  # by which no clock goes on between two calls, but where it was set

_LATE_REACH = 4  # so many images back, or in a row, are out of order; beyond that the clock has jumped


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one stamp says. ``reason`` is why its image makes no pair, empty where it is good.

    ``begins_anew``: it is good, and the first of a new run of the stream, whose clock has jumped back.
    """

    reason: str = ""
    begins_anew: bool = False


GOOD = Verdict()
_NEW_RUN = Verdict(begins_anew=True)


@dataclass(slots=True)
class _Stream:
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_LATE_REACH))
    late_run: int = 0
    before_ns: int = 0  # the stamp of the image before, be it late
    oddities: Counter[str] = field(default_factory=Counter)

    def begin_anew(self) -> None:
        self.recent.clear()
        self.late_run = 0


class StreamClock:
    """Judges the stamps of both streams, of depth and the receiver's clock; one thread at a time calls it.

    A stamp that is older than the one before is that of a late image, which makes no pair any more, or the first after
    the stream's clock jumped back. It has jumped where the stamp is older than the last four, or is the fifth in a row
    that is older than what came before.
    """

    def __init__(self, now_ns: int | None = None) -> None:
        """``now_ns`` is the receiver's clock, in ns; None where it will be told only."""
        self._now_ns = now_ns
        self._streams = {THERMAL: _Stream(), VISIBLE: _Stream(), DEPTH: _Stream()}

    def judge(self, stream: str, stamp_ns: int, offset_ns: int = 0, *, is_behind: bool = False) -> Verdict:
        """Return what is to be done with an image of ``stream`` by its stamp.

        What is wrong with a stamp is counted in :meth:`oddities`, also by the clock last told to :meth:`advance`, from
        which the stream's own is known to differ by ``offset_ns``. A stream that ``is_behind`` shares its clock with
        one that has begun anew, so that a stamp older than the one before is no late one.
        """
        own = self._streams[stream]
        if self._now_ns is not None and stamp_ns + offset_ns > self._now_ns + FUTURE_TOLERANCE_NS:
            own.oddities[FUTURE] += 1
        verdict = self._judge(own, stamp_ns, is_behind)
        if verdict.reason:
            own.oddities[verdict.reason] += 1
        return verdict

    def begin_anew(self, stream: str) -> None:
        """Let ``stream`` begin anew, as what shares its clock shows that it has."""
        self._streams[stream].begin_anew()

    def advance(self, now_ns: int) -> bool:
        """Tell the receiver's clock; return whether it was set: went back, or leapt ahead by 10 s and more.

        A simulation's clock starts again so, or gives its first time after 0; and so does one that was not known yet.
        """
        before_ns = self._now_ns
        was_set = before_ns is None or not 0 <= now_ns - before_ns <= LEAP_NS
        self._now_ns = now_ns
        return was_set

    def oddities(self, stream: str) -> Counter[str]:
        """Return how many stamps of ``stream`` could not be right, by what was wrong."""
        return Counter(self._streams[stream].oddities)

    @staticmethod
    def _judge(own: _Stream, stamp_ns: int, is_behind: bool) -> Verdict:
        if stamp_ns <= 0:
            return Verdict(ZERO_STAMP)
        recent = own.recent
        verdict = GOOD
        if recent and stamp_ns <= recent[-1]:
            if stamp_ns == own.before_ns:
                return Verdict(DUPLICATE)
            own.before_ns = stamp_ns
            own.late_run += 1
            if stamp_ns > recent[0] and own.late_run <= _LATE_REACH and not is_behind:
                return Verdict(LATE)
            own.begin_anew()
            verdict = _NEW_RUN
        recent.append(stamp_ns)
        own.before_ns = stamp_ns
        own.late_run = 0
        return verdict


class ArrivalStamps:
    """Stamps the images of a stream with the time at which they arrive, each later than the one before.

    A simulation's clock goes in steps, in which several images may arrive.
    """

    def __init__(self) -> None:
        self._arrived_ns = 0
        self._stamp_ns = 0

    def stamp(self, incoming: Incoming) -> Incoming:
        """Return ``incoming`` with the stamp of its arrival, which its frame will have, too."""
        if incoming.arrived_ns == self._arrived_ns:
            self._stamp_ns += 1
        else:
            self._arrived_ns = self._stamp_ns = incoming.arrived_ns
        stamp_ns = self._stamp_ns
        return dataclasses.replace(
            incoming, stamp_ns=stamp_ns, decode=lambda: dataclasses.replace(incoming.decode(), stamp_ns=stamp_ns)
        )
