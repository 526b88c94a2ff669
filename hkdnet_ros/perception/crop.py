"""Rows and columns of a thermal image that are no picture: telemetry, counters, a second image below the first.

Many thermal cameras send them in the image. They stretch the range to a white veil, and as a counter runs on, an image
that is frozen never repeats. They are cut off before anything else is done (:mod:`.intake`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..images import color
from ..images.frames import Frame
from .log import Log

AUTO, NONE = "auto", "none"

_log = logging.getLogger(__name__)

_STANDS_OUT = 4.0  # times as different from their neighbours as rows of the picture are


@dataclass(frozen=True, slots=True)
class Margins:
    """Rows and columns to cut off."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __str__(self) -> str:
        sides = ("top", self.top, "row"), ("bottom", self.bottom, "row"), ("left", self.left, "column")
        every = (*sides, ("right", self.right, "column"))
        return ", ".join(f"{n} {word}{'s' * (n > 1)} at the {side}" for side, n, word in every if n)


# Rows of telemetry at one end, the top or the bottom as the camera is set: (width, height) -> rows and whose they are.
# Sources: FLIR Lepton Engineering Datasheet 500-0659-00-09, VoSPI frames (3 lines of 80 words, or 4 segments of one
# packet of 80); flirpy for the Boson; ht301_hacklib for 384x292. The others are of the same makes by what users report,
# which the look at the rows makes up for.
_TELEMETRY = {
    (80, 63): (3, "FLIR Lepton"),
    (160, 122): (2, "FLIR Lepton"),
    (320, 258): (2, "FLIR Boson"),
    (640, 514): (2, "FLIR Boson"),
    (160, 129): (1, "FLIR Tau 2"),
    (320, 257): (1, "FLIR Tau 2"),
    (324, 257): (1, "FLIR Tau 2"),
    (336, 257): (1, "FLIR Tau 2"),
    (640, 513): (1, "FLIR Tau 2"),
    (256, 196): (4, "InfiRay"),
    (384, 292): (4, "InfiRay"),
    (640, 516): (4, "InfiRay"),
}

# What is no picture at fixed places, as libseek-thermal cuts it.
_FIXED = {
    (208, 156): (Margins(1, 1, 0, 1), "Seek Compact"),
    (342, 260): (Margins(4, 16, 1, 21), "Seek Compact Pro"),
}

# Two images below each other, the rendering above and the counts below (InfiRay P2, Topdon TC001): 16-bit ones are
# taken by their counts, others by their rendering, for 16-bit counts read as 8 bits are noise.
_DOUBLE = {(256, 384): "InfiRay P2 or Topdon TC001"}


def parse_crop(text: str) -> Margins | None:
    """Return what the parameter ``thermal.crop`` says: margins, none of them for "none", None for "auto".

    Raises :class:`ConfigError` for anything else.
    """
    if text == AUTO:
        return None
    if text == NONE:
        return Margins()
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) == 4 and all(number.isdecimal() for number in numbers):
        return Margins(*map(int, numbers))
    raise ConfigError(f"crop is {text!r}; expected auto, none, or TOP,BOTTOM,LEFT,RIGHT in pixels, such as 0,2,0,0")


class Cropper:
    """Cuts margins off the thermal images of one camera; says once what it found."""

    def __init__(self, crop: str = AUTO, log: Log = _log) -> None:
        """``crop`` as for :func:`parse_crop`."""
        self._given = parse_crop(crop)
        self._log = log
        self._found: dict[tuple[int, int, str], Margins] = {}  # by width, height, scalar type

    def crop(self, frame: Frame) -> Frame:
        """Return ``frame`` without its margins, a view; itself where it has none.

        Raises :class:`ImageError` where the margins leave nothing.
        """
        margins = self.margins(frame)
        if margins == Margins():
            return frame
        height, width = frame.image.shape[:2]
        rows = slice(margins.top, height - margins.bottom)
        columns = slice(margins.left, width - margins.right)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise ImageError(f"thermal image of {width}x{height} has nothing left without {margins}; set thermal.crop")
        return Frame(frame.image[rows, columns], frame.stamp_ns, frame.frame_id, frame.encoding)

    def margins(self, frame: Frame) -> Margins:
        """Return what :meth:`crop` cuts off ``frame``."""
        if self._given is not None:
            return self._given
        height, width = frame.image.shape[:2]
        key = width, height, frame.image.dtype.char
        margins = self._found.get(key)
        if margins is None:
            margins, camera = _known(frame)
            if margins == Margins():
                return margins  # asked again: telemetry that looks like the picture beside it now may not do so later
            self._found[key] = margins
            rest = f"{width - margins.left - margins.right}x{height - margins.top - margins.bottom}"
            self._log.warning(
                f"thermal images of {width}x{height} are those of {camera}, {margins} of which are no picture; cut to "
                f"{rest} (thermal.crop: none keeps them)"
            )
        return margins


def _known(frame: Frame) -> tuple[Margins, str]:
    """Return the margins of a size that a known camera sends, and its name; no margins for any other size."""
    height, width = frame.image.shape[:2]
    size = width, height
    if size in _DOUBLE:
        half = height // 2
        is_counts = frame.image.dtype.itemsize > 1
        return (Margins(top=half) if is_counts else Margins(bottom=half)), _DOUBLE[size]
    if size in _FIXED:
        return _FIXED[size]
    if size in _TELEMETRY:
        rows, camera = _TELEMETRY[size]
        image = frame.image if frame.image.ndim == 2 else color.luma(frame.image, frame.encoding)
        top, bottom = _difference(image, rows), _difference(image[::-1], rows)
        if max(top, bottom) >= _STANDS_OUT:
            return (Margins(top=rows) if top > bottom else Margins(bottom=rows)), camera
    return Margins(), ""


def _difference(image: NDArray[np.generic], rows: int) -> float:
    """Return how the first ``rows`` differ from the picture below, in units of the difference between its rows."""
    gray = image.astype(np.float32)
    gray[~np.isfinite(gray)] = 0
    picture = gray[rows:-rows]
    usual = float(np.median(cv2.absdiff(picture[1:], picture[:-1]).mean(axis=1)))
    return float(cv2.absdiff(gray[rows - 1], gray[rows]).mean()) / max(usual, 1e-6)
