"""The side-by-side video of a result, made of its panes in a thread of its own while frames are fused."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...errors import SourceError
from ...sources.h264_writer import H264, MPEG4, Writer, open_video
from ..side_by_side import GAP, MOST_WIDTH, STRIP, captioned
from .lumas import FUSED, IMAGES
from .panes import Image, part_file

NAME = "side_by_side.mp4"

_LOWEST_RATE, _HIGHEST_RATE = 1.0, 120.0

_log = logging.getLogger(__name__)


_PACED_BY = 32
"""Frames from whose stamps the rate of the video is told."""

_MOST = 64
"""Frames that wait in memory; where the video falls behind, the rest of a part is read from its file."""


class Movie:
    """Appends frames as they come, or from the files of finished parts; each is shown equally long.

    A thread does the work. What it raises, :meth:`finish` raises.
    """

    def __init__(self, folder: Path, panes: Path) -> None:
        """``folder`` is where the video goes to, ``panes`` that of the zip files."""
        self._path = folder / NAME
        self._partial = folder / f".partial_{NAME}"
        self._panes = panes
        self._waiting: queue.SimpleQueue[_Frame | _Part | None] = queue.SimpleQueue()
        self._shown = 0  # frames of the part that is being written
        self._keeps_up = True
        self._first: list[_Frame] = []  # until the rate is known
        self._rate = 0.0
        self._writer: Writer | None = None
        self._row: _Row | None = None
        self._given_up = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="movie", daemon=True)
        self._thread.start()

    def show(self, stamp_ns: int, panes: Mapping[str, bytes]) -> None:
        """Let a frame follow of the part that is being written, by its panes as JPEG; each goes into the part, too."""
        self._keeps_up = self._keeps_up and self._waiting.qsize() < _MOST
        if self._keeps_up:
            self._waiting.put(_Frame(stamp_ns, panes))
            self._shown += 1

    def add(self, part: int, stamps: Sequence[int]) -> None:
        """Let all frames of a finished part follow that were not shown yet; ``stamps`` are theirs, in ns."""
        self._waiting.put(_Part(part, stamps[:_PACED_BY], self._shown))
        self._shown, self._keeps_up = 0, True

    def finish(self) -> str:
        """Wait for all parts, give the video its name and return how it is coded."""
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            self._partial.unlink(missing_ok=True)
            raise self._error
        if self._writer is None:
            return ""
        self._writer.close()
        self._partial.replace(self._path)
        if self._writer.codec == MPEG4:
            _log.warning("%s is %s, which browsers do not play: install ffmpeg for %s", self._path, MPEG4, H264)
        return self._writer.codec

    def abandon(self) -> None:
        """Leave nothing of the video."""
        self._given_up = True
        self._waiting.put(None)
        self._thread.join()
        if self._writer is not None:
            with contextlib.suppress(OSError, SourceError):  # what is left unfinished may be what is wrong
                self._writer.close()
        self._partial.unlink(missing_ok=True)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                if self._error is None and not self._given_up:
                    self._take(item)
            except Exception as error:
                self._error = error

    def _take(self, item: _Frame | _Part) -> None:
        if isinstance(item, _Part):
            self._begin(item.stamps)
            self._append(item)
        elif self._rate:
            self._write(item.panes)
        else:
            self._first.append(item)
            if len(self._first) == _PACED_BY:
                self._begin([frame.stamp_ns for frame in self._first])

    def _begin(self, stamps: Sequence[int]) -> None:
        """Write what waits for the rate, which these stamps tell where it is not known yet."""
        if not self._rate:
            rising = [after - before for before, after in itertools.pairwise(stamps) if after > before]
            rate = len(rising) * 1e9 / sum(rising) if rising else 0.0
            self._rate = min(max(rate, _LOWEST_RATE), _HIGHEST_RATE)
        while self._first:
            self._write(self._first.pop(0).panes)

    def _append(self, part: _Part) -> None:
        with zipfile.ZipFile(part_file(self._panes, part.number)) as file:
            frames: dict[str, dict[str, str]] = {}
            for name in file.namelist():
                number, _, pane = Path(name).stem.partition("_")
                frames.setdefault(number, {})[pane] = name
            for entries in list(frames.values())[part.shown :]:
                if self._given_up:
                    return
                self._write({pane: file.read(name) for pane, name in entries.items()})

    def _write(self, jpegs: Mapping[str, bytes]) -> None:
        panes = {pane: _image(data) for pane, data in jpegs.items()}
        if self._row is None:
            height, width = panes[FUSED].shape[:2]
            self._row = _Row((min(width, MOST_WIDTH), max(1, round(height * min(1, MOST_WIDTH / width)))))
        row = self._row.showing(panes)
        if self._writer is None:
            self._writer = open_video(self._partial, self._rate, (row.shape[1], row.shape[0]))
        self._writer.write(row)


@dataclass(frozen=True, slots=True)
class _Frame:
    stamp_ns: int
    panes: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    stamps: Sequence[int]  # the first of its frames, in ns
    shown: int  # frames that were shown already


class _Row:
    """Three panes side by side under their captions; what stays from frame to frame is drawn once."""

    def __init__(self, size: tuple[int, int]) -> None:
        """``size`` is the (width, height) that each pane is brought to."""
        self._size = size
        self._sheet = np.full((size[1] + STRIP, 3 * size[0] + 2 * GAP, 3), 255, np.uint8)
        self._captions: dict[str, str] = {}

    def showing(self, panes: Mapping[str, Image]) -> Image:
        """Return the row with these colour images, black where one is missing; it is written over by the next call."""
        width, height = self._size
        for place, name in enumerate(IMAGES):
            image = panes.get(name)
            part = self._sheet[:, place * (width + GAP) : place * (width + GAP) + width]
            caption = f"{name}: none" if image is None else f"{name} {image.shape[1]}x{image.shape[0]}"
            if self._captions.get(name) != caption:
                self._captions[name] = caption
                part[:] = captioned(np.zeros((height, width), np.uint8), self._size, caption)
            if image is not None:
                part[STRIP:] = image if image.shape[:2] == (height, width) else _brought(image, self._size)
        return self._sheet


def _brought(image: Image, size: tuple[int, int]) -> Image:
    way = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=way).astype(np.uint8, copy=False)


def _image(data: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError("a pane cannot be decoded; remove the result and run again")
    return image.astype(np.uint8, copy=False)
