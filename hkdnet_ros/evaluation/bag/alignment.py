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

CERTAIN = 0.03
"""A shift is believed whose likeness is this much above that of every shift elsewhere. Of the 32 registered pairs in
data/val 29 are so, and of 342 pairs of images that do not belong together 8."""

_ELSEWHERE = 5  # pixels, at the size looked at

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
    if min(edges[0].shape) < 5 * REACH or not all(image.any() for image in edges):
        return None
    likeness = _likeness(*edges)
    row, column = (int(index) for index in np.unravel_index(int(likeness.argmax()), likeness.shape))
    rows, columns = np.ogrid[: likeness.shape[0], : likeness.shape[1]]
    elsewhere = np.hypot(rows - row, columns - column) > _ELSEWHERE
    certainty = float(likeness[row, column] - likeness[elsewhere].max())
    if not (0 < row < 2 * REACH and 0 < column < 2 * REACH):
        certainty = 0.0  # a peak at the border says that the true one lies beyond
    x = column - REACH + _refined(likeness[row, :], column)
    y = row - REACH + _refined(likeness[:, column], row)
    return Shift(x / scale, y / scale, certainty)


def _edges(image: Gray, scale: float) -> NDArray[np.float64]:
    """Return the strength of edges in whole numbers up to 255, of which sums are exact in any order."""
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float64)
    down, across = np.gradient(smooth)
    strength = np.sqrt(np.hypot(across, down))
    edges: NDArray[np.float64] = np.rint(strength * (255 / max(float(strength.max()), 1e-9)))
    return edges


def _likeness(thermal: NDArray[np.float64], visible: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of thermal's inside with visible, (2 REACH + 1) squared, by the shift on each axis.

    That of OpenCV's matchTemplate, whose last bits differ from call to call. The sums that the Fourier transform gives
    are whole numbers, so that rounding makes them exact.
    """
    inner = thermal[REACH:-REACH, REACH:-REACH]
    count, side = inner.size, 2 * REACH + 1
    shape = visible.shape
    products = np.fft.irfft2(np.fft.rfft2(visible) * np.conj(np.fft.rfft2(inner, shape)), shape)[:side, :side]
    sums, squares = (_window_sums(values, inner.shape) for values in (visible, visible**2))
    covariance = np.rint(products) - inner.sum() * sums / count
    power = (np.square(inner).sum() - inner.sum() ** 2 / count) * (squares - sums**2 / count)
    spread = np.sqrt(np.maximum(power, 0))
    likeness: NDArray[np.float64] = np.divide(covariance, spread, out=np.zeros((side, side)), where=power > 0)
    return likeness


def _window_sums(values: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the sums over all windows of ``size`` (rows, columns)."""
    total = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows, columns = size
    sums: NDArray[np.float64] = (
        total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
    )
    return sums


def _refined(values: NDArray[Any], peak: int) -> float:
    """Return how far from ``peak`` the top of the parabola through it and its neighbours lies."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, top, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
