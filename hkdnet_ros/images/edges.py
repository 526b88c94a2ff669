"""What heat and light show alike: where edges are and how they run, whichever side is brighter.

A pixel's edge is one complex number, its strength beside that of the surroundings times exp(2i angle). The double angle
forgets which side is bright (the normalised gradient fields of Haber and Modersitzki, "Intensity gradient based
registration and fusion of multi-modal images", 2006, squared), so that the real part of a correlation counts edges that
agree and takes off those that cross.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Edges = NDArray[np.float32]
"""(H, W, 2): real and imaginary part."""

_SMOOTH = 1.0  # px
_SURROUNDINGS = 8.0  # px, standard deviation of what an edge is compared with
_NOISE = 0.004  # of [0, 1]: gradients well below this are noise


def edges_of(image: NDArray[Any], shown: NDArray[np.uint8] | None = None) -> Edges:
    """Return the edges of a gray image (H, W) in [0, 1]; none where ``shown`` is 0 or near it."""
    smooth = cv2.GaussianBlur(image.astype(np.float32, copy=False), (0, 0), _SMOOTH)
    x, y = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    square = x * x + y * y
    inside = np.ones_like(square) if shown is None else _well_inside(shown)
    square = square * inside
    around: NDArray[Any] = cv2.GaussianBlur(square, (0, 0), _SURROUNDINGS)
    if shown is not None:
        around = around / (cv2.GaussianBlur(inside, (0, 0), _SURROUNDINGS) + np.float32(1e-3))
    # A strong edge must not outvote all others: it counts by its strength beside that around it, not by its square.
    weight = inside / np.sqrt(np.maximum(square, 1e-12) * (square + around + _NOISE**2))
    return np.dstack([(x * x - y * y) * weight, 2 * x * y * weight])


def _well_inside(shown: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return 1 where no pixel that is not shown has a share in the gradient, else 0."""
    return (cv2.erode(shown, np.ones((7, 7), np.uint8), borderValue=255) > 0).astype(np.float32)
