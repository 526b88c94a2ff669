"""Flicker of a video: change that turns back, shifts the whole frame, or that its sources do not explain.

One meter for each stream, so that a fused video may be compared with its sources. All in gray levels, means over the
pixels of a frame:

- ``flicker``: the part of a change that the next frame takes back, min(|d1|, |d2|) where successive differences d1, d2
  differ in sign. Motion mostly carries an edge on in one direction and counts little; noise, compression and jumping
  masks turn back.
- ``still``: the flicker where nothing moves (:func:`still_pixels`), as the eye sees it best there.
- ``unexplained``: fusing means weighing, so from one frame to the next a fused pixel may change by anything between no
  change and its sources' changes. How far its change lies outside of that range is the method's own: weights or masks
  that jump, gain that amplifies noise, a stretch by each frame's own minimum and maximum.
- ``brightness``: the absolute change of the frame's mean, as when exposure or gain hunts.
- ``change``: the mean absolute change, motion included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

FLICKER_KEYS = ("flicker", "still", "unexplained", "brightness", "change")
"""Every measure, in table order."""

_REACH = 4.0  # px, standard deviation of the neighbourhood over which noise averages out
_MOTION = 2.0  # gray levels by which a neighbourhood changes where something moves

_Image = NDArray[np.float32]


def still_pixels(before: Sequence[NDArray[Any]], after: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Return (H, W), True where nothing moves in any source from one frame, ``before``, to the next.

    The frames are the sources' gray images, (H, W) of one size, uint8 or float 0..255. A pixel is still where the
    change, averaged over its neighbourhood, is 2 gray levels at most: noise and compression average out. So a whole
    frame that becomes brighter by more than that is not still.
    """
    still = np.ones(before[0].shape, np.bool_)
    for old, new in zip(before, after, strict=True):
        change = cv2.GaussianBlur(new.astype(np.float32) - old.astype(np.float32), (0, 0), _REACH)
        still &= np.abs(change) <= _MOTION
    return still


class FlickerMeter:
    """Measures one stream, frame by frame; after a cut, begin with a new one."""

    def __init__(self) -> None:
        self._last: list[_Image] = []  # the image, then its sources
        self._last_step: _Image | None = None
        self._last_still: NDArray[np.bool_] | None = None

    def add(
        self, image: NDArray[Any], *sources: NDArray[Any], still: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """Take the next frame and return its measures: none for the first frame, no flicker for the second.

        ``image`` and the ``sources`` it was fused from are gray (H, W) of one size, uint8 or float 0..255, not rounded.
        ``still`` are the :func:`still_pixels` since the last frame. The measure of that name is there where some pixels
        were still for two changes, ``unexplained`` with sources only. Raises :class:`ImageError` for other shapes, NaN,
        and a size that changes.
        """
        images = [each.astype(np.float32) for each in (image, *sources)]
        if image.ndim != 2 or not image.size or any(each.shape != image.shape for each in images):
            shapes = ", ".join(str(each.shape) for each in images)
            raise ImageError(f"image and sources have the shapes {shapes}; expected gray images (H, W) of one size")
        if not all(np.isfinite(each).all() for each in images):
            raise ImageError("an image holds NaN or infinity; expected finite values in 0..255")
        if self._last and self._last[0].shape != image.shape:
            raise ImageError(f"size changes from {self._last[0].shape} to {image.shape}; measure each part by itself")
        last, self._last = self._last, images
        if not last:
            return {}
        step, *source_steps = (now - before for now, before in zip(images, last, strict=True))
        values = {"brightness": abs(float(step.mean())), "change": float(np.abs(step).mean())}
        if source_steps:
            least = np.minimum(np.minimum.reduce(source_steps), 0)
            most = np.maximum(np.maximum.reduce(source_steps), 0)
            values["unexplained"] = float(np.abs(step - np.clip(step, least, most)).mean())
        if self._last_step is not None:
            smaller = np.minimum(np.abs(self._last_step), np.abs(step))
            reversed_part = np.where(self._last_step * step < 0, smaller, 0)
            values["flicker"] = float(reversed_part.mean())
            if still is not None and self._last_still is not None and (both := still & self._last_still).any():
                values["still"] = float(reversed_part[both].mean())
        self._last_step, self._last_still = step, still
        return values
