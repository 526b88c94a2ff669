"""Two video files as a camera source: both in colour, but the thermal one in gray where it has no colour."""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2

from ..errors import SourceError
from ..images import color
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from ..perception.incoming import Incoming
from .camera_source import FRAME_IDS, as_taken
from .pairs import is_one_file

_log = logging.getLogger(__name__)


class VideoSource:
    """A thermal and a visible video that began at the same moment; frame i is stamped i / its file's frame rate."""

    skipped: Mapping[str, int] = {}
    lateness: Mapping[str, float] = {}

    def __init__(self, thermal: Path, visible: Path) -> None:
        """Open both; raises :class:`SourceError` for a file that is missing, no video, or has no frame rate."""
        self.name = f"{thermal},{visible}"
        if is_one_file(thermal, visible):
            raise SourceError(f"{self.name}: one file for both cameras, which would be fused with itself; give two")
        self._paths = {THERMAL: thermal, VISIBLE: visible}
        self._rates: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        for stream, path in self._paths.items():
            capture = _opened(path)
            self._rates[stream] = _frame_rate(capture, path)
            self._counts[stream] = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            capture.release()

    def fps(self, stream: str) -> float:
        """Return the frame rate of ``stream`` in Hz."""
        return self._rates[stream]

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        streams = (self._frames(THERMAL), self._frames(VISIBLE))
        yield from heapq.merge(*streams, key=lambda event: event[1].stamp_ns)

    def _frames(self, stream: str) -> Iterator[tuple[str, Frame]]:
        path, rate = self._paths[stream], self._rates[stream]
        capture = _opened(path)
        index = 0
        try:
            while True:
                there, image = capture.read()
                if not there:
                    break
                encoding = "bgr8"
                if image.ndim == 2:
                    encoding = "mono8"
                elif stream == THERMAL:
                    image, encoding = color.gray_if_colourless(image, encoding)
                yield stream, Frame(image, round(index * 1e9 / rate), FRAME_IDS[stream], encoding)
                index += 1
        finally:
            capture.release()
        if index == 0:
            raise SourceError(f"{path}: not one frame of it can be decoded; check it with another player")
        if index < self._counts[stream]:
            _log.warning("%s: ended after %d of the %d frames it announces", path, index, self._counts[stream])

    def arrivals(self) -> Iterator[Incoming]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return as_taken(self.events())

    def __len__(self) -> int:
        count = min(self._counts.values())
        if count == 0:
            raise SourceError(f"{self.name}: do not say how many frames they hold")
        return count

    def camera_model(self, stream: str) -> CameraModel | None:
        """A video knows none."""
        return None

    def close(self) -> None:
        """Files are open while :meth:`events` runs only."""


def _opened(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise SourceError(f"{path}: no such file; a video is expected there")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(f"{path}: cannot be opened as a video ({path.stat().st_size} bytes)")
    return capture


def _frame_rate(capture: cv2.VideoCapture, path: Path) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    if not (math.isfinite(rate) and 0.0 < rate <= 10_000.0):
        capture.release()
        raise SourceError(f"{path}: says its frame rate is {rate}; expected more than 0 and at most 10000 Hz")
    return rate
