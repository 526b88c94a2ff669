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

_LOOK = 64  # so many images of a stream tell how its stamps lie to the times of recording
_SAME_LEAP_NS = 1_000_000_000
_MOST_BYTES = 128 << 20  # of images that wait for their turn


class Stamped(NamedTuple, Generic[Payload]):
    """An image with the stamp it bears (0 where it was not set), and when it was recorded, in ns."""

    stamp_ns: int
    recorded_ns: int
    size: int
    payload: Payload


def first_images(images: Iterator[Stamped[Payload]]) -> list[Stamped[Payload]]:
    """Take from ``images`` so many as tell how their stamps lie to the times of recording, if memory allows."""
    taken: list[Stamped[Payload]] = []
    size = 0
    while len(taken) < _LOOK and size < _MOST_BYTES and (image := next(images, None)) is not None:
        taken.append(image)
        size += image.size
    return taken


def least_delay(images: Sequence[Stamped[Payload]]) -> int | None:
    """Return the least time, in ns, between an image's stamp and its recording, odd stamps left aside.

    None where no stamp was set, or all are one while the times of recording go on.
    """
    stamped = [image for image in images if image.stamp_ns]
    standing = len({image.stamp_ns for image in stamped}) == 1 and len({image.recorded_ns for image in stamped}) > 2
    if not stamped or standing:
        return None
    delays = sorted(image.recorded_ns - image.stamp_ns for image in stamped)
    middle = delays[len(delays) // 2]
    return next(delay for delay in delays if middle - delay <= CLOCKS_NS)


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
        self._unstamped = {stream for stream, delay in delays.items() if delay is None}
        self._delays = {stream: delay or 0 for stream, delay in delays.items()}
        self._start = dict.fromkeys(delays, 0)  # the shifts from stamps to the line of time, as they are at first
        for stream in sorted(self._unstamped):
            note(f"the {stream} images bear no stamps that go on; the times of recording stand in for them")
        apart_ns = self._delays[THERMAL] - self._delays[VISIBLE] if len(delays) == 2 else 0
        if abs(apart_ns) > CLOCKS_NS:
            self._start = dict(self._delays)
            if not self._unstamped:
                note(
                    f"thermal and visible stamps count from different moments, {apart_ns / 1e9:+.3f} s apart by the "
                    "times of recording, which put them side by side here, to within what a message takes; live, "
                    f"sync.thermal_offset: {apart_ns / 1e9:.3f} does that"
                )
        self._shift = dict(self._start)
        self._shifts = sorted(set(self._start.values()))  # all that were used, by either stream
        self._last: dict[str, tuple[int, int]] = {}  # the stamp that was taken last, and its time of recording

    def lateness_ns(self, stream: str) -> int:
        """Return how much later than it lies on the line of time an image of ``stream`` was recorded at the least."""
        return self._delays[stream] - self._start[stream]

    def placed(
        self, stream: str, images: Iterable[Stamped[Payload]], stray: Callable[[], None]
    ) -> Iterator[tuple[int, Stamped[Payload]]]:
        """Yield (time, image) for a stream's images, which come in the order of recording.

        ``stray`` is called for one whose stamp fits neither to what was before nor to what comes after: it is left out.
        """
        following = iter(images)
        image = next(following, None)
        while image is not None:
            after = next(following, None)
            if not image.stamp_ns or stream in self._unstamped:
                yield self._expected_ns(stream, image), image
            elif self._goes_on(stream, image):
                self._last[stream] = image.stamp_ns, image.recorded_ns
                yield image.stamp_ns + self._shift[stream], image
            elif after is not None and self._goes_back(stream, image, after):
                stray()
            else:
                self._follow(stream, image)
                self._last[stream] = image.stamp_ns, image.recorded_ns
                yield image.stamp_ns + self._shift[stream], image
            image = after

    def _expected_ns(self, stream: str, image: Stamped[Payload]) -> int:
        """Return where on the line of time an image lies by the time of its recording."""
        return image.recorded_ns - self.lateness_ns(stream)

    def _goes_on(self, stream: str, image: Stamped[Payload]) -> bool:
        """Tell whether an image's stamp continues those before it."""
        off_ns = image.stamp_ns + self._shift[stream] - self._expected_ns(stream, image)
        if stream not in self._last:
            return abs(off_ns) <= CLOCKS_NS
        last_stamp_ns, last_recorded_ns = self._last[stream]
        step_ns = image.stamp_ns - last_stamp_ns
        ahead_ns = step_ns - max(image.recorded_ns - last_recorded_ns, 0)
        # Also where it leaps back to a clock that was in use before.
        returns = ahead_ns > REACH_NS and abs(off_ns) > _SAME_LEAP_NS and self._misfit_ns(stream, image) < _SAME_LEAP_NS
        return step_ns >= -REACH_NS and ahead_ns <= CLOCKS_NS and not returns

    def _goes_back(self, stream: str, image: Stamped[Payload], after: Stamped[Payload]) -> bool:
        """Tell whether the image after a leap is on the old line again."""
        if not after.stamp_ns or stream not in self._last:
            return bool(after.stamp_ns) and self._goes_on(stream, after)
        return abs(after.stamp_ns - self._last[stream][0]) < abs(after.stamp_ns - image.stamp_ns)

    def _misfit_ns(self, stream: str, image: Stamped[Payload]) -> int:
        """Return how far an image is from where it is expected, by the shift that fits best."""
        expected_ns = self._expected_ns(stream, image)
        return min(abs(image.stamp_ns + shift - expected_ns) for shift in self._shifts)

    def _follow(self, stream: str, image: Stamped[Payload]) -> None:
        """Go on where the stream's clock was set, by a shift that is known already where one fits."""
        expected_ns = self._expected_ns(stream, image)
        shift = min(self._shifts, key=lambda shift: abs(image.stamp_ns + shift - expected_ns))
        if abs(image.stamp_ns + shift - expected_ns) > _SAME_LEAP_NS:
            leap_ns = image.stamp_ns + self._shift[stream] - expected_ns
            shift = expected_ns - image.stamp_ns
            self._shifts.append(shift)
            self._note(f"the stamps of {stream} leap by {leap_ns / 1e9:+.3f} s; the times of recording go on over that")
        self._shift[stream] = shift


def in_order(
    images: Iterable[tuple[int, Stamped[Payload]]], stray: Callable[[], None]
) -> Iterator[tuple[int, Payload]]:
    """Yield (time, payload) by time, in ns, of images up to REACH_NS out of order, as far as memory allows.

    ``stray`` is called for one that is further out of order: it is left out.
    """
    waiting: list[tuple[int, int, Stamped[Payload]]] = []
    newest_ns = yielded_ns = -(2**63)
    size = 0

    def take() -> tuple[int, Payload]:
        nonlocal size, yielded_ns
        yielded_ns, _, image = heapq.heappop(waiting)
        size -= image.size
        return yielded_ns, image.payload

    for number, (time_ns, image) in enumerate(images):
        if time_ns < yielded_ns:
            stray()
            continue
        heapq.heappush(waiting, (time_ns, number, image))
        newest_ns, size = max(newest_ns, time_ns), size + image.size
        while newest_ns - waiting[0][0] > REACH_NS or (size > _MOST_BYTES and len(waiting) > 1):
            yield take()
    while waiting:
        yield take()
