"""A folder of registered image pairs as a camera source, one pair a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SourceError
from ..images.camera_model import CameraModel
from ..images.files import read_image, read_thermal
from ..images.frames import THERMAL, VISIBLE, Frame
from ..perception.incoming import Incoming
from .camera_source import FRAME_IDS, as_taken
from .pairs import list_pairs


class FolderSource:
    """Images of ``thermal/`` and ``visible/`` in the order of their names at a nominal frame rate.

    Thermal images are mono8 or, from 16-bit files, mono16; colour ones are turned to gray. Visible images are mono8,
    mono16 or bgr8.
    """

    skipped: Mapping[str, int] = {}
    lateness: Mapping[str, float] = {}

    def __init__(self, folder: Path, fps: float) -> None:
        """List the pairs; raises :class:`SourceError` as :func:`~hkdnet_ros.sources.pairs.list_pairs` does."""
        if not fps > 0:
            raise SourceError(f"frame rate is {fps}; expected more than 0 Hz")
        self.name = str(folder)
        self._pairs = list_pairs(folder)
        self._fps = fps

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        for index, pair in enumerate(self._pairs):
            stamp_ns = round(index * 1e9 / self._fps)
            thermal, encoding = read_thermal(pair.thermal)
            yield THERMAL, Frame(thermal, stamp_ns, FRAME_IDS[THERMAL], encoding)
            visible, encoding = read_image(pair.visible)
            yield VISIBLE, Frame(visible, stamp_ns, FRAME_IDS[VISIBLE], encoding)

    def arrivals(self) -> Iterator[Incoming]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return as_taken(self.events())

    def __len__(self) -> int:
        return len(self._pairs)

    def camera_model(self, stream: str) -> CameraModel | None:
        """Images know none."""
        return None

    def close(self) -> None:
        """Nothing is open."""
