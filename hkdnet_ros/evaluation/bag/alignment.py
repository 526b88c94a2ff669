"""How far the two sources of a fused frame lie apart, by the edges that both show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .lumas import Gray

REACH = 12
"""Pixels, of an image 320 wide, up to which a shift is looked for."""

CERTAIN = 2.2
"""A shift is believed whose likeness stands this many deviations above that of all shifts."""

_WIDTH = 320


@dataclass(frozen=True, slots=True)
class Shift:
    """What thermal is to be moved by to lie on the visible image, in pixels of the output, and how sure that is."""

    x: float
    y: float
    certainty: float

    @property
    def is_certain(self) -> bool:
        """Whether the edges agree on one shift, within reach."""
        return self.certainty >= CERTAIN


def shift_between(thermal: Gray, visible: Gray) -> Shift | None:
    """Return the shift between two gray images (H, W) of one size; None where they are too small or flat.

    Both are brought to 320 pixels in width; the strength of their edges, compressed by a root so that a few strong ones
    do not decide alone, is correlated at every shift within :data:`REACH`, and the peak is refined by a parabola.
    Heat and light show different edges, so that a single frame may be wrong: look at many.
    """
    scale = min(1.0, _WIDTH / thermal.shape[1])
    edges = [_edges(image, scale) for image in (thermal, visible)]
    height, width = edges[0].shape
    if min(height, width) < 5 * REACH or min(float(image.std()) for image in edges) == 0:
        return None
    inner = edges[0][REACH : height - REACH, REACH : width - REACH]
    likeness = cv2.matchTemplate(edges[1], inner, cv2.TM_CCOEFF_NORMED)
    row, column = (int(index) for index in np.unravel_index(int(likeness.argmax()), likeness.shape))
    certainty = float((likeness.max() - likeness.mean()) / max(float(likeness.std()), 1e-6))
    if not (0 < row < 2 * REACH and 0 < column < 2 * REACH):
        certainty = 0.0  # a peak at the border says that the true one lies beyond
    x = column - REACH + _refined(likeness[row, :], column)
    y = row - REACH + _refined(likeness[:, column], row)
    return Shift(x / scale, y / scale, certainty)


def _edges(image: Gray, scale: float) -> NDArray[np.float32]:
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.sqrt(cv2.magnitude(across, down)).astype(np.float32)


def _refined(values: NDArray[Any], peak: int) -> float:
    """Return how far from ``peak`` the top of the parabola through it and its neighbours lies."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, top, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
