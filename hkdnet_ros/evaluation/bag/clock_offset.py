"""By how much the two cameras' clocks differ, told from what moves in both images at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...parabola import vertex

REACH_S = 0.5
"""Offsets up to this are looked for."""

LEAST_LIKENESS = 0.7
"""A window counts whose motion is as alike as this, by correlation, at the best offset."""

FEWEST = 3
_STEP_S = 0.005
_SLOW_S = 1.0  # motion that changes more slowly than this is taken out: exposure, day and night
_SHORTEST_S, _LONGEST_S, _WINDOWS = 1.0, 10.0, 8
_DRAWS = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Thermal minus visible stamp of one moment, in s: the median over windows, and where 95 % of resamples lie."""

    offset_s: float
    low_s: float
    high_s: float
    windows: int
    windows_in_all: int


def clock_offset(thermal: tuple[Array, Array], visible: tuple[Array, Array]) -> ClockOffset | None:
    """Return the offset between two streams, each given as stamps in s, rising, and motion at them.

    Motion at an image is its mean change from the one before. In windows of 1 to 10 s the two are brought to one grid
    and correlated at every offset; the interval is by bootstrap over windows. None where fewer than three windows show
    the same motion in both: a scene that stands still says nothing.
    """
    streams = [_between(*stream) for stream in (thermal, visible)]
    if min(len(times) for times, _ in streams) < 10:
        return None
    start = max(times[0] for times, _ in streams)
    end = min(times[-1] for times, _ in streams)
    length = min(max((end - start) / _WINDOWS, _SHORTEST_S), _LONGEST_S)
    count = int((end - start - 2 * REACH_S) // length)
    found = []
    for number in range(count):
        begin = start + REACH_S + number * length
        offset = _best(streams[0], streams[1], begin, begin + length)
        if offset is not None:
            found.append(offset)
    if len(found) < FEWEST:
        return None
    offsets = np.array(found)
    draws = np.random.default_rng(0).integers(0, len(offsets), (_DRAWS, len(offsets)))
    low, high = np.percentile(np.median(offsets[draws], axis=1), (2.5, 97.5))
    return ClockOffset(float(np.median(offsets)), float(low), float(high), len(found), count)


def _between(stamps: Array, motion: Array) -> tuple[Array, Array]:
    """Return motion at the middles between images, where it belongs; what is not known is left out."""
    middles = (stamps[1:] + stamps[:-1]) / 2
    known = np.isfinite(motion[1:]) & (np.diff(stamps) > 0)
    return middles[known], motion[1:][known]


def _best(thermal: tuple[Array, Array], visible: tuple[Array, Array], begin: float, end: float) -> float | None:
    steps = round(REACH_S / _STEP_S)
    grid = np.arange(begin, end, _STEP_S)
    wide = np.arange(begin - REACH_S, end + REACH_S - _STEP_S / 2, _STEP_S)
    for times, _ in (thermal, visible):
        inside = (times >= begin) & (times <= end)
        if inside.sum() < 8 or np.diff(times[inside]).max(initial=0.0) > REACH_S:
            return None  # a gap looks like stillness
    still = _quick(np.interp(grid, *visible))
    moving = _quick(np.interp(wide, *thermal))
    if still.std() == 0:
        return None
    pieces = np.lib.stride_tricks.sliding_window_view(moving, len(still))[: 2 * steps + 1]
    centred = pieces - pieces.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(still - still.mean())
    likeness = np.divide(centred @ (still - still.mean()), norms, out=np.zeros(len(norms)), where=norms > 0)
    peak = int(likeness.argmax())
    if likeness[peak] < LEAST_LIKENESS or not 0 < peak < len(likeness) - 1:
        return None
    return (peak - steps + vertex(likeness, peak)) * _STEP_S


def _quick(values: Array) -> Array:
    """Return what changes within about a second."""
    width = round(_SLOW_S / _STEP_S)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return values - np.convolve(padded, np.full(width, 1 / width), mode="valid")
