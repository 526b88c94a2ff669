"""Thermal counts, temperatures or gray levels to [0, 1], by a range that is fixed or follows the scene slowly.

A range taken anew from every frame makes the whole picture jump when a hot object enters. Here it is smoothed over
time, as a first-order low-pass in the time of the stamps, so that the frame rate does not matter. What it covers at
least, and which 8-bit images are taken as they are, stands in :mod:`.thermal_range`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..images import color
from ..images.frames import Frame
from ..options import check_options, option
from .thermal_range import FULL_8_BITS, RangeFollower

# The base of the local contrast, in units of the range: structure much weaker than this is detail, edges stay base.
_EDGE = 0.04
_DETAIL_GAIN = 3.0
_MARGIN = 0.1  # left free at either end of the range for the detail of what the base shows as black or white

# A bad pixel is an outlier in at least so many looks: 10 s, in which a target leaves its pixel when anything moves.
_LOOK_PERIOD_NS = 200_000_000
_LOOKS = 50
_NEIGHBOURHOOD = 5  # px; its median ignores clusters of up to 12 bad pixels


@dataclass(frozen=True, slots=True)
class ThermalConfig:
    """How thermal images become [0, 1]; 8-bit ones that use half of their levels do so as the camera sends them."""

    range_low: float = option(
        0.0,
        "This value, in counts or kelvin as the camera sends, is shown as black; if it equals range_high, "
        "the range follows the scene, but is never so narrow that noise is seen.",
        low=-1e9,
        high=1e9,
        live=True,
    )
    range_high: float = option(
        0.0, "This value, in counts or kelvin as the camera sends, is shown as white.", low=-1e9, high=1e9, live=True
    )
    percentile_low: float = option(
        0.5,
        "A range that follows the scene shows this percentile of it as black.",
        unit="%",
        low=0,
        high=100,
        live=True,
    )
    percentile_high: float = option(
        99.5,
        "A range that follows the scene shows this percentile of it as white.",
        unit="%",
        low=0,
        high=100,
        live=True,
    )
    time_constant: float = option(
        2.0,
        "A range that follows the scene covers 63 % of a change in this time; 0 follows at once.",
        unit="s",
        low=0,
        high=3600,
        live=True,
    )
    local_contrast: float = option(
        0.0,
        "Weak detail is shown stronger, three times as strong at 1; 0 leaves it as it is.",
        low=0,
        high=1,
        live=True,
    )
    mend_pixels: float = option(
        0.0,
        "A dead or hot pixel that stands out by this many times the spread around it is mended; 0 mends "
        "none, 8 is usual.",
        low=0,
        high=1000,
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)
        for low, high, least in (("range_low", "range_high", 0.0), ("percentile_low", "percentile_high", 1e-9)):
            if getattr(self, high) - getattr(self, low) < least:
                raise ConfigError(
                    f"{high} is {getattr(self, high)}, {low} is {getattr(self, low)}; {high} must be the larger"
                )


class ThermalConditioner:
    """Conditions the frames of one camera in turn; keeps the range and the bad pixels between them."""

    def __init__(self, config: ThermalConfig | None = None) -> None:
        self._config = config or ThermalConfig()
        self._follower = RangeFollower()
        self._mender = PixelMender()

    def reconfigure(self, config: ThermalConfig) -> None:
        """Go by ``config`` from the next frame on; range and bad pixels are kept. Any thread may call this.

        A range that follows the scene moves to new percentiles with the time constant. One that was fixed until now
        starts with the scene of the next frame.
        """
        self._config = config

    def begin_anew(self) -> None:
        """Take the range from the next frame alone: the stream's clock has jumped back. Bad pixels are kept."""
        self._follower.begin_anew()
        self._mender.begin_anew()

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the image as float32 (H, W) in [0, 1].

        Pixels are stretched from the configured range, or from that of the scene (:func:`~.thermal_range.scene_range`),
        which is smoothed (:class:`~.thermal_range.RangeFollower`). Colour gives its luma. For 8 bits the range of a
        scene is all of them where the camera has used them, and a configured one counts if it ends within them. In
        counts and floats bad pixels are mended before that (:class:`PixelMender`), and local contrast is raised after
        it (:func:`raise_local_contrast`).

        Raises :class:`ImageError` for NaN or infinite pixels.
        """
        config = self._config  # once: another thread may exchange it meanwhile
        if color.is_color(frame.encoding) or frame.image.dtype == np.uint8:
            return self._condition_8_bits(frame, config)
        if frame.image.dtype.kind == "f":
            finite = np.isfinite(frame.image)
            if not finite.all():
                raise ImageError(f"thermal image has {finite.size - np.count_nonzero(finite)} NaN or infinite pixels")
        if config.mend_pixels:
            frame = dataclasses.replace(frame, image=self._mender.mend(frame, config.mend_pixels))
        image = _stretched(frame.image, *self._range_for(frame.image, frame, config))
        if config.local_contrast:
            return raise_local_contrast(image, config.local_contrast)
        return np.clip(image, 0, 1, out=image)

    def _condition_8_bits(self, frame: Frame, config: ThermalConfig) -> NDArray[np.float32]:
        luma = color.luma(frame.image, frame.encoding)
        low, high = self._range_for(luma, frame, config)
        if (low, high) == FULL_8_BITS:
            image: NDArray[np.float32] = np.divide(luma, np.float32(255), dtype=np.float32)
            return image
        image = _stretched(luma, low, high)
        return np.clip(image, 0, 1, out=image)

    def _range_for(self, image: NDArray[Any], frame: Frame, config: ThermalConfig) -> tuple[float, float]:
        """Return which values of ``image``, that of ``frame``, are shown as black and as white."""
        is_fixed = config.range_high > config.range_low
        if is_fixed and not (image.dtype == np.uint8 and config.range_high > FULL_8_BITS[1]):
            self._follower.begin_anew()
            return config.range_low, config.range_high
        percents = config.percentile_low, config.percentile_high
        return self._follower.follow(image, frame.encoding, frame.stamp_ns, percents, config.time_constant)


def _stretched(image: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Return ``image`` with ``low`` as 0 and ``high`` as 1, and what lies beyond them beyond these."""
    stretched: NDArray[np.float32] = np.subtract(image, np.float32(low), dtype=np.float32)
    stretched *= np.float32(1 / max(high - low, 1e-6))
    return stretched


def raise_local_contrast(image: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Return ``image`` in [0, 1] with its weak detail, noise included, made stronger; beyond the range it shows again.

    ``image`` is float32 (H, W), stretched so that the range is [0, 1] but not clipped to it. ``strength`` blends from
    the clipped image (0) to the one with three times the detail (1).

    The detail is what the image guided by itself loses (He, Sun, Tang, "Guided Image Filtering", 2010; OpenCV has it in
    its contrib modules only). Beside an edge of any height this overshoots by less than 0.04: no halo. A pixel depends
    on its surroundings in this frame only, by fixed rules, so that nothing flickers or fades when a hot object enters;
    with OpenCV's CLAHE a tile's whole background does.
    """
    image = np.clip(image, -1, 2)  # what lies further out has no detail, only squares that overflow
    radius = max(2, min(image.shape) // 64)
    size = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(image, size)
    variance = np.maximum(cv2.blur(image * image, size) - mean * mean, 0)
    edge = variance / (variance + _EDGE**2)  # 1 at edges, 0 in smooth places
    base = cv2.blur(edge, size) * image + cv2.blur(mean - edge * mean, size)
    detail = image - base
    strong = _MARGIN + (1 - 2 * _MARGIN) * np.clip(base, 0, 1) + _DETAIL_GAIN * detail
    clipped = np.clip(image, 0, 1, out=image)
    blended: NDArray[np.float32] = clipped + np.float32(strength) * (np.clip(strong, 0, 1) - clipped)
    return blended


class PixelMender:
    """Replaces the dead and hot pixels of one sensor, once it has learnt which they are.

    One frame does not tell a hot pixel from a small target far away, and mending that would erase the target. When the
    scene moves, though, the target leaves its pixel and a bad pixel stays. So a pixel is looked at several times a
    second and a look counts only if what surrounds the pixel has changed since the last that counted: a camera that
    stands still learns nothing about a target that stands still. Looks as an outlier count up, looks as a good pixel
    down; a pixel that gets to 50 is bad until it is back at 0, so that a pixel that goes bad later is found too.
    """

    def __init__(self) -> None:
        self._encoding = ""
        self._looked_ns: int | None = None  # stamp of the last look
        self._surroundings: NDArray[Any] = np.empty((0, 0))  # of the last look that counted
        self._score: NDArray[np.int16] = np.empty((0, 0), np.int16)
        self._is_bad: NDArray[np.bool_] = np.empty((0, 0), np.bool_)
        self._bad: tuple[NDArray[np.intp], ...] = ()  # indices of the pixels where _is_bad

    def begin_anew(self) -> None:
        """Look at the next frame whatever its stamp: the stream's clock has jumped back."""
        self._looked_ns = None

    def mend(self, frame: Frame, threshold: float) -> NDArray[Any]:
        """Return the image with bad pixels replaced by the median of the 5x5 around them; itself where none are.

        The image is uint16 or float32 (H, W). An outlier differs from the median of the 5x5 around it by more than
        ``threshold`` times the spread there, the median of such differences.
        """
        image: NDArray[Any] = frame.image
        if image.shape != self._score.shape or frame.encoding != self._encoding:
            self._encoding = frame.encoding
            self._surroundings = cv2.medianBlur(image, _NEIGHBOURHOOD)
            self._score = np.zeros(image.shape, np.int16)
            self._is_bad = np.zeros(image.shape, np.bool_)
            self._bad = self._is_bad.nonzero()
            self._looked_ns = frame.stamp_ns
        if self._looked_ns is None or not 0 <= frame.stamp_ns - self._looked_ns < _LOOK_PERIOD_NS:
            self._look(image, threshold)
            self._looked_ns = frame.stamp_ns
        if not self._bad[0].size:
            return image
        mended: NDArray[Any] = image.copy()
        mended[self._bad] = cv2.medianBlur(image, _NEIGHBOURHOOD)[self._bad]
        return mended

    def _look(self, image: NDArray[Any], threshold: float) -> None:
        median = cv2.medianBlur(image, _NEIGHBOURHOOD)
        difference = cv2.absdiff(image, median)
        spread = cv2.medianBlur(difference, _NEIGHBOURHOOD).astype(np.float32)
        # Where few pixels vary, the spread of the others stands for the noise; a count is the least there is of it.
        least = max(float(np.median(spread[::4, ::4])), 0.0 if image.dtype.kind == "f" else 1.0)
        limit = np.float32(threshold) * np.maximum(spread, np.float32(least))
        moved = cv2.absdiff(median, self._surroundings) > limit
        self._surroundings[moved] = median[moved]
        step = np.where(difference > limit, 1, -1)
        self._score[moved] = np.clip(self._score[moved] + step[moved], 0, _LOOKS)
        self._is_bad = (self._score == _LOOKS) | (self._is_bad & (self._score > 0))
        self._bad = self._is_bad.nonzero()
