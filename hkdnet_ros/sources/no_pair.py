"""Why nothing of a recording was paired: one cause and one remedy, told by stamps and times of recording."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..images.frames import THERMAL, VISIBLE
from .camera_source import CameraSource

OPTIONS = "`hkdnet pairs` has options to mend that"
"""The remedy where what is called has none itself."""

_DIFFERENT = 0.9  # of the images of a stream bear stamps of their own, or that is said
_MOST = 0.9  # of the images of the slower stream are to be paired by the slop that is proposed


class Cause(NamedTuple):
    """What was found, and what mends it; each a clause."""

    what: str
    remedy: str


class StreamWatch:
    """Takes note of every stamp of a reading; ``thermal_offset``, in seconds, is in the thermal ones already."""

    def __init__(self, thermal_offset: float = 0.0) -> None:
        self._thermal_offset = thermal_offset
        self._stamps: dict[str, list[int]] = {THERMAL: [], VISIBLE: []}

    def __call__(self, stream: str, stamp_ns: int) -> None:
        """Take note of an image that could be used."""
        self._stamps[stream].append(stamp_ns)

    def remarks(self) -> list[str]:
        """Return a sentence about each stream many of whose images bear the stamp of another one: one of each pairs."""
        counts = {stream: (len(stamps), len(set(stamps))) for stream, stamps in self._stamps.items()}
        return [
            f"{count} {stream} images bear {different} different stamps, and one of each is paired; let the {stream} "
            "driver stamp its images to the nanosecond"
            for stream, (count, different) in counts.items()
            if different < _DIFFERENT * count
        ]

    def error(self, source: CameraSource, slop: float, remedy: str = "") -> SourceError:
        """Return what to raise where nothing of ``source`` was paired, with another ``remedy`` where one is given."""
        cause = self.cause(slop, source.skipped, source.lateness)
        return SourceError(f"{source.name}: no pair within {slop:g} s: {cause.what}; {remedy or cause.remedy}")

    def cause(self, slop: float, skipped: Mapping[str, int], lateness: Mapping[str, float]) -> Cause:
        """Return why no two images lie within ``slop`` seconds.

        ``skipped`` and ``lateness`` are the source's (:class:`~hkdnet_ros.sources.camera_source.CameraSource`).
        """
        stamps = {stream: np.unique(own) / 1e9 for stream, own in self._stamps.items()}
        counts = " and ".join(f"{len(own)} {stream}" for stream, own in self._stamps.items())
        left_out = "; ".join(f"{count} skipped, {reason}" for reason, count in skipped.items())
        counts = f"{counts} images could be used{f' ({left_out})' if left_out else ''}"
        for stream, own in stamps.items():
            if not len(own):
                seen = any(reason.startswith(f"{stream}:") for reason in skipped)
                return Cause(counts, f"record {stream} images in an encoding of docs/encodings.md" if seen else
                             f"check that the {stream} camera was recorded")  # fmt: skip
            if len(own) == 1 and len(self._stamps[stream]) > 1:
                return Cause(
                    f"{counts}, and all {stream} ones bear one stamp", f"let the {stream} driver stamp its images"
                )
        thermal, visible = stamps[THERMAL], stamps[VISIBLE]
        # What is to be added to thermal stamps so that images recorded at one moment bear one stamp.
        missing = lateness.get(THERMAL, 0.0) - lateness.get(VISIBLE, 0.0)
        offset = missing + self._thermal_offset
        if (apart := _apart(thermal, visible)) > slop:
            if abs(missing) > slop and _apart(thermal + missing, visible) <= slop:
                return Cause(
                    f"{counts}, recorded at the same time but by stamps {apart:.3f} s apart: the clocks differ",
                    f"--thermal-offset {offset:.3f} adds what they differ by, as far as the times of recording tell",
                )
            first, second = (THERMAL, VISIBLE) if thermal[-1] < visible[0] else (VISIBLE, THERMAL)
            return Cause(
                f"{counts}, and the last {first} image was taken {apart:.3f} s before the first {second} one",
                "record both cameras at the same time",
            )
        skews = _nearest_skews(thermal, visible)
        smallest = float(skews[np.argmin(np.abs(skews))])
        with_skew = f"{counts}, and the smallest skew is {smallest:+.3f} s"
        if abs(missing) > slop and abs(smallest + missing) <= slop:
            return Cause(
                f"{with_skew}, though images were recorded together: the clocks differ, or one stream comes late",
                f"--thermal-offset {offset:.3f} puts the stamps together if it is the clocks",
            )
        proposed = math.ceil(np.quantile(np.abs(skews), _MOST) * 1000 + 0.1) / 1000
        rates = ", ".join(f"{stream} {rate:.1f} Hz" for stream, own in stamps.items() if (rate := _rate(own)))
        if proposed <= 0.6 / max(_rate(thermal), _rate(visible), 1e-9):
            return Cause(
                f"{with_skew}: the cameras are not triggered together ({rates})",
                f"--slop {proposed:g} pairs them, if what they see moves little in that time",
            )
        return Cause(f"{with_skew}: the cameras were never on at the same time ({rates})", "record both at once")


def _apart(thermal: NDArray[np.float64], visible: NDArray[np.float64]) -> float:
    """Return the seconds between two streams that do not overlap, below 0 where they do."""
    return float(max(thermal[0] - visible[-1], visible[0] - thermal[-1]))


def _nearest_skews(thermal: NDArray[np.float64], visible: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each image of the slower stream the skew, thermal minus visible, to the nearest of the other."""
    slower, faster, sign = (thermal, visible, 1.0) if len(thermal) <= len(visible) else (visible, thermal, -1.0)
    after = np.searchsorted(faster, slower).clip(1, max(len(faster) - 1, 1))
    candidates = np.stack([slower - faster[after - 1], slower - faster[after.clip(max=len(faster) - 1)]])
    nearest = np.abs(candidates).argmin(axis=0)
    skews: NDArray[np.float64] = sign * np.take_along_axis(candidates, nearest[None], axis=0)[0]
    return skews


def _rate(stamps: NDArray[np.float64]) -> float:
    """Return a stream's rate in Hz; 0 where it has one image."""
    return float(1.0 / np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
