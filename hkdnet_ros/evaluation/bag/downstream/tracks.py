"""Objects over time: how long each image lets them be followed, and when one shows what another misses."""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....images.frames import THERMAL, VISIBLE
from ...boxes import COCO_CLASSES, Objects, covered, joined, without_doubles
from ...detector import DOUBLE
from ...tracking import LONGEST_GAP_NS, Sighting, Track, Tracker
from ..lumas import FUSED, IMAGES
from ..tables import Row, columns_of, read_table, write_table
from .objects import BOTH

OBJECTS, TRACKS, FOLLOWED = "objects.csv", "tracks.csv", "followed.csv"

OBJECT_COLUMNS = ("frame", "time_ns", "image", "class", "score", "left", "top", "right", "bottom")
TRACK_COLUMNS = (
    "image", "class", "begin_ns", "end_ns", "length_s", "seen", "gaps", "frames",
    *(f"{kind}_{name}" for name in IMAGES for kind in ("shown", "breaks")),
)  # fmt: skip
"""A row for each track; ``frames`` and what follows for those of both sources together: frames from the first sighting
to the last, in how many of them each image shows the object, and how often that breaks off and begins again."""

FOLLOWED_COLUMNS = ("frame", "objects", *IMAGES, "fused_alone", "visible_alone", "none")
"""A row for each frame in which objects were sought: how many are followed in both sources together, how many of them
each image shows, fused and not visible, visible and not fused, and none."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of following objects.

    By image, both sources together among them: the number of ``tracks``, their mean length, and the ``gaps`` bridged.
    By image that shows, or does not, what is followed in both: the ``breaks``. ``objects`` and ``shown`` have a number
    for each of the ``frames``; the latter are called as in FOLLOWED_COLUMNS.
    """

    tracks: Mapping[str, int]
    lengths_s: Mapping[str, float]
    gaps: Mapping[str, int]
    breaks: Mapping[str, int]
    frames: Counts
    objects: Counts
    shown: Mapping[str, Counts]

    def share(self, name: str) -> float:
        """Return the share of what is followed, object by object and frame by frame, that an image shows."""
        return float(self.shown[name].sum() / max(self.objects.sum(), 1))


def object_rows(frame: int, time_ns: int, found: Mapping[str, Objects]) -> list[Row]:
    """Return what was found in a frame as rows of OBJECT_COLUMNS; for an image without objects, one without a class."""
    rows: list[Row] = []
    for name, objects in found.items():
        start = {"frame": frame, "time_ns": time_ns, "image": name}
        for box, score, kind in zip(objects.boxes.tolist(), objects.scores.tolist(), objects.classes, strict=True):
            sides = dict(zip(OBJECT_COLUMNS[-4:], box, strict=True))
            rows.append({**start, "class": COCO_CLASSES[kind], "score": score, **sides})
        if not len(objects):
            rows.append(start)
    return rows


def write_tracks(folder: Path, sure: float) -> None:
    """Follow the objects of OBJECTS in a result's folder, where it is; write TRACKS and FOLLOWED beside it."""
    if not (folder / OBJECTS).is_file():
        return
    following = _Following(sure)
    rows = list(following.rows(_frames(read_table(folder / OBJECTS))))
    write_table(folder / TRACKS, TRACK_COLUMNS, rows)
    write_table(folder / FOLLOWED, FOLLOWED_COLUMNS, following.counts())


def read_followed(folder: Path) -> Followed | None:
    """Return what write_tracks wrote; None where there is none."""
    if not (folder / FOLLOWED).is_file():
        return None
    columns = {name: array("q") for name in columns_of(folder / FOLLOWED)}
    for row in read_table(folder / FOLLOWED):
        for name, values in columns.items():
            values.append(int(row[name]))
    arrays = {name: np.array(values, np.int64) for name, values in columns.items()}
    names = (*IMAGES, BOTH)
    tracks, gaps = (dict.fromkeys(names, 0) for _ in range(2))
    breaks = dict.fromkeys(IMAGES, 0)
    lengths = dict.fromkeys(names, 0.0)
    for row in read_table(folder / TRACKS):
        name = row["image"]
        tracks[name] += 1
        gaps[name] += int(row["gaps"])
        lengths[name] += float(row["length_s"])
        if name == BOTH:
            for image in IMAGES:
                breaks[image] += int(row[f"breaks_{image}"])
    means = {name: lengths[name] / max(tracks[name], 1) for name in names}
    return Followed(tracks, means, gaps, breaks, arrays.pop("frame"), arrays.pop("objects"), arrays)


def _frames(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[int, int, dict[str, Objects]]]:
    """Yield number, time and what was found, by image, of each frame."""
    for (frame, time_ns), of_frame in itertools.groupby(rows, lambda row: (int(row["frame"]), int(row["time_ns"]))):
        by_image: dict[str, list[Mapping[str, str]]] = {name: [] for name in IMAGES}
        for row in of_frame:
            if row["class"]:
                by_image[row["image"]].append(row)
        yield frame, time_ns, {name: _objects(those) for name, those in by_image.items()}


def _objects(rows: list[Mapping[str, str]]) -> Objects:
    return Objects(
        np.array([[float(row[side]) for side in OBJECT_COLUMNS[-4:]] for row in rows], np.float32).reshape(-1, 4),
        np.array([float(row["score"]) for row in rows], np.float32),
        np.array([COCO_CLASSES.index(row["class"]) for row in rows], np.int64),
    )


class _Following:
    """Follows objects in each image by itself and in both sources, and notes for the latter which image shows them."""

    def __init__(self, sure: float) -> None:
        self._trackers = {name: Tracker(sure) for name in (*IMAGES, BOTH)}
        self._notes: dict[int, bytearray] = {}  # by track of both: a bit for each image that shows it, frame by frame
        self._recent: deque[tuple[int, int, Mapping[str, Objects]]] = deque()
        self._frames = array("q")
        self._sums = {name: array("q") for name in FOLLOWED_COLUMNS[1:]}

    def rows(self, frames: Iterable[tuple[int, int, Mapping[str, Objects]]]) -> Iterator[Row]:
        """Yield a row for each track, as they end."""
        for image, (frame, time_ns, found) in enumerate(frames):
            self._frames.append(frame)
            for sums in self._sums.values():
                sums.append(0)
            both = without_doubles(joined([found[THERMAL], found[VISIBLE]]), DOUBLE)
            self._recent.append((image, time_ns, found))
            while time_ns - self._recent[0][1] > LONGEST_GAP_NS or self._recent[0][1] > time_ns:
                self._recent.popleft()
            for name, tracker in self._trackers.items():
                yield from self._ended(name, tracker.add(time_ns, both if name == BOTH else found[name]))
            self._note(image)
        for name, tracker in self._trackers.items():
            yield from self._ended(name, tracker.finish())

    def counts(self) -> Iterator[Row]:
        """Yield a row of FOLLOWED_COLUMNS for each frame, once all tracks have ended."""
        for place, frame in enumerate(self._frames):
            yield {"frame": frame, **{name: sums[place] for name, sums in self._sums.items()}}

    def _note(self, image: int) -> None:
        """Note of what is seen in both in this frame which images show it, and in the frames since it was seen last."""
        alive = self._trackers[BOTH].alive
        self._notes = {track.number: self._notes.get(track.number, bytearray()) for track in alive}
        for track in alive:
            if track.last.image != image:
                continue
            before = track.recent[-2] if track.seen > 1 else None
            for passed, time_ns, found in self._recent:
                if passed == image or (before is not None and before.image < passed):
                    one = _one(track, _between(before, track.last, time_ns))
                    note = sum(bool(covered(one, found[name])[0]) << bit for bit, name in enumerate(IMAGES))
                    self._notes[track.number].append(note)

    def _ended(self, name: str, tracks: Iterable[Track]) -> Iterator[Row]:
        for track in tracks:
            row = {
                "image": name,
                "class": COCO_CLASSES[track.kind],
                "begin_ns": track.first.time_ns,
                "end_ns": track.last.time_ns,
                "length_s": track.length_s,
                "seen": track.seen,
                "gaps": track.gaps,
            }
            yield {**row, **(self._shown(track) if name == BOTH else {})}

    def _shown(self, track: Track) -> Row:
        """Count an object of both, frame by frame; return what its row says of the images that show it."""
        notes = self._notes[track.number]
        shows = {name: [bool(note >> bit & 1) for note in notes] for bit, name in enumerate(IMAGES)}
        for place, values in enumerate(zip(*shows.values(), strict=True), track.first.image):
            shown = dict(zip(IMAGES, values, strict=True))
            shown["fused_alone"] = shown[FUSED] and not shown[VISIBLE]
            shown["visible_alone"] = shown[VISIBLE] and not shown[FUSED]
            shown["none"] = not any(values)
            for key, value in {"objects": True, **shown}.items():
                self._sums[key][place] += value
        row: dict[str, object] = {"frames": len(notes)}
        for name, of_image in shows.items():
            runs = sum(is_shown for is_shown, _ in itertools.groupby(of_image))
            row |= {f"shown_{name}": sum(of_image), f"breaks_{name}": max(runs - 1, 0)}
        return row


def _one(track: Track, box: NDArray[np.float32]) -> Objects:
    return Objects(box[None], np.ones(1, np.float32), np.array([track.kind], np.int64))


def _between(before: Sighting | None, after: Sighting, time_ns: int) -> NDArray[np.float32]:
    """Return the box of an object at a time between two sightings."""
    if before is None or time_ns == after.time_ns:
        return after.box
    share = np.float32((time_ns - before.time_ns) / (after.time_ns - before.time_ns))
    box: NDArray[np.float32] = before.box + share * (after.box - before.box)
    return box
