"""Flicker of a fused video: change that its sources do not explain, and change that turns back or shifts it whole.

All in gray levels, means over pixels and frames:

- ``unexplained``: fusing means weighing, so from one frame to the next a fused pixel may change by anything between no
  change and its sources' changes. How far its change lies outside of that range is the method's own: weights or masks
  that jump, gain that amplifies noise, a stretch by each frame's own minimum and maximum.
- flicker of each stream by itself, so that the fused one may be compared with its sources': the part of a change that
  the next frame takes back, min(|d1|, |d2|) where successive differences d1, d2 differ in sign. Motion mostly carries
  an edge on in one direction and counts little; noise, compression and jumping masks turn back.
- brightness steps of each stream: the absolute change of the frame's mean, as when exposure or gain hunts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

_Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FlickerReport:
    """Means over a stream of ``frames`` frames, in gray levels of 255; NaN where too few frames came.

    ``change`` is the mean absolute frame-to-frame change of the fused image, of which ``unexplained`` is the part (of
    two frames on); ``thermal``, ``visible`` and ``fused`` are the reversing changes (of three frames on), those with
    ``_brightness`` the changes of the frame's mean.
    """

    frames: int
    change: float
    unexplained: float
    thermal: float
    visible: float
    fused: float
    thermal_brightness: float
    visible_brightness: float
    fused_brightness: float


class FlickerMeter:
    """Accumulate the flicker of a stream, frame by frame, in constant memory."""

    def __init__(self) -> None:
        self._frames = 0
        self._triples = 0
        self._steps = 0
        self._change = self._unexplained = 0.0
        self._reversal = np.zeros(3)  # thermal, visible, fused
        self._brightness = np.zeros(3)
        self._last: list[_Image] | None = None
        self._last_steps: list[_Image] | None = None

    def restart(self) -> None:
        """Forget the last frames, not the sums: after a cut or a gap, what follows is no change in time."""
        self._last = self._last_steps = None

    def add(self, thermal: NDArray[Any], visible: NDArray[Any], fused: NDArray[Any]) -> None:
        """Take the next frame: gray (H, W), uint8 or float 0..255, not rounded.

        Thermal and visible are of one size; a fused image of another size is brought to theirs by area averaging.
        Raises :class:`ImageError` for other shapes, NaN, and a size that changes without :meth:`restart`.
        """
        images = [image.astype(np.float32) for image in (thermal, visible, fused)]
        if any(image.ndim != 2 or not image.size for image in images) or thermal.shape != visible.shape:
            shapes = f"thermal {thermal.shape}, visible {visible.shape}, fused {fused.shape}"
            raise ImageError(f"shapes are {shapes}; expected gray images (H, W), thermal and visible of one size")
        if not all(np.isfinite(image).all() for image in images):
            raise ImageError("an image holds NaN or infinity; expected finite values in 0..255")
        if self._last is not None and self._last[0].shape != thermal.shape:
            raise ImageError(
                f"size changes from {self._last[0].shape} to {thermal.shape}; restart() where a stream ends"
            )
        height, width = thermal.shape
        if fused.shape != thermal.shape:
            images[2] = cv2.resize(images[2], (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        self._frames += 1
        if self._last is not None:
            steps = [image - last for image, last in zip(images, self._last, strict=True)]
            self._add_steps(steps)
            self._last_steps = steps
        self._last = images

    def report(self) -> FlickerReport:
        """Return the means so far."""
        steps, triples = self._steps or math.nan, self._triples or math.nan
        reversal = (float(total) for total in self._reversal / triples)
        brightness = (float(total) for total in self._brightness / steps)
        return FlickerReport(self._frames, self._change / steps, self._unexplained / steps, *reversal, *brightness)

    def _add_steps(self, steps: list[_Image]) -> None:
        self._steps += 1
        thermal, visible, fused = steps
        most = np.maximum(np.maximum(thermal, visible), 0)
        least = np.minimum(np.minimum(thermal, visible), 0)
        self._change += float(np.abs(fused).mean())
        self._unexplained += float(np.abs(fused - np.clip(fused, least, most)).mean())
        self._brightness += [abs(float(step.mean())) for step in steps]
        if self._last_steps is not None:
            self._triples += 1
            for index, (before, after) in enumerate(zip(self._last_steps, steps, strict=True)):
                smaller = np.minimum(np.abs(before), np.abs(after))
                self._reversal[index] += float(smaller[before * after < 0].sum()) / smaller.size
