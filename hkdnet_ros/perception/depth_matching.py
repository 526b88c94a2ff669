"""Which depth image registers a pair: the one nearest in time to its visible image, for which the pair waits a while.

Depth is computed, and so comes 30 to 100 ms after the images that it belongs to. As in :mod:`.pairing`, stamps decide,
and nothing is decided before all that could be nearer has come; but here one depth image may serve several pairs, and
no pair waits longer than the timeout.
"""

from __future__ import annotations

import bisect
import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ..errors import ImageError
from ..images.frames import Frame
from .incoming import Incoming
from .pairing import PairingConfig
from .registration_config import RegistrationConfig

Item = TypeVar("Item")

Registered: TypeAlias = "tuple[Item, Frame | None]"
"""A pair and its depth image; None where none has come at all."""

_ANOTHER_RUN_NS = 1_000_000_000  # by which no depth image is ahead of a visible one, or behind the one before it
_INTERVALS = 16  # recent intervals of depth images, the shortest of which predicts the next
_ENOUGH_INTERVALS = 3


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    stamp_ns: int  # of the visible image
    since_ns: int
    nbytes: int


class DepthMatcher(Generic[Item]):
    """Holds pairs, in their order, until the depth image of each is known. Any thread may call :meth:`flush`.

    One thread at a time calls the other methods.

    A depth image that has not come within ``registration.depth_timeout`` does not count: then it is the nearest of
    those that have. Depth images are kept as long as ``sync.queue_*`` let images wait, and pairs no longer.
    """

    def __init__(self, config: RegistrationConfig, queue: PairingConfig) -> None:
        self._timeout_ns, self._queue = round(config.depth_timeout * 1e9), queue
        self._depths: list[Frame] = []  # by stamp
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._waiting: deque[_Waiting[Item]] = deque()
        self._taking = threading.Lock()

    def reconfigure(self, config: RegistrationConfig, queue: PairingConfig) -> None:
        """Go by another timeout and other queues from the next call on. Any thread may call this."""
        self._timeout_ns, self._queue = round(config.depth_timeout * 1e9), queue

    def add_depth(self, incoming: Incoming) -> None:
        """Take a depth image. One with a stamp that is there already is left out; after a jump back all begin anew.

        Raises what decoding raises, and :class:`ImageError` for one without a stamp.
        """
        incoming.check()
        if incoming.stamp_ns <= 0:
            raise ImageError(f"stamp is {incoming.stamp_ns} ns; expected that of the visible image which it belongs to")
        depth = incoming.decode()
        with self._taking:
            self._keep(depth)

    def add(self, item: Item, stamp_ns: int, now_ns: int, nbytes: int = 0) -> None:
        """Take a pair whose visible image has ``stamp_ns``, at ``now_ns`` of the receiver's clock."""
        self._waiting.append(_Waiting(item, stamp_ns, now_ns, nbytes))

    def due(self, now_ns: int) -> list[Registered[Item]]:
        """Return the pairs whose depth image is known by now, or for which they waited long enough; oldest first."""
        found: list[Registered[Item]] = []
        with self._taking:
            while self._waiting and (
                self._is_known(self._waiting[0].stamp_ns)
                or now_ns - self._waiting[0].since_ns >= self._timeout_ns
                or not self._lets_wait()
            ):
                found.append(self._take())
        return found

    def flush(self) -> list[Registered[Item]]:
        """Return all pairs with the depth images that came so far, as at the end of a recording."""
        with self._taking:
            return [self._take() for _ in range(len(self._waiting))]

    def _keep(self, depth: Frame) -> None:
        depths, stamp_ns = self._depths, depth.stamp_ns
        if depths and stamp_ns < depths[-1].stamp_ns - _ANOTHER_RUN_NS:
            depths.clear()
        place = bisect.bisect_left(depths, stamp_ns, key=_stamp)
        if place < len(depths) and depths[place].stamp_ns == stamp_ns:
            return
        if depths and place == len(depths):
            self._intervals.append(stamp_ns - depths[-1].stamp_ns)
        depths.insert(place, depth)
        while not self._queue.lets_wait(
            len(depths), depths[-1].stamp_ns - depths[0].stamp_ns, sum(depth.image.nbytes for depth in depths)
        ):
            del depths[0]

    def _lets_wait(self) -> bool:
        span_ns = self._waiting[-1].stamp_ns - self._waiting[0].stamp_ns
        return self._queue.lets_wait(len(self._waiting), span_ns, sum(waiting.nbytes for waiting in self._waiting))

    def _is_known(self, stamp_ns: int) -> bool:
        """Return whether no depth image that is still to come can be nearer to ``stamp_ns`` than one that is there."""
        last_ns = next((d.stamp_ns for d in reversed(self._depths) if d.stamp_ns - stamp_ns <= _ANOTHER_RUN_NS), None)
        if last_ns is None:
            return False
        if last_ns >= stamp_ns:
            return True
        shortest_ns = min(self._intervals) if len(self._intervals) >= _ENOUGH_INTERVALS else 0
        return last_ns + shortest_ns * 9 // 10 - stamp_ns >= stamp_ns - last_ns  # a tenth for jitter

    def _take(self) -> Registered[Item]:
        pair = self._waiting.popleft()
        if not self._depths:
            return pair.item, None
        nearest = min(self._depths, key=lambda depth: abs(depth.stamp_ns - pair.stamp_ns))
        del self._depths[: bisect.bisect_left(self._depths, nearest.stamp_ns, key=_stamp)]  # pairs come in order
        return pair.item, nearest


def _stamp(depth: Frame) -> int:
    return depth.stamp_ns
