"""Dead, hot and flickering pixels of a thermal sensor: which they are, and what stands in their place.

One image does not tell a hot pixel from a small target far away, and mending that would erase the target. A pixel is
bad where a file says so, where it is stuck at 0 or at full scale, where it stands out of the image of a closed shutter,
or where it stands out again and again while the scene moves behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError, SourceError
from ..images.files import read_image
from ..images.frames import Frame
from .scene_motion import SceneMotion

_NEIGHBOURHOOD = 5  # px; a bad pixel is seen against its median and replaced by it
_CLUSTER = 4  # outliers in a neighbourhood; more are a thing of the scene, of 5 is a line
_LOOK_PERIOD_NS = 190_000_000  # 5 Hz, also where stamps jitter

# A look in which the scene has moved counts for or against a pixel: 25 in a row make it bad, which is 5 s, and a pixel
# that stands out in half of them takes 15 s. A bad pixel is good again after 75 looks as one.
_FOR, _AGAINST, _BAD = 4, 1, 80

_FULL_SCALES = (255, 4095, 16383, 65535)  # of 8, 12, 14 and 16 bits
_DEAD = 12  # pixels at 0 in a neighbourhood; more are a border without data
_LINE = 0.95  # of a row or column that is stuck
_SPILL = 0.05  # of what a target stands out by, optics spread at least this to the pixels beside it

_MOST_IN_MASK = 0.25  # of the pixels

_ROUGH = 0.005  # share of the pixels by which an image of nothing may have structure
_SHUTTER_NS = 5_000_000_000  # the longest time behind the shutter
_SAME = 0.9  # of the pixels are as before, where a camera at rest had its shutter closed,
_AWAY = 0.5  # and of so many it showed something else meanwhile


def read_bad_pixels(path: str | Path, threshold: float) -> NDArray[np.bool_]:
    """Return which pixels a file says are bad, (H, W).

    An 8-bit image is a mask, in which bad pixels are not 0. One of 16 bits or of floats is a dark frame: the image of a
    closed shutter or of anything uniform, out of which bad pixels stand by ``threshold`` times the spread, as in
    :class:`PixelMender`.

    Raises :class:`ConfigError` where the file cannot be read, and for a mask of more than a quarter of the pixels:
    that is an inverted one, or a picture.
    """
    try:
        image, encoding = read_image(path)
    except SourceError as error:
        raise ConfigError(f"bad_pixels: {error}; expected an image of the thermal camera's size") from error
    if encoding in ("mono16", "32FC1"):
        return _Outliers(image, threshold or 8.0).isolated
    is_bad = np.asarray(image.any(axis=2) if image.ndim == 3 else image, bool)
    if is_bad.mean() > _MOST_IN_MASK:
        raise ConfigError(
            f"bad_pixels: {path} is a mask in which {is_bad.mean():.0%} of the pixels are not 0, as bad ones are; "
            "expected few: turn it round if good ones are not 0, or give a dark frame in 16 bits"
        )
    return is_bad


def check_shape(known: NDArray[np.bool_] | None, image: NDArray[Any]) -> None:
    """Raise :class:`ImageError` where ``known`` bad pixels are those of another size than ``image`` (H, W, ...) has."""
    shape = image.shape[:2]
    if known is not None and known.shape != shape:
        raise ImageError(
            f"thermal.bad_pixels is a file of {known.shape[1]}x{known.shape[0]} pixels, but the thermal image has "
            f"{shape[1]}x{shape[0]}; expected the same, after thermal.crop"
        )


class PixelMender:
    """Replaces the bad pixels of one sensor, once it has learnt which they are."""

    def __init__(self, known: NDArray[np.bool_] | None = None) -> None:
        """``known`` (H, W) are bad pixels whatever they look like."""
        self._known = known
        self._encoding = ""
        self._score: NDArray[np.int16] = np.empty((0, 0), np.int16)
        self._is_bad: NDArray[np.bool_] = np.empty((0, 0), np.bool_)
        self._bad: NDArray[np.intp] = np.empty(0, np.intp)  # flat indices of the pixels where _is_bad
        self._noise = 0.0
        self._motion = SceneMotion()
        self._looked_ns: int | None = None  # stamp of the last look
        self._surroundings: NDArray[Any] = np.empty((0, 0))  # of each pixel, when a look last counted for it
        self._before: NDArray[Any] | None = None  # the last scene that was one, and its stamp
        self._before_ns = 0
        self._in_nothing: NDArray[np.bool_] | None = None  # outliers of all images of nothing since then
        self._nothing: NDArray[Any] = np.empty((0, 0))  # the last of these
        self._shutter: Frame | None = None

    def begin_anew(self) -> None:
        """Look at the next frame whatever its stamp: the stream's clock has jumped back."""
        self._looked_ns = None
        self._in_nothing = None

    def show_shutter(self, frame: Frame) -> None:
        """Take an image that is known to be of a closed shutter. Any thread may call this."""
        self._shutter = frame

    def mend(self, frame: Frame, threshold: float) -> NDArray[Any]:
        """Return the image with bad pixels replaced by the median of the good ones around; itself where none are.

        The image is uint8, uint16 or float32 (H, W). An outlier differs from the median of the 5x5 around it by more
        than ``threshold`` times the spread there, the median of such differences. With 0 only known pixels are mended.
        Raises :class:`ImageError` where these are known for another size.
        """
        image: NDArray[Any] = frame.image
        if image.shape != self._score.shape or frame.encoding != self._encoding:
            self._begin(frame)
        stuck = np.empty(0, np.intp)
        if threshold:
            shutter, self._shutter = self._shutter, None
            if shutter is not None and shutter.image.shape == image.shape and shutter.encoding == frame.encoding:
                outliers = _Outliers(shutter.image, threshold)
                if outliers.is_nothing:
                    self._learn(outliers.isolated)
            if self._looked_ns is None or not 0 <= frame.stamp_ns - self._looked_ns < _LOOK_PERIOD_NS:
                self._look(image, frame.stamp_ns, threshold)
                self._looked_ns = frame.stamp_ns
            stuck = _stuck(image, threshold, self._noise)
        bad = self._bad if not stuck.size else np.union1d(self._bad, stuck)
        return replaced(image, bad) if bad.size else image

    def _begin(self, frame: Frame) -> None:
        """Begin with a sensor of which nothing is known but the file."""
        shape = frame.image.shape
        check_shape(self._known, frame.image)
        self._encoding = frame.encoding
        self._score = np.zeros(shape, np.int16)
        image: NDArray[Any] = frame.image
        self._surroundings = cv2.medianBlur(image, _NEIGHBOURHOOD)
        self._motion = SceneMotion()
        self._looked_ns = self._before = self._in_nothing = None
        self._settle()

    def _look(self, image: NDArray[Any], stamp_ns: int, threshold: float) -> None:
        outliers = _Outliers(image, threshold)
        self._noise = outliers.noise
        if self._is_shutter_over(outliers, stamp_ns):
            assert self._in_nothing is not None
            self._learn(self._in_nothing)
            self._in_nothing = None
        if outliers.is_nothing:
            return  # in which nothing moves that could be told from noise
        counts = cv2.absdiff(outliers.median, self._surroundings) > outliers.limit
        if self._motion.has_moved(outliers.median, stamp_ns):
            counts[:] = True
        self._surroundings[counts] = outliers.median[counts]
        step = np.where(outliers.isolated, np.int16(_FOR), np.int16(-_AGAINST))
        self._score[counts] = np.clip(self._score[counts] + step[counts], 0, _BAD)
        self._settle()

    def _is_shutter_over(self, outliers: _Outliers, stamp_ns: int) -> bool:
        """Follow the shutter of a camera at rest; return whether it has opened on the scene before it closed.

        Cameras that do not say so send an image of nothing meanwhile. That the same scene is there again tells it from
        a sky, and that all of it was away from a wall that somebody walked by: a target in these is no bad pixel.
        """
        if outliers.is_nothing:
            so_far, self._nothing = self._in_nothing, outliers.median
            self._in_nothing = outliers.isolated if so_far is None else so_far & outliers.isolated
            return False
        before, self._before = self._before, outliers.median
        elapsed_ns, self._before_ns = stamp_ns - self._before_ns, stamp_ns
        is_over = (
            self._in_nothing is not None
            and before is not None
            and 0 <= elapsed_ns <= _SHUTTER_NS
            and np.mean(cv2.absdiff(before, outliers.median) <= outliers.limit) >= _SAME
            and np.mean(cv2.absdiff(before, self._nothing) > outliers.limit) >= _AWAY
        )
        if not is_over:
            self._in_nothing = None
        return bool(is_over)

    def _learn(self, is_bad: NDArray[np.bool_]) -> None:
        self._score[is_bad] = _BAD
        self._settle()

    def _settle(self) -> None:
        is_bad = self._score == _BAD
        if self._is_bad.shape == is_bad.shape:
            is_bad |= self._is_bad & (self._score > 0)
        self._is_bad = is_bad
        every = is_bad if self._known is None else is_bad | self._known
        self._bad = np.flatnonzero(every)


class _Outliers:
    """Which pixels of an image stand out of their neighbourhood."""

    def __init__(self, image: NDArray[Any], threshold: float) -> None:
        self.median = cv2.medianBlur(image, _NEIGHBOURHOOD)
        difference = cv2.absdiff(image, self.median)
        spread = cv2.medianBlur(difference, _NEIGHBOURHOOD).astype(np.float32)
        # Where few pixels vary, the spread of the others stands for the noise; a count is the least there is of it.
        self.noise = max(float(np.median(spread[::4, ::4])), 0.0 if image.dtype.kind == "f" else 1.0)
        self.limit = np.float32(threshold) * np.maximum(spread, np.float32(self.noise))
        stands_out = difference > self.limit
        self.isolated: NDArray[np.bool_] = stands_out & (_count_around(stands_out) <= _CLUSTER)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing but noise and a smooth shading is in the image."""
        smooth = cv2.blur(self.median, (15, 15), borderType=cv2.BORDER_REFLECT)
        return float(np.mean(cv2.absdiff(self.median, smooth) > 4 * self.noise)) < _ROUGH


def _count_around(mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return how many pixels of ``mask`` are in the 5x5 around each; what reaches the border goes on behind it."""
    return cv2.boxFilter(mask.view(np.uint8), cv2.CV_8U, (_NEIGHBOURHOOD, _NEIGHBOURHOOD), normalize=False)


def _lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the single rows and columns that are in ``mask`` from one side to the other."""
    found = np.zeros(mask.shape, np.bool_)
    for axis in (0, 1):
        is_full = np.pad(mask.mean(axis=1 - axis) >= _LINE, 1)
        is_alone = is_full[1:-1] & ~is_full[:-2] & ~is_full[2:]
        found |= is_alone[:, None] if axis == 0 else is_alone
    return found


def _stuck(image: NDArray[Any], threshold: float, noise: float) -> NDArray[np.intp]:
    """Return the flat indices of pixels stuck at 0 or at full scale, and of rows and columns that are.

    They are known at once: a target so far out of its surroundings would be seen in the pixels beside it as well, as no
    optics are that sharp. Of counts and kelvin nothing in a scene is 0, so that these may be more beside each other.
    """
    low, high = cv2.minMaxLoc(image)[:2]
    nowhere = np.empty(0, np.intp)
    if low == high or (low != 0 and high not in _FULL_SCALES):
        return nowhere
    at_end = np.zeros(image.shape, np.bool_)
    may_be = np.zeros(image.shape, np.bool_)
    for end, cluster in ((0, _CLUSTER if image.dtype == np.uint8 else _DEAD), (high, _CLUSTER)):
        if end == low or (end == high and high in _FULL_SCALES):
            here = image == end
            at_end |= here
            may_be |= here & (_count_around(here) <= cluster)
    candidates = np.flatnonzero(may_be | at_end & _lines(at_end))
    if not candidates.size:
        return candidates
    around, is_good = _around(image, candidates, at_end.ravel())
    middle = _medians(around, is_good)[:, None]
    difference = image.ravel()[candidates].astype(np.float64) - middle[:, 0]
    spread = np.maximum(_medians(np.abs(around - middle), is_good), noise)
    beside = (around - middle)[:, _BESIDE] * is_good[:, _BESIDE] * np.sign(difference)[:, None]
    at_rim = is_good[:, _BESIDE].sum(axis=1)
    spill = beside.sum(axis=1) / np.maximum(at_rim, 1)
    size_of_it = np.abs(difference)
    stands_out = size_of_it > threshold * spread
    is_stuck: NDArray[np.bool_] = stands_out & (spill < _SPILL * size_of_it + spread) & (at_rim > 0)
    if not at_rim.all():  # inside a patch it is what its rim is
        stuck = np.zeros(image.shape, np.bool_)
        stuck.ravel()[candidates[is_stuck]] = True
        values, is_inside = _around(stuck, candidates, np.zeros(image.size, np.bool_))
        is_stuck |= stands_out & (at_rim == 0) & (values.astype(bool) | ~is_inside)[:, _BESIDE].all(axis=1)
    return candidates[is_stuck]


def replaced(image: NDArray[Any], bad: NDArray[np.intp]) -> NDArray[Any]:
    """Return a copy of ``image`` (H, W) in which the pixels of flat indices ``bad`` have the median of those around.

    Those around are the good ones of the 5x5; where there is none, as in the middle of a large patch, the nearest that
    were replaced before it.
    """
    mended: NDArray[Any] = image.copy()
    is_bad = np.zeros(image.size, np.bool_)
    is_bad[bad] = True
    while bad.size:
        around, is_good = _around(mended, bad, is_bad)
        reached = is_good.any(axis=1)
        if not reached.any():
            break  # not one pixel of the image is good
        now = bad[reached]
        medians = _medians(around[reached], is_good[reached])
        mended.ravel()[now] = medians if image.dtype.kind == "f" else np.rint(medians)
        is_bad[now] = False
        bad = bad[~reached]
    return mended


_REACH = np.arange(_NEIGHBOURHOOD) - _NEIGHBOURHOOD // 2
_ROWS, _COLUMNS = (offsets.ravel() for offsets in np.meshgrid(_REACH, _REACH, indexing="ij"))
_BESIDE = np.flatnonzero(np.abs(_ROWS) + np.abs(_COLUMNS) == 1)


def _around(
    image: NDArray[Any], indices: NDArray[np.intp], is_bad: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the pixels of the 5x5 around each flat index, (N, 25), and which of them are there and not bad."""
    height, width = image.shape
    rows = (indices // width)[:, None] + _ROWS
    columns = (indices % width)[:, None] + _COLUMNS
    is_inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = np.where(is_inside, rows * width + columns, 0)
    return image.ravel()[flat].astype(np.float64), is_inside & ~is_bad[flat]


def _medians(values: NDArray[np.float64], is_good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the median of the good values of each row; infinite where none is good."""
    ordered = np.sort(np.where(is_good, values, np.inf), axis=1)
    rows, count = np.arange(len(ordered)), is_good.sum(axis=1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    chosen: NDArray[np.float64] = (ordered[rows, low] + ordered[rows, high]) / 2
    return chosen
