"""By how much the clocks of two cameras differ, from how both turn at once.

The images of cameras that are panned, shaken or driven round a corner move as a whole, those of both in the same way at
the same moment. What moves before cameras that stand still does not tell: heat and light show other parts of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..images.frames import THERMAL, VISIBLE
from ..images.resampling import resample
from ..perception.thermal import ThermalConditioner
from ..sources.camera_source import CameraSource
from .recorded import gray_of

REACH_S = 0.25
"""Offsets up to this are looked for."""

LEAST_LIKENESS = 0.6
"""The velocities of both images correlate at least so at the best offset."""

MOST_SECONDS = 20.0
"""Of a recording, which are looked at."""

LARGEST_INTERVAL_S = 0.01
"""Half of the interval in which the offset lies may be as long as this."""

_WIDTH = 160  # px, of the images whose shifts are measured
_STEP_S = 0.002
_BLOCK_S = 0.5  # of resampling
_DRAWS = 200
_FEWEST_IMAGES = 60

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What is to be added to thermal stamps, in s, where 95 % of resamples lie, and how alike the motions are."""

    offset_s: float
    low_s: float
    high_s: float
    likeness: float


class Motion:
    """How fast the images of one stream move as a whole, each beside the one before."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._velocities: list[tuple[float, float]] = []
        self._last: NDArray[Any] | None = None
        self._window: NDArray[Any] | None = None

    def add(self, stamp_ns: int, gray: NDArray[Any]) -> None:
        """Take the next image of the stream, (H, W) in [0, 1]; one that is not later is passed over."""
        if self._stamps and stamp_ns <= self._stamps[-1]:
            return
        height, width = gray.shape
        small = resample(gray, _WIDTH, max(16, round(height * _WIDTH / width))).astype(np.float32)
        if self._last is not None and self._window is not None and small.shape == self._last.shape:
            (x, y), _ = cv2.phaseCorrelate(self._last, small, self._window)
            seconds = (stamp_ns - self._stamps[-1]) / 1e9
            self._velocities.append((x / seconds, y / seconds))
        elif self._last is not None:
            return  # of another size
        else:
            self._window = cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F)
        self._stamps.append(stamp_ns)
        self._last = small

    @property
    def times(self) -> Array:
        """The middles between images, in s, to which the velocities belong."""
        stamps = np.array(self._stamps, np.float64) / 1e9
        return np.asarray((stamps[1:] + stamps[:-1]) / 2)

    def at(self, times: Array) -> Array:
        """Return the velocities (T, 2) in px/s, their mean taken off."""
        known = np.array(self._velocities)
        found = np.stack([np.interp(times, self.times, known[:, axis]) for axis in (0, 1)], axis=1)
        return np.asarray(found - found.mean(axis=0))


def clock_offset(thermal: Motion, visible: Motion) -> ClockOffset | None:
    """Return the offset between two streams; None where they do not move alike, and where they hardly move.

    Velocities are correlated at every offset; a parabola refines the top. The interval is by bootstrap over blocks of
    half a second.
    """
    if min(len(thermal.times), len(visible.times)) < _FEWEST_IMAGES:
        return None
    start = max(thermal.times[0], visible.times[0]) + REACH_S
    end = min(thermal.times[-1], visible.times[-1]) - REACH_S
    times = visible.times[(visible.times > start) & (visible.times < end)]
    if len(times) < _FEWEST_IMAGES:
        return None
    seen = visible.at(times)
    offsets = np.arange(-REACH_S, REACH_S + _STEP_S / 2, _STEP_S)
    # What is stamped too early by an offset is found so much before.
    felt = np.stack([thermal.at(times - offset) for offset in offsets])
    products = (felt * seen).sum(axis=-1)  # (offsets, T)
    power = np.sqrt((seen**2).sum() * (felt**2).sum(axis=(1, 2)))
    products = np.divide(products, power[:, None], out=np.zeros_like(products), where=power[:, None] > 0)
    likeness = products.sum(axis=1)
    peak = int(likeness.argmax())
    if likeness[peak] < LEAST_LIKENESS or not 0 < peak < len(offsets) - 1:
        return None
    blocks = np.floor((times - times[0]) / _BLOCK_S).astype(np.int64)
    by_block = np.stack([products[:, blocks == block].sum(axis=1) for block in np.unique(blocks)], axis=1)
    drawn = np.random.default_rng(0).integers(0, by_block.shape[1], (_DRAWS, by_block.shape[1]))
    low, high = np.percentile([_top(offsets, by_block[:, some].sum(axis=1)) for some in drawn], (2.5, 97.5))
    return ClockOffset(_top(offsets, likeness), float(low), float(high), float(likeness[peak]))


def measured_offset(source: CameraSource) -> ClockOffset | None:
    """Return the offset between the streams of a recording, by its first 20 s; None where motion does not tell it.

    Images that cannot be used are passed over. Raises errors of the source.
    """
    motions = {THERMAL: Motion(), VISIBLE: Motion()}
    conditioner = ThermalConditioner()
    for stream, frame in source.events():
        if frame.stamp_ns > MOST_SECONDS * 1e9:
            break
        try:
            gray = conditioner.condition(frame) if stream == THERMAL else gray_of(frame)
        except ImageError:
            continue
        motions[stream].add(frame.stamp_ns, gray)
    found = clock_offset(motions[THERMAL], motions[VISIBLE])
    return found if found and (found.high_s - found.low_s) / 2 <= LARGEST_INTERVAL_S else None


def _top(offsets: Array, values: Array) -> float:
    """Return where a parabola about the top of ``values``, a frame wide, has its own."""
    peak = int(values.argmax())
    half = round(0.016 / _STEP_S)
    near = slice(max(0, peak - half), peak + half + 1)
    bend, slope, _ = np.polyfit(offsets[near] - offsets[peak], values[near], 2)
    return float(offsets[peak] + (np.clip(-slope / (2 * bend), -0.016, 0.016) if bend < 0 else 0.0))
