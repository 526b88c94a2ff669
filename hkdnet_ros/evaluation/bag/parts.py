"""A result grows by parts of some hundred frames, each on the disk in full or not at all: from there a run goes on."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import SourceError
from . import fused_bag
from .downstream.tracks import OBJECT_COLUMNS, OBJECTS
from .fused_bag import BagPart
from .fused_messages import Serialized
from .inputs import Inputs
from .movie import Movie
from .panes import PanesPart
from .tables import Row, join_tables, read_table, write_parquet, write_table

FRAMES = 600
"""Frames of a part: half a minute of work on two cores, and half a gigabyte of raw images."""


@dataclass(frozen=True, slots=True)
class Written:
    """All that is written of one frame; ``timings`` differ from run to run, nothing else does."""

    row: Mapping[str, object]
    timings: Mapping[str, float]
    messages: Serialized
    panes: Mapping[str, bytes]
    objects: Sequence[Row] = ()
    """Rows of objects.csv."""


class Parts:
    """Writes frames into parts of ``folder``; one thread calls it.

    ``columns`` are those of a frame's row, frame, stamp_ns and recorded_ns among them. Without ``movie`` there is no
    video. ``open_inputs``, called with the time up to which the bag is there already, gives what is merged with it.
    """

    def __init__(
        self,
        folder: Path,
        columns: Sequence[str],
        movie: Movie | None,
        size: int = FRAMES,
        open_inputs: Callable[[int], Inputs] | None = None,
    ) -> None:
        self._folder = folder
        self._columns = columns
        self._movie = movie
        self._frames_per_part = size
        self._bag = folder / fused_bag.FOLDER
        self._panes = folder / "panes"
        self._tables = folder / "parts"
        for wanted in (self._bag, self._panes, self._tables):
            wanted.mkdir(exist_ok=True)
        self._open: tuple[BagPart, PanesPart] | None = None
        self._rows: list[Mapping[str, object]] = []
        self._timings: list[Mapping[str, object]] = []
        self._recorded_ns = -(2**63)  # of the last frame that is there
        self._objects: list[Row] = []
        self.frames = 0
        """Frames that are on the disk for good."""
        self.parts = 0
        self.runs_on: dict[str, str] = {}
        """What each network ran on that made frames which are there, by its name."""
        while (table := self._table(self.parts)).is_file():
            self._count(list(read_table(table)))
        self.inputs = open_inputs(self._recorded_ns) if open_inputs else None

    def write(self, frame: Written) -> None:
        """Append a frame."""
        if self._open is None:
            self._open = BagPart(self._bag, self.parts), PanesPart(self._panes, self.parts)
        bag, zipped = self._open
        recorded_ns = frame.row["recorded_ns"]
        assert isinstance(recorded_ns, int)
        if self.inputs is not None:
            bag.write(self.inputs.until(recorded_ns))
        at_ns = max(recorded_ns, 0)
        bag.write((at_ns, at_ns, topic, data) for topic, data in frame.messages)
        number = frame.row["frame"]
        assert isinstance(number, int)
        zipped.write(number, frame.panes)
        if self._movie is not None:
            self._movie.show(int(str(frame.row["stamp_ns"])), frame.panes)
        self._rows.append(frame.row)
        self._timings.append({"frame": number, **frame.timings})
        self._objects += frame.objects
        if len(self._rows) == self._frames_per_part:
            self.finish_part()

    def finish_part(self) -> None:
        """Put what was written since the last part on the disk for good."""
        if self._open is None:
            return
        for file in self._open:
            file.finish()
        self._open = None
        timings = list(dict.fromkeys(key for row in self._timings for key in row))
        write_table(self._tables / f"{self.parts:05d}.timings.csv", timings, self._timings)
        if self._objects:
            write_table(self._tables / f"{self.parts:05d}.{OBJECTS}", OBJECT_COLUMNS, self._objects)
            self._objects = []
        rows, self._rows, self._timings = self._rows, [], []
        write_table(self._table(self.parts), self._columns, rows)  # last: with it the part is there
        self._count(rows)

    def abandon_part(self) -> None:
        """Leave nothing of what was written since the last part."""
        if self._open is not None:
            for file in self._open:
                file.abandon()
            self._open = None

    def complete(self, is_whole: bool = True) -> bool:
        """Put the parts together: the bag's metadata.yaml, frames.csv, timings.csv and frames.parquet.

        Where objects were sought, objects.csv is one of them. What is merged goes on behind the last frame where the
        recording ``is_whole``. Returns False where there is no pyarrow and so no Parquet. The parts' own tables stay:
        see :func:`tidy`.
        """
        if self.parts == 0:
            raise SourceError(f"{self._folder}: no frame was written")
        if self.inputs is not None and is_whole:
            self._write_rest(self.inputs)
        fused_bag.complete(self._bag)
        numbers = range(self.parts)
        join_tables(self._folder / "frames.csv", [self._table(number) for number in numbers])
        timings = [self._tables / f"{number:05d}.timings.csv" for number in numbers]
        join_tables(self._folder / "timings.csv", timings)
        if objects := sorted(self._tables.glob(f"*.{OBJECTS}")):
            join_tables(self._folder / OBJECTS, objects)
        return write_parquet(self._folder / "frames.csv")

    def _write_rest(self, inputs: Inputs) -> None:
        """Write what was recorded behind the last frame."""
        messages = inputs.until(None)
        first = next(messages, None)
        if first is None:
            return
        rest = BagPart(self._bag, self.parts)
        try:
            rest.write(itertools.chain([first], messages))
        except BaseException:
            rest.abandon()
            raise
        rest.finish()

    def _table(self, part: int) -> Path:
        return self._tables / f"{part:05d}.csv"

    def _count(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Count a part that is there, and let the video have it."""
        if self._movie is not None:
            self._movie.add(self.parts, [int(str(row["stamp_ns"])) for row in rows])
        self._recorded_ns = int(str(rows[-1]["recorded_ns"]))
        self.runs_on |= {str(row["model"]): str(row["runs_on"]) for row in rows}
        self.frames += len(rows)
        self.parts += 1


def tidy(folder: Path) -> None:
    """Remove what a finished result has no need of any more."""
    shutil.rmtree(folder / "parts", ignore_errors=True)
