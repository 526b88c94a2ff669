"""Where what one camera sees at known depths lies in a pinhole view from another place, and what is in front there.

This is computed for each depth image, so it has to be quick. With n the nearness, 1 / depth, a point goes to the pixel
(u + a t) / (1 + s t), t = n / z: u is where its ray points to, z that ray's length along the other axis, and a and s
come from the shift between the cameras.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .lookup import Size
from .rigid_transform import RigidTransform

CLOSEST = 0.1
"""Metres, nearer than which nothing is brought over."""

_FARTHEST = 1e6  # m; infinity, and what some cameras send for it
_AROUND = np.ones((3, 3), np.uint8)

Array = NDArray[np.float32]


def nearness(depth: NDArray[Any], otherwise: float) -> Array:
    """Return 1 / depth in 1/m of a depth image, uint16 in mm or float32 in m; ``otherwise`` where it has no value.

    That is where it is 0, negative, infinite or NaN.
    """
    thousand = np.float32(1000 if depth.dtype == np.uint16 else 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near: Array = np.divide(thousand, depth, dtype=np.float32)
        is_known = (near > np.float32(1 / _FARTHEST)) & (near < np.inf)  # NaN is not
    return near if is_known.all() else np.where(is_known, near, np.float32(otherwise))


class Reprojection:
    """Rays of a grid and a pinhole view that stands elsewhere, from which only :attr:`part` of the grid is seen."""

    def __init__(
        self,
        rays: NDArray[np.float64],
        grid_to_view: RigidTransform,
        focal: tuple[float, float],
        centre: tuple[float, float],
        size: Size,
    ) -> None:
        """``rays`` (H, W, 3) are points at z = 1, NaN where the grid has none; the others describe the pinhole."""
        self.size = size
        turned = rays @ grid_to_view.matrix[:3, :3].T
        x, y, ahead = (turned[..., axis] for axis in range(3))
        shift_x, shift_y, self._shift = grid_to_view.translation
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(ahead > 0, 1 / ahead, np.nan)
        self._moves = tuple(f * s + c * self._shift for f, s, c in zip(focal, (shift_x, shift_y), centre, strict=True))
        far = [f * side * inverse + c for f, side, c in zip(focal, (x, y), centre, strict=True)]
        self.part = self._seen(far, inverse)
        self._inverse = np.ascontiguousarray(inverse[self.part], np.float32)
        self._far = tuple(np.ascontiguousarray(side[self.part], np.float32) for side in far)
        # Kept, for new memory of this size costs as much time as what is computed in it.
        self._work = tuple(np.empty_like(self._inverse) for _ in range(4))

    def _seen(self, far: list[NDArray[np.float64]], inverse: NDArray[np.float64]) -> tuple[slice, slice]:
        """Return the part of the grid whose rays can cross the view, rows first: from infinity to the closest they go.

        A point moves along a line as it comes closer, so that both ends tell.
        """
        t = inverse / CLOSEST
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 1 + self._shift * t
            crosses = np.isfinite(inverse)
            for place, move, side in zip(far, self._moves, self.size, strict=True):
                near = (place + move * t) / scale
                within = (np.minimum(place, near) <= side) & (np.maximum(place, near) >= -1)
                crosses &= within | (scale <= 0)  # it comes past the view's camera, and the line has no end
        rows, columns = (np.flatnonzero(crosses.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return slice(0, 0), slice(0, 0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def places(self, near: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Return x, y and nearness in the view of points with nearness ``near``, and which lie inside; all of the part.

        ``near`` is that of the whole grid, in 1/m.
        """
        t, scale, x, y = self._work
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.multiply(self._inverse, near[self.part], out=t)
            np.multiply(t, np.float32(self._shift), out=scale)
            scale += np.float32(1)
            np.reciprocal(scale, out=scale)
            for place, move, far in zip((x, y), self._moves, self._far, strict=True):
                np.multiply(t, np.float32(move), out=place)
                place += far
                place *= scale
            t *= scale
            width, height = self.size
            inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & (t > 0)  # NaN is not
        mask = inside.view(np.uint8)
        # 0 elsewhere, since OpenCV takes several times as long for places outside.
        return _where(x, mask), _where(y, mask), _where(t, mask), inside

    def front(self, x: Array, y: Array, near: Array) -> tuple[NDArray[np.intp], Array]:
        """Return the number of the view's pixel that each point lies in, and the nearest there, (height, width)."""
        width, height = self.size
        index = (np.rint(y) * np.float32(width) + np.rint(x)).astype(np.intp)
        nearest = np.zeros(height * width, np.float32)
        np.maximum.at(nearest, index.ravel(), near.ravel())
        return index, nearest.reshape(height, width)


def surrounding(nearest: Array) -> Array:
    """Return the nearest of each pixel and its neighbours: where a view is finer than the grid, surfaces have holes."""
    return np.asarray(cv2.dilate(nearest, _AROUND), np.float32)


def _where(values: Array, mask: NDArray[np.uint8]) -> Array:
    return np.asarray(cv2.copyTo(values, mask), np.float32)
