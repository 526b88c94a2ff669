"""A folder of registered image pairs as a camera source, one pair a frame."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SourceError
from ..images.bit_depth import BitDepth
from ..images.camera_model import CameraModel
from ..images.files import read_thermal, read_visible
from ..images.frames import THERMAL, VISIBLE, Frame
from ..perception.incoming import Incoming
from .camera_source import FRAME_IDS, as_taken
from .pairs import PairPaths, match_folders

_log = logging.getLogger(__name__)

_UNREADABLE = "a pair of which a file cannot be read"


class FolderSource:
    """Images of ``thermal/`` and ``visible/`` in the order of their names at a nominal frame rate.

    Thermal images are mono8, mono16 from 16-bit files or 32FC1 from gray floats, or bgr8 where they have colour.
    Visible images are mono8, mono16 or bgr8.
    """

    lateness: Mapping[str, float] = {}

    def __init__(self, folder: Path, fps: float) -> None:
        """List the pairs, and log what is in none.

        Raises :class:`SourceError` as :func:`~hkdnet_ros.sources.pairs.match_folders` does.
        """
        if not fps > 0:
            raise SourceError(f"frame rate is {fps}; expected more than 0 Hz")
        self.name = str(folder)
        matched = match_folders(folder / "thermal", folder / "visible")
        self._pairs = matched.pairs
        self._fps = fps
        self._depth = BitDepth()
        self._unmatched = Counter(matched.problems)
        self._unreadable: set[str] = set()
        for problem in matched.problems:
            _log.warning("left out: %s", problem)

    @property
    def skipped(self) -> Mapping[str, int]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`; files of which none was read are in it."""
        return self._unmatched + Counter({_UNREADABLE: len(self._unreadable)})

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`; a pair that cannot be read is left out.

        Raises :class:`SourceError` where that holds for every pair.
        """
        for index, pair in enumerate(self._pairs):
            try:
                frames = self._read(pair, round(index * 1e9 / self._fps))
            except SourceError as error:
                if pair.name not in self._unreadable:  # and not in each pass over the folder
                    self._unreadable.add(pair.name)
                    _log.warning("left out: %s", error)
                if len(self._unreadable) == len(self._pairs):
                    raise SourceError(f"not one of {len(self._pairs)} pairs can be read: {error}") from error
                continue
            yield from frames

    def _read(self, pair: PairPaths, stamp_ns: int) -> list[tuple[str, Frame]]:
        thermal, encoding = read_thermal(pair.thermal)
        frames = [(THERMAL, Frame(thermal, stamp_ns, FRAME_IDS[THERMAL], encoding))]
        visible, encoding = read_visible(pair.visible, self._depth)
        return [*frames, (VISIBLE, Frame(visible, stamp_ns, FRAME_IDS[VISIBLE], encoding))]

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
