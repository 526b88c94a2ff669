"""Objects followed from image to image by the overlap of their boxes alone.

The IoU tracker of Bochinski, Eiselein and Sikora (AVSS 2017), with a box that runs on at its own speed over images in
which the object was not found. Libraries that do it bring much with them (norfair holds NumPy below 2, supervision
needs matplotlib), and a filter or an embedding would hide what the images lose, which is what is to be seen here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .boxes import Objects, assigned

OVERLAP = 0.3
"""The IoU from which on a box goes on with a track: less than of one object in one image, for it moves."""

LONGEST_GAP_NS = 500_000_000
"""A track that is not found again within this time has ended."""

FEWEST = 3
"""Images in which an object is found before it counts as followed: fewer may be chance."""

_SPEED_OVER = 5  # sightings, that the speed of a box is told from


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where an object was found: in which image, counted from 0, when, and its ``box`` (4,)."""

    image: int
    time_ns: int
    box: NDArray[np.float32]


@dataclass(slots=True)
class Track:
    """An object that is followed; ``kind`` is its class, ``score`` the highest, ``seen`` in so many images.

    ``gaps`` is how often it was out of sight for an image or more, and found again. Of its sightings the first and the
    last few are kept.
    """

    number: int
    kind: int
    first: Sighting
    recent: deque[Sighting] = field(default_factory=lambda: deque(maxlen=_SPEED_OVER))
    score: float = 0.0
    seen: int = 0
    gaps: int = 0

    @property
    def last(self) -> Sighting:
        """The last sighting."""
        return self.recent[-1]

    @property
    def length_s(self) -> float:
        """From the first sighting to the last."""
        return (self.last.time_ns - self.first.time_ns) / 1e9

    def see(self, sighting: Sighting, score: float) -> None:
        """Note that the object was found again, or for the first time."""
        if self.recent and sighting.image > self.last.image + 1:
            self.gaps += 1
        self.recent.append(sighting)
        self.score = max(self.score, score)
        self.seen += 1

    def box_at(self, time_ns: int) -> NDArray[np.float32]:
        """Return where the object should be, after its last sighting, by the speed of its middle over the recent."""
        begin, end = self.recent[0], self.last
        if len(self.recent) < FEWEST:
            return end.box
        moved = (end.box[:2] + end.box[2:] - begin.box[:2] - begin.box[2:]) / 2
        share = (time_ns - end.time_ns) / (end.time_ns - begin.time_ns)
        box: NDArray[np.float32] = end.box + np.tile(moved, 2) * np.float32(share)
        return box


class Tracker:
    """Follows the objects of one image after the other; ``sure`` is the score that a track has to reach once."""

    def __init__(self, sure: float) -> None:
        self._sure = sure
        self._begun = 0
        self._images = 0
        self._time_ns = 0
        self.alive: list[Track] = []
        """The tracks that have not ended; those found in the last image have it as their last sighting's."""

    def add(self, time_ns: int, found: Objects) -> list[Track]:
        """Take what is found in the next image; return the tracks that have ended and count.

        Where time goes back, all end.
        """
        runs_back = time_ns <= self._time_ns and self._images > 0
        ended = self._end(lambda track: runs_back or time_ns - track.last.time_ns > LONGEST_GAP_NS)
        pairs = assigned(self._expected(time_ns), found, OVERLAP)
        seen = [(self.alive[row], column) for row, column in pairs]
        for column in sorted({*range(len(found))} - {column for _, column in pairs}):
            first = Sighting(self._images, time_ns, found.boxes[column])
            seen.append((Track(self._begun, int(found.classes[column]), first), column))
            self.alive.append(seen[-1][0])
            self._begun += 1
        for track, column in seen:
            track.see(Sighting(self._images, time_ns, found.boxes[column]), float(found.scores[column]))
        self._images += 1
        self._time_ns = time_ns
        return ended

    def finish(self) -> list[Track]:
        """End all tracks, and return those that count."""
        return self._end(lambda track: True)

    def _end(self, is_over: Callable[[Track], bool]) -> list[Track]:
        over = [track for track in self.alive if is_over(track)]
        self.alive = [track for track in self.alive if not is_over(track)]
        return [track for track in over if track.seen >= FEWEST and track.score >= self._sure]

    def _expected(self, time_ns: int) -> Objects:
        """Return where the tracks should be now."""
        boxes = [track.box_at(time_ns) for track in self.alive]
        return Objects(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([track.score for track in self.alive], np.float32),
            np.array([track.kind for track in self.alive], np.int64),
        )
