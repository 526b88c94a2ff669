"""The outlines of heat drawn over the visible image, for the eye to see whether both lie on each other."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_COLOUR = (0, 140, 255)  # blue, green, red
_STRONG = 97  # %, of the gradients of heat, above which an outline begins


def outlined(
    thermal: NDArray[np.float32], visible: NDArray[Any], shown: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return the visible image, darker, with the outlines of heat, (H, W, 3) blue, green, red.

    Both images are (H, W) of one grid, ``thermal`` in [0, 1], ``visible`` uint8 or in [0, 1]. Where ``shown`` is 0
    thermal shows nothing, and the border of that is no outline.
    """
    sigma = max(1.0, visible.shape[1] / 500)
    smooth = cv2.GaussianBlur(thermal, (0, 0), sigma)
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    if shown is not None:
        side = 2 * int(np.ceil(4 * sigma)) + 3  # as far as the blur carries it
        hidden = cv2.erode(shown, np.ones((side, side), np.uint8), borderValue=255) == 0
        across[hidden], down[hidden] = 0, 0
    strength = np.hypot(across, down)
    strong = max(float(np.percentile(strength, _STRONG)), 0.1 * float(strength.max()), 1e-6)
    levels = [np.clip(slope * (255 / strong), -32767, 32767).astype(np.int16) for slope in (across, down)]
    outlines = cv2.Canny(levels[0], levels[1], 80, 200, L2gradient=True)
    bright = 190 / 255 if visible.dtype == np.uint8 else 190
    picture = cv2.cvtColor(np.uint8(visible * np.float32(bright)), cv2.COLOR_GRAY2BGR)
    picture[cv2.dilate(outlines, np.ones((2, 2), np.uint8)) > 0] = _COLOUR
    return np.asarray(picture, np.uint8)
