"""The side-by-side video of a result, made of its panes in a thread of its own while frames are fused."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import zipfile
from collections.abc import Mapping
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


class Movie:
    """Appends the frames of finished parts of ``panes``, in the order of :meth:`add`; each frame is shown equally long.

    A thread does the work. What it raises, :meth:`finish` raises.
    """

    def __init__(self, folder: Path, panes: Path) -> None:
        """``folder`` is where the video goes to, ``panes`` that of the zip files."""
        self._path = folder / NAME
        self._partial = folder / f".partial_{NAME}"
        self._panes = panes
        self._parts: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._writer: Writer | None = None
        self._row: _Row | None = None
        self._given_up = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="movie", daemon=True)
        self._thread.start()

    def add(self, part: int, rate: float) -> None:
        """Let the frames of a part follow; the ``rate`` in Hz of the first part is that of the video."""
        self._parts.put((part, rate))

    def finish(self) -> str:
        """Wait for all parts, give the video its name and return how it is coded."""
        self._parts.put(None)
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
        self._parts.put(None)
        self._thread.join()
        if self._writer is not None:
            with contextlib.suppress(OSError, SourceError):  # what is left unfinished may be what is wrong
                self._writer.close()
        self._partial.unlink(missing_ok=True)

    def _run(self) -> None:
        while (item := self._parts.get()) is not None:
            try:
                if self._error is None:
                    self._append(*item)
            except Exception as error:
                self._error = error

    def _append(self, part: int, rate: float) -> None:
        with zipfile.ZipFile(part_file(self._panes, part)) as file:
            frames: dict[str, dict[str, str]] = {}
            for name in file.namelist():
                number, _, pane = Path(name).stem.partition("_")
                frames.setdefault(number, {})[pane] = name
            for entries in frames.values():
                if self._given_up:
                    return
                panes = {pane: _image(file.read(name)) for pane, name in entries.items()}
                self._write(panes, rate)

    def _write(self, panes: Mapping[str, Image], rate: float) -> None:
        if self._row is None:
            height, width = panes[FUSED].shape[:2]
            self._row = _Row((min(width, MOST_WIDTH), max(1, round(height * min(1, MOST_WIDTH / width)))))
        row = self._row.showing(panes)
        if self._writer is None:
            held = min(max(rate, _LOWEST_RATE), _HIGHEST_RATE)
            self._writer = open_video(self._partial, held, (row.shape[1], row.shape[0]))
        self._writer.write(row)


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
