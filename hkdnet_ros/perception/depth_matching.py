"""Which depth image registers a pair: the one nearest in time to its visible image, for which the pair waits a while.

Depth is computed, and so comes 30 to 100 ms after the images that it belongs to. As in :mod:`.pairing`, stamps decide,
and nothing is decided before all that could be nearer has come; but here one depth image may serve several pairs, and
no pair waits longer than the timeout.

Where the clock of the visible camera jumps back, its depth follows a little later, or has jumped a little before. So
pairs and depth images belong to a run of the clock, and one of another run is none of a pair's, however near its stamp.
"""

from __future__ import annotations

import bisect
import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ..images.frames import Frame
from .pairing import PairingConfig
from .registration_config import RegistrationConfig
from .stream_clock import GOOD, LATE, Verdict

Item = TypeVar("Item")

Registered: TypeAlias = "tuple[Item, Frame | None]"
"""A pair and its depth image; None where none has come at all."""

_APART_NS = 1_000_000_000  # by which no depth image is ahead of a visible one of its run
_INTERVALS = 16  # recent intervals of depth images, the shortest of which predicts the next
_ENOUGH_INTERVALS = 3


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    run: int  # of the visible image
    stamp_ns: int  # of the visible image
    since_ns: int
    nbytes: int


@dataclass(slots=True)
class _Kept:
    run: int  # of the visible stream, to which it belongs
    frame: Frame
    since_ns: int

    @property
    def place(self) -> tuple[int, int]:
        return self.run, self.frame.stamp_ns

    def apart_ns(self, stamp_ns: int) -> int:
        return abs(self.frame.stamp_ns - stamp_ns)


class DepthMatcher(Generic[Item]):
    """Holds pairs, in their order, until the depth image of each is known. Any thread may call :meth:`flush`.

    One thread at a time calls the other methods. Stamps have been judged (:mod:`.stream_clock`).

    A depth image that has not come within ``registration.depth_timeout`` does not count: then it is the nearest of
    those that have. Depth images are kept as long as ``sync.queue_*`` let images wait, and pairs no longer.
    """

    def __init__(self, config: RegistrationConfig, queue: PairingConfig) -> None:
        self._timeout_ns, self._queue = round(config.depth_timeout * 1e9), queue
        self._depths: list[_Kept] = []  # by run, then by stamp
        self._late: list[_Kept] = []  # the latest of them, as far as they are out of order
        self._visible_run = self._depth_run = 0  # to which what comes now belongs
        self._jumped_ns = 0  # when the visible stream began anew last, by the receiver's clock
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._waiting: deque[_Waiting[Item]] = deque()
        self._taking = threading.Lock()

    def reconfigure(self, config: RegistrationConfig, queue: PairingConfig) -> None:
        """Go by another timeout and other queues from the next call on. Any thread may call this."""
        self._timeout_ns, self._queue = round(config.depth_timeout * 1e9), queue

    @property
    def is_behind(self) -> bool:
        """Whether the visible stream has begun anew, and depth is still to follow."""
        return self._depth_run < self._visible_run

    def begin_anew(self, now_ns: int) -> bool:
        """Hear that the visible stream begins anew at ``now_ns``; return whether depth has done so before.

        That is where the latest depth images were out of order: they were the first of the new run.
        """
        with self._taking:
            self._visible_run += 1
            self._jumped_ns = now_ns
            has_jumped = self.is_behind and bool(self._late)
            if has_jumped:
                self._begin_depth()
            return has_jumped

    def clock_was_set(self, now_ns: int) -> None:
        """Count the time that all have waited from now on: the receiver's clock went back or leapt ahead."""
        with self._taking:
            self._jumped_ns = now_ns
            for waiting in self._waiting:
                waiting.since_ns = now_ns
            for kept in self._depths:
                kept.since_ns = now_ns

    def add_depth(self, depth: Frame, now_ns: int, verdict: Verdict = GOOD) -> None:
        """Take a depth image at ``now_ns`` of the receiver's clock, by the verdict on its stamp: it is good or late.

        One that is late is as good as another for pairs that wait for it. Where its stream begins anew with it, the
        late ones before were the first of the new run.
        """
        with self._taking:
            if verdict.begins_anew:
                self._begin_depth()
            elif self.is_behind and now_ns - self._jumped_ns > self._timeout_ns:
                self._count_depth_as(self._visible_run)  # it does not follow: the visible stream alone has jumped
            new = _Kept(self._depth_run, depth, now_ns)
            if verdict.reason == LATE:
                self._late.append(new)
            else:
                self._late.clear()
            self._keep(new)

    def add(self, item: Item, stamp_ns: int, now_ns: int, nbytes: int = 0, *, run: int = 0) -> None:
        """Take a pair whose visible image has ``stamp_ns``, at ``now_ns`` of the receiver's clock.

        ``run`` counts how often the visible stream had begun anew.
        """
        self._waiting.append(_Waiting(item, run, stamp_ns, now_ns, nbytes))

    def due(self, now_ns: int) -> list[Registered[Item]]:
        """Return the pairs whose depth image is known by now, or for which they waited long enough; oldest first."""
        found: list[Registered[Item]] = []
        with self._taking:
            while self._waiting and (
                self._is_known(self._waiting[0])
                or now_ns - self._waiting[0].since_ns >= self._timeout_ns
                or not self._lets_wait()
            ):
                found.append(self._take())
        return found

    def flush(self) -> list[Registered[Item]]:
        """Return all pairs with the depth images that came so far, as at the end of a recording."""
        with self._taking:
            return [self._take() for _ in range(len(self._waiting))]

    def _begin_depth(self) -> None:
        """Let depth begin anew: in the visible stream's present run, if that has begun anew since, else in the next."""
        self._depth_run = self._visible_run if self.is_behind else self._visible_run + 1
        for kept in self._late:
            kept.run = self._depth_run
        self._depths = [kept for kept in self._depths if kept.run < self._depth_run] + self._late
        self._depths.sort(key=_place)
        self._late = []

    def _keep(self, new: _Kept) -> None:
        depths = self._depths
        place = bisect.bisect_right(depths, new.place, key=_place)
        if depths and depths[-1].run == new.run and depths[-1].place < new.place:
            self._intervals.append(new.frame.stamp_ns - depths[-1].frame.stamp_ns)
        depths.insert(place, new)
        while not self._queue.lets_wait(
            len(depths), new.since_ns - depths[0].since_ns, sum(kept.frame.image.nbytes for kept in depths)
        ):
            del depths[0]

    def _lets_wait(self) -> bool:
        span_ns = self._waiting[-1].since_ns - self._waiting[0].since_ns
        return self._queue.lets_wait(len(self._waiting), span_ns, sum(waiting.nbytes for waiting in self._waiting))

    def _is_known(self, pair: _Waiting[Item]) -> bool:
        """Return whether no depth image that is still to come can be nearer to a pair than one that is there."""
        self._follow_what_is_nearer(pair)
        if self._depth_run != pair.run:
            return self._depth_run > pair.run  # the pair's run of depth is over, or still to begin
        stamps = [kept.frame.stamp_ns for kept in self._depths if kept.run == pair.run]
        last_ns = next((stamp_ns for stamp_ns in reversed(stamps) if stamp_ns - pair.stamp_ns <= _APART_NS), None)
        if last_ns is None:
            return False
        if last_ns >= pair.stamp_ns:
            return True
        shortest_ns = min(self._intervals) if len(self._intervals) >= _ENOUGH_INTERVALS else 0
        return last_ns + shortest_ns * 9 // 10 - pair.stamp_ns >= pair.stamp_ns - last_ns  # a tenth for jitter

    def _follow_what_is_nearer(self, pair: _Waiting[Item]) -> None:
        """Take depth to be of the pair's run where it was taken to be ahead, and is nearer than what is of that run.

        Then the clock of depth alone has jumped.
        """
        if pair.run != self._visible_run or self._depth_run <= self._visible_run:
            return
        own, ahead = (
            min((kept.apart_ns(pair.stamp_ns) for kept in self._depths if kept.run == run), default=None)
            for run in (pair.run, self._depth_run)
        )
        if ahead is not None and (own is None or ahead < own):
            self._count_depth_as(pair.run)

    def _count_depth_as(self, run: int) -> None:
        """Take the depth of now to be of another run than it was taken to be; what is there of others is over."""
        self._depths = [kept for kept in self._depths if kept.run == self._depth_run]
        for kept in self._depths:
            kept.run = run
        self._depth_run = run

    def _take(self) -> Registered[Item]:
        pair = self._waiting.popleft()
        self._follow_what_is_nearer(pair)
        run = min(pair.run, self._depth_run)  # which may not have followed yet
        own = [kept for kept in self._depths if kept.run == run]
        if not own:
            return pair.item, None
        nearest = min(own, key=lambda kept: kept.apart_ns(pair.stamp_ns))
        del self._depths[: bisect.bisect_left(self._depths, nearest.place, key=_place)]  # pairs come in order
        return pair.item, nearest.frame


def _place(kept: _Kept) -> tuple[int, int]:
    return kept.place
