"""Whether the whole scene has moved in the image, as when the camera pans: a shift that its quarters agree on."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 160  # px that an image is reduced to for this
_SHIFT = 1.5  # px by which the scene must have moved
_BETTER = 0.7  # of the difference is left where one image is shifted onto the other, or they are not the same scene
_QUARTERS = 3  # of four in which it must be so: a person who walks by is in fewer
_OLD_NS = 2_000_000_000  # after which another image is compared with


class SceneMotion:
    """Compares images with one before them by phase correlation (OpenCV's phaseCorrelate)."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None
        self._reference_ns = 0

    def has_moved(self, image: NDArray[Any], stamp_ns: int) -> bool:
        """Return whether the scene of ``image`` (H, W) has moved by 1.5 pixels or more since this last was so."""
        factor = max(1, round(max(image.shape) / _SIDE))
        size = (image.shape[1] // factor, image.shape[0] // factor)
        reduced: NDArray[Any] = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        small: NDArray[np.float32] = reduced
        reference = self._reference
        moved = False
        if reference is not None and reference.shape == small.shape and min(size) >= 8:
            # Copies, for OpenCV 4.14 multiplies its inputs by the window where they lie.
            copies = reference - reference.mean(), small - small.mean()
            (x, y), _ = cv2.phaseCorrelate(*copies, cv2.createHanningWindow(size, cv2.CV_32F))
            moved = factor * np.hypot(x, y) >= _SHIFT and _agree(reference, small, x, y)
        is_old = not 0 <= stamp_ns - self._reference_ns < _OLD_NS
        if moved or reference is None or reference.shape != small.shape or is_old:
            self._reference, self._reference_ns = small, stamp_ns
        return moved


def _agree(before: NDArray[np.float32], now: NDArray[np.float32], x: float, y: float) -> bool:
    """Return whether ``now`` is ``before`` shifted by (x, y), in three of the four quarters at least."""
    height, width = now.shape
    if abs(x) > width / 4 or abs(y) > height / 4:
        return False
    shifted = cv2.warpAffine(before, np.array([[1, 0, x], [0, 1, y]], np.float64), (width, height))
    border_x, border_y = int(abs(x)) + 1, int(abs(y)) + 1
    inside = np.s_[border_y : height - border_y, border_x : width - border_x]
    left, plain = cv2.absdiff(now, shifted)[inside], cv2.absdiff(now, before)[inside]
    quarters = 0
    for rows in np.array_split(np.arange(left.shape[0]), 2):
        for columns in np.array_split(np.arange(left.shape[1]), 2):
            part = np.ix_(rows, columns)
            quarters += float(left[part].mean()) < _BETTER * float(plain[part].mean())
    return quarters >= _QUARTERS
