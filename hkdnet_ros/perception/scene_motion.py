"""Whether the whole scene has moved in the image, as when the camera pans: a shift that both sides agree on."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..parabola import vertex

_SIDE = 160  # px that an image is reduced to for this
_REACH = 0.1  # of the sides, beyond which no shift is looked for
_SHIFT = 1.5  # px by which the scene must have moved
_TILES = 4  # along each side
_BETTER, _WORSE = 0.7, 1.1  # of a tile's difference is left, or more, where the shift is right, or wrong
_LEAST = 6  # tiles of 16 in which it must be right
_OLD_NS = 2_000_000_000  # after which another image is compared with


class SceneMotion:
    """Compares images with one before them by the shift of least squares (OpenCV's matchTemplate)."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None
        self._reference_ns = 0

    def has_moved(self, image: NDArray[Any], stamp_ns: int) -> bool:
        """Return whether the scene of ``image`` (H, W) has moved by 1.5 pixels or more since this last was so."""
        factor = max(1, round(max(image.shape) / _SIDE))
        size = max(1, image.shape[1] // factor), max(1, image.shape[0] // factor)
        reduced: NDArray[Any] = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        small: NDArray[np.float32] = reduced
        reference = self._reference
        is_comparable = reference is not None and reference.shape == small.shape and min(size) >= 16
        moved = False
        if is_comparable:
            assert reference is not None
            x, y = _shift(reference, small)
            moved = factor * float(np.hypot(x, y)) >= _SHIFT and _agree(reference, small, x, y)
        if moved or not is_comparable or not 0 <= stamp_ns - self._reference_ns < _OLD_NS:
            self._reference, self._reference_ns = small, stamp_ns
        return moved


def _shift(before: NDArray[np.float32], now: NDArray[np.float32]) -> tuple[float, float]:
    """Return by how many pixels to the right and down ``now`` shows what ``before`` does, to a part of a pixel."""
    height, width = now.shape
    reach_x, reach_y = max(2, round(_REACH * width)), max(2, round(_REACH * height))
    middle = before[reach_y : height - reach_y, reach_x : width - reach_x]
    error = cv2.matchTemplate(now, middle, cv2.TM_SQDIFF)
    x, y = cv2.minMaxLoc(error)[2]
    return x + vertex(error[y], x) - reach_x, y + vertex(error[:, x], y) - reach_y


def _agree(before: NDArray[np.float32], now: NDArray[np.float32], x: float, y: float) -> bool:
    """Return whether ``now`` is ``before`` shifted by (x, y), in tiles at both sides: one who walks by is in few."""
    height, width = now.shape
    shifted = cv2.warpAffine(before, np.array([[1, 0, x], [0, 1, y]], np.float64), (width, height))
    border_x, border_y = int(abs(x)) + 1, int(abs(y)) + 1
    inside = np.s_[border_y : height - border_y, border_x : width - border_x]
    left, plain = cv2.absdiff(now, shifted)[inside], cv2.absdiff(now, before)[inside]
    tiles = (_TILES, _TILES)
    ratio = cv2.resize(left, tiles, interpolation=cv2.INTER_AREA) / np.maximum(
        cv2.resize(plain, tiles, interpolation=cv2.INTER_AREA), 1e-12
    )
    is_right, is_wrong = ratio < _BETTER, ratio > _WORSE
    right, wrong = int(is_right.sum()), int(is_wrong.sum())
    return bool(is_right[:, 0].any() and is_right[:, -1].any()) and right >= _LEAST and 3 * wrong <= right
