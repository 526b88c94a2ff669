"""Pixels of a thermal image of floats that were not measured: drivers send NaN for them, infinity or 0."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

_MOST = 0.5  # of the pixels; a picture that is less than half measured is no picture
_KELVIN = 100.0  # an image whose other values are all above has 0 for no data, be they kelvin or counts


def mend_unmeasured(image: NDArray[Any]) -> NDArray[Any]:
    """Return ``image`` (H, W) with its unmeasured pixels replaced by the mean of those around; itself if there is none.

    Those are NaN, infinite, or 0 among values that are all above 100; 0 stays where more than half of the pixels are 0.

    The mean is that of the 3x3 around a pixel; further inside a hole, that of the smallest square that reaches out of
    it. Raises :class:`ImageError` where more than half of the pixels are NaN or infinite.
    """
    if image.dtype.kind != "f":
        return image
    is_good = np.isfinite(image)
    missing = image.size - int(np.count_nonzero(is_good))
    if missing > _MOST * image.size:
        raise ImageError(
            f"thermal image has {missing} NaN or infinite pixels of {image.size}; expected no more than half of them"
        )
    is_zero = image == 0
    zeros = int(np.count_nonzero(is_zero))
    if zeros > 0 and zeros + missing <= _MOST * image.size and (image[is_good & ~is_zero] > _KELVIN).all():
        is_good &= ~is_zero
    elif not missing:
        return image
    mended = np.where(is_good, image, 0)
    weights = is_good.astype(np.float64)
    sums = mended.astype(np.float64)  # of any floats, which as float32 could overflow
    todo, side = ~is_good, 3
    while todo.any():
        size = (side, side)
        reached = cv2.boxFilter(weights, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        total = cv2.boxFilter(sums, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        now = todo & (reached > 0.5)
        mended[now] = total[now] / reached[now]
        todo &= ~now
        side = 2 * side + 1
    return mended
