"""Thermal counts, temperatures, gray levels or renderings to [0, 1], by a range that is fixed or follows the scene.

A range taken anew from every frame makes the whole picture jump when a hot object enters. Here it is smoothed over
time, as a first-order low-pass in the time of the stamps, so that the frame rate does not matter. What it covers at
least, and which 8-bit images are taken as they are, stands in :mod:`.thermal_range`.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..images.frames import Frame
from ..options import check_options, option
from .bad_pixels import PixelMender, read_bad_pixels
from .crop import parse_crop
from .log import Log
from .palette import AUTO, PALETTES, PaletteReader
from .thermal_range import FULL_8_BITS, RangeFollower

_log = logging.getLogger(__name__)

# The base of the local contrast, in units of the range: structure much weaker than this is detail, edges stay base.
_EDGE = 0.04
_DETAIL_GAIN = 3.0
_MARGIN = 0.1  # left free at either end of the range for the detail of what the base shows as black or white

WHITE_HOT, BLACK_HOT = "white_hot", "black_hot"


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

    bad_pixels: str = option(
        "",
        "This image file of the thermal image's size names bad pixels, which are always mended: a mask of 8 bits, in "
        "which they are not 0, or a dark frame of 16 bits, out of which they stand; empty for none.",
    )
    crop: str = option(
        AUTO,
        "Rows and columns that are no picture are cut off the thermal image: with auto those of cameras that are known "
        "by the image's size, with none nothing, else TOP,BOTTOM,LEFT,RIGHT in pixels, such as 0,2,0,0.",
    )
    palette: str = option(
        AUTO,
        "A thermal image in colour is a rendering with this palette, which is undone; auto goes by what it looks "
        "like, and gray takes luma.",
        choices=(AUTO, *PALETTES),
        live=True,
    )
    polarity: str = option(
        WHITE_HOT,
        "The thermal camera shows what is hot as white, or as black, which is then turned round.",
        choices=(WHITE_HOT, BLACK_HOT),
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)
        parse_crop(self.crop)
        for low, high, least in (("range_low", "range_high", 0.0), ("percentile_low", "percentile_high", 1e-9)):
            if getattr(self, high) - getattr(self, low) < least:
                raise ConfigError(
                    f"{high} is {getattr(self, high)}, {low} is {getattr(self, low)}; {high} must be the larger"
                )


@dataclass(frozen=True, slots=True)
class Levels:
    """A gray thermal image (H, W), uint8, uint16 or float32, and how its values become [0, 1]."""

    image: NDArray[Any]
    low: float
    """The value that becomes 0, or 1 where that is hot."""
    high: float
    is_black_hot: bool
    local_contrast: float
    """How much weak detail is raised, in [0, 1]."""

    def shown(self) -> NDArray[np.float32]:
        """Return the image as float32 (H, W) in [0, 1], hot as white."""
        image = self._stretched()
        return np.subtract(1, image, out=image) if self.is_black_hot else image

    def _stretched(self) -> NDArray[np.float32]:
        image: NDArray[np.float32]
        if self.image.dtype == np.uint8 and (self.low, self.high) == FULL_8_BITS:
            image = np.divide(self.image, np.float32(255), dtype=np.float32)
            return image
        image = np.subtract(self.image, np.float32(self.low), dtype=np.float32)
        image *= np.float32(1 / max(self.high - self.low, 1e-6))
        if self.local_contrast:
            return raise_local_contrast(image, self.local_contrast)
        return np.clip(image, 0, 1, out=image)


class ThermalConditioner:
    """Conditions the frames of one camera in turn; keeps the range, the palette and the bad pixels between them."""

    def __init__(self, config: ThermalConfig | None = None, log: Log = _log) -> None:
        """Raises :class:`ConfigError` for a file of bad pixels that cannot be read."""
        self._config = config or ThermalConfig()
        self._follower = RangeFollower()
        self._palettes = PaletteReader(log)
        path = self._config.bad_pixels
        self._mender = PixelMender(read_bad_pixels(path, self._config.mend_pixels) if path else None)

    def reconfigure(self, config: ThermalConfig) -> None:
        """Go by ``config`` from the next frame on; range and bad pixels are kept. Any thread may call this.

        A range that follows the scene moves to new percentiles with the time constant. One that was fixed until now
        starts with the scene of the next frame.
        """
        self._config = config

    def begin_anew(self) -> None:
        """Take the range from the next frame alone: the stream's clock has jumped back. Bad pixels are kept."""
        self._follower.begin_anew()
        self._palettes.begin_anew()
        self._mender.begin_anew()

    def show_shutter(self, frame: Frame) -> None:
        """Let an image of a closed shutter show which pixels are bad. Any thread may call this."""
        self._mender.show_shutter(frame)

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the image as float32 (H, W) in [0, 1], hot as white; see :meth:`levels`."""
        return self.levels(frame).shown()

    def levels(self, frame: Frame) -> Levels:
        """Return what the image shows, and of which values.

        Colour becomes 8-bit gray by its palette (:class:`~.palette.PaletteReader`), bad pixels are mended
        (:class:`~.bad_pixels.PixelMender`), values are stretched, and black-hot is turned round.

        Pixels are stretched from the configured range, or from that of the scene (:func:`~.thermal_range.scene_range`),
        which is smoothed (:class:`~.thermal_range.RangeFollower`). For 8 bits the range of a scene is all of them where
        the camera has used them, and a configured one counts if it ends within them. In counts and floats local
        contrast is raised after it (:func:`raise_local_contrast`).

        Raises :class:`ImageError` for NaN or infinite pixels, which :mod:`.intake` mends, and for a file of bad pixels
        of another size.
        """
        config = self._config  # once: another thread may exchange it meanwhile
        frame = self._palettes.to_gray(frame, config.palette)
        if frame.image.dtype.kind == "f":
            finite = np.isfinite(frame.image)
            if not finite.all():
                raise ImageError(f"thermal image has {finite.size - np.count_nonzero(finite)} NaN or infinite pixels")
        if config.mend_pixels or config.bad_pixels:
            frame = dataclasses.replace(frame, image=self._mender.mend(frame, config.mend_pixels))
        low, high = self._range_for(frame, config)
        contrast = 0.0 if frame.image.dtype == np.uint8 else config.local_contrast
        return Levels(frame.image, low, high, config.polarity == BLACK_HOT, contrast)

    def _range_for(self, frame: Frame, config: ThermalConfig) -> tuple[float, float]:
        """Return which values of a gray frame are shown as black and as white."""
        is_fixed = config.range_high > config.range_low
        if is_fixed and not (frame.image.dtype == np.uint8 and config.range_high > FULL_8_BITS[1]):
            self._follower.begin_anew()
            return config.range_low, config.range_high
        percents = config.percentile_low, config.percentile_high
        black_hot = config.polarity == BLACK_HOT
        return self._follower.follow(
            frame.image, frame.encoding, frame.stamp_ns, percents, config.time_constant, black_hot=black_hot
        )


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
