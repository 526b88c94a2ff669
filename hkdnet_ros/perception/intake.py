"""What a thermal image must be before anything looks at it: a picture without margins, of numbers only.

Thermal images go through these stages, in this order: this one (cropped, mended where not finite), judged by
:mod:`.shutter`, then conditioned (:mod:`.thermal`: palette undone, bad pixels mended, range, local contrast, polarity).
What does not get through is no image of a live camera, so that the mode falls to the other one.
"""

from __future__ import annotations

import dataclasses
import logging

from ..images.frames import Frame
from .bad_pixels import check_shape, read_bad_pixels
from .crop import Cropper, Margins
from .log import Log
from .thermal import ThermalConfig
from .unmeasured import mend_unmeasured

_log = logging.getLogger(__name__)


class ThermalIntake:
    """Takes the images of one thermal camera as they come."""

    def __init__(self, config: ThermalConfig | None = None, log: Log = _log) -> None:
        """Raises :class:`ConfigError` for a file of bad pixels that cannot be read."""
        config = config or ThermalConfig()
        self._cropper = Cropper(config.crop, log)
        self._known = read_bad_pixels(config.bad_pixels, config.mend_pixels) if config.bad_pixels else None

    def margins(self, frame: Frame) -> Margins:
        """Return what :meth:`take` cuts off ``frame``."""
        return self._cropper.margins(frame)

    def take(self, frame: Frame) -> Frame:
        """Return ``frame`` cropped (:mod:`.crop`) and mended (:mod:`.unmeasured`); itself where nothing is to do.

        Raises :class:`ImageError` for an image of which nothing is left, one of which more than half are no numbers,
        and one of another size than the file of bad pixels.
        """
        frame = self._cropper.crop(frame)
        check_shape(self._known, frame.image)
        mended = mend_unmeasured(frame.image)
        if mended is frame.image:
            return frame
        return dataclasses.replace(frame, image=mended, unmeasured=mended != frame.image)
