"""Bringing the images of both cameras to one grid.

Both cameras are taken to see the same field of view, so that registering is resampling. Image edges stay image edges:
output pixel x has its centre at (x + 0.5) * source width / width - 0.5, as OpenCV's resize and the network have it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resample(image: NDArray[Any], width: int, height: int, growing: int = cv2.INTER_CUBIC) -> NDArray[Any]:
    """Return ``image`` at ``width`` x ``height``; the array itself, not a copy, where it has that size.

    ``image`` is (H, W) or (H, W, C), uint8, uint16 or float32. An axis that shrinks takes the mean over the area of
    each new pixel, so that nothing aliases; one that grows is interpolated by cubics, floats held to the range of
    ``image``. With cv2.INTER_LINEAR for ``growing`` no value leaves the range of its neighbours, and NaN stay where
    they are.
    """
    rows, columns = image.shape[:2]
    is_held = image.dtype.kind == "f" and growing == cv2.INTER_CUBIC  # OpenCV holds integers to the range of their type
    if height < rows or width < columns:  # first, so that the other axis has fewer pixels to interpolate
        image = _resized(image, (min(width, columns), min(height, rows)), cv2.INTER_AREA, is_held)
    if height > rows or width > columns:
        image = _resized(image, (width, height), growing, is_held)
    return image


def _resized(image: NDArray[Any], size: tuple[int, int], interpolation: int, is_held: bool) -> NDArray[Any]:
    resized = cv2.resize(image, size, interpolation=interpolation)
    if not is_held:
        return resized
    # Cubics overshoot, and for some sizes the weights of an area add up to more than 1.
    return np.clip(resized, image.min(), image.max(), out=resized)
