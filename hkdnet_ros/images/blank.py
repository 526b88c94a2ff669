"""An image that shows nothing: a covered or dazzled camera's, black, white or of one gray level, noisy or not."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BLANK = 1.0 / 255
"""Standard deviation, of full scale, below which the means over blocks of an image count as one level."""

BLOCK = 8  # px: what noise there is has averaged out, what is seen of a scene has not


def is_blank(luma: NDArray[Any]) -> bool:
    """Tell whether ``luma``, (H, W) uint8 or float32 in [0, 1], is the same everywhere but for noise."""
    height, width = luma.shape
    size = max(1, width // BLOCK), max(1, height // BLOCK)
    means = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)  # to whole levels where these are 8 bits
    return float(np.std(means)) < BLANK * (255 if luma.dtype == np.uint8 else 1)
