"""Two cameras' stamps on one line of time, whatever their clocks count from, and in order of it. No bag here."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ...images.frames import THERMAL, VISIBLE

Payload = TypeVar("Payload")

REACH_NS = 2_000_000_000
"""So much later than its successors an image may be recorded and is still put in order."""

CLOCKS_NS = 10_000_000_000
"""Stamps further from each other than this are of clocks that count from different moments: no image is so late."""

LOOK = 64  # so many images of a stream tell how its stamps lie to the times of recording
_SAME_LEAP_NS = 1_000_000_000
_MOST_BYTES = 128 << 20  # of images that wait for their turn


class Stamped(NamedTuple, Generic[Payload]):
    """An image with the stamp it bears (0 where it was not set), and when it was recorded, in ns."""

    stamp_ns: int
    recorded_ns: int
    size: int
    payload: Payload


def least_delay(images: Sequence[Stamped[Payload]]) -> int | None:
    """Return the least time, in ns, between an image's stamp and its recording; None where none is stamped."""
    return min((image.recorded_ns - image.stamp_ns for image in images if image.stamp_ns), default=None)


class CommonTime:
    """Maps the stamps of both streams to one line of time, in ns.

    Stamps stay as they are where both streams count from the same moment. Where they do not, an image is put where it
    was recorded, less what the stream's images took at least to get there. The same goes for a clock that is set while
    it is recorded. An image without a stamp is put so as well.
    """

    def __init__(self, delays: Mapping[str, int | None], note: Callable[[str], None]) -> None:
        """``delays`` are those of :func:`least_delay` of each stream that has images.

        ``note`` hears in a sentence of what is not as it should be.
        """
        self._note = note
        self._delays = {stream: delay or 0 for stream, delay in delays.items()}
        self._shifts: list[int] = [0]  # those in use, of either stream
        self._shift = dict.fromkeys(delays, 0)
        self._last: dict[str, tuple[int, int, int]] = {}  # stamp, recorded, time
        for stream, delay in delays.items():
            if delay is None:
                note(f"the {stream} images bear no stamps; the times of recording stand in for them")
        apart_ns = self._delays[THERMAL] - self._delays[VISIBLE] if len(delays) == 2 else 0
        if abs(apart_ns) > CLOCKS_NS:
            self._shift = dict(self._delays)
            self._shifts = list(self._delays.values())
            if None not in delays.values():
                note(
                    f"thermal and visible stamps count from different moments, {apart_ns / 1e9:+.3f} s apart by the "
                    "times of recording, which put them side by side here, to within what a message takes; live, "
                    f"sync.thermal_offset: {apart_ns / 1e9:.3f} does"
                )

    def lateness_ns(self, stream: str) -> int:
        """Return how much later than it lies on the line of time an image of ``stream`` was recorded at the least."""
        return self._delays[stream] - self._shift[stream]

    def of(self, stream: str, stamp_ns: int, recorded_ns: int) -> int:
        """Return where on the line of time an image of ``stream`` lies; a stream's come in the order of recording."""
        if not stamp_ns:
            return recorded_ns - self._delays[stream] + self._shift[stream]
        if stream in self._last:
            last_stamp_ns, last_recorded_ns, last_time_ns = self._last[stream]
            passed_ns = max(recorded_ns - last_recorded_ns, 0)
            step_ns = stamp_ns - last_stamp_ns
            if step_ns < -REACH_NS or step_ns - passed_ns > CLOCKS_NS:
                self._follow(stream, stamp_ns, last_time_ns + passed_ns, step_ns - passed_ns)
        time_ns = stamp_ns + self._shift[stream]
        self._last[stream] = stamp_ns, recorded_ns, time_ns
        return time_ns

    def _follow(self, stream: str, stamp_ns: int, expected_ns: int, leap_ns: int) -> None:
        """Go on where the stream's clock was set, by a shift that is known already where one fits."""
        nearest = min(self._shifts, key=lambda shift: abs(stamp_ns + shift - expected_ns))
        if abs(stamp_ns + nearest - expected_ns) > _SAME_LEAP_NS:
            nearest = expected_ns - stamp_ns
            self._shifts.append(nearest)
            self._note(f"the stamps of {stream} leap by {leap_ns / 1e9:+.3f} s; the times of recording go on over that")
        self._shift[stream] = nearest


def in_order(images: Iterable[tuple[int, Stamped[Payload]]]) -> Iterator[tuple[int, Payload]]:
    """Yield (time, payload) by time, in ns, of images up to REACH_NS out of order, as far as memory allows."""
    waiting: list[tuple[int, int, Stamped[Payload]]] = []
    newest_ns, size = -(2**63), 0

    def take() -> tuple[int, Payload]:
        nonlocal size
        time_ns, _, image = heapq.heappop(waiting)
        size -= image.size
        return time_ns, image.payload

    for number, (time_ns, image) in enumerate(images):
        heapq.heappush(waiting, (time_ns, number, image))
        newest_ns, size = max(newest_ns, time_ns), size + image.size
        while newest_ns - waiting[0][0] > REACH_NS or (size > _MOST_BYTES and len(waiting) > 1):
            yield take()
    while waiting:
        yield take()
