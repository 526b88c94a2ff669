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

_RANGE = 5e-4, 1e6  # m, beyond which a depth is none: infinity, and what some cameras send for it
_AHEAD = 1e-6  # of a point's scale, which is 0 in the plane of the view's camera; by this it lies outside, too
_LEAST_AHEAD = 1e-3  # of a ray turned to the view's axes
_AROUND = np.ones((3, 3), np.uint8)

Array = NDArray[np.float32]


def nearness(depth: NDArray[Any]) -> Array:
    """Return 1 / depth in 1/m of a depth image, uint16 in mm or float32 in m; 0 where it has no value.

    That is where it is 0, negative, infinite or NaN.
    """
    thousand = np.float32(1000 if depth.dtype == np.uint16 else 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near: Array = np.divide(thousand, depth, dtype=np.float32)
        is_known = (near > np.float32(1 / _RANGE[1])) & (near < np.float32(1 / _RANGE[0]))  # NaN is not
    if not near.size:
        return near
    # In an eighth of the time that numpy takes where the mask changes from pixel to pixel.
    return np.asarray(cv2.copyTo(near, is_known.view(np.uint8)), np.float32)


def filled(near: Array, otherwise: float, where: float = 0.0) -> Array:
    """Return ``near`` with ``otherwise`` more where it is ``where``."""
    replaced: Array = near + np.multiply(near == np.float32(where), np.float32(otherwise), dtype=np.float32)
    return replaced


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
        """``rays`` (H, W, 3) are points at z = 1, NaN where the grid has none; the others describe the pinhole.

        The pixels along the view's border stand for all that lies outside.
        """
        self.size = size
        turned = rays @ grid_to_view.matrix[:3, :3].T
        x, y, ahead = (turned[..., axis] for axis in range(3))
        shift_x, shift_y, self._shift = grid_to_view.translation
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(ahead > _LEAST_AHEAD, 1 / ahead, np.nan)
        self._moves = tuple(f * s + c * self._shift for f, s, c in zip(focal, (shift_x, shift_y), centre, strict=True))
        far = [f * side * inverse + c for f, side, c in zip(focal, (x, y), centre, strict=True)]
        self.part = self._seen(far, inverse)
        is_ray = np.isfinite(inverse[self.part])
        # What has no ray lies outside at every depth.
        self._inverse = np.where(is_ray, inverse[self.part], 0).astype(np.float32)
        self._far = tuple(np.where(is_ray, side[self.part], -1).astype(np.float32) for side in far)
        # Kept, for new memory of this size costs as much time as what is computed in it.
        self._t, self._scale = np.empty_like(self._inverse), np.empty_like(self._inverse)
        self._one = np.ones_like(self._inverse)
        self._index = np.empty(self._inverse.shape, np.intp)

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

    def places(self, near: Array) -> tuple[Array, Array, Array]:
        """Return x, y and nearness in the view of points with nearness ``near``.

        ``near`` is that of :attr:`part`, in 1/m; 0 is at infinity. What lies outside is brought to the border, and so
        is what lies behind. The nearness returned is good until the next call.
        """
        t, scale, x, y = self._t, self._scale, np.empty_like(self._t), np.empty_like(self._t)
        np.multiply(self._inverse, near, out=t)
        cv2.scaleAdd(t, self._shift, self._one, dst=scale)
        if self._shift < 0:
            np.maximum(scale, np.float32(_AHEAD), out=scale)
        np.reciprocal(scale, out=scale)
        for place, move, far, side in zip((x, y), self._moves, self._far, self.size, strict=True):
            cv2.scaleAdd(t, move, far, dst=place)
            place *= scale
            np.clip(place, np.float32(0), np.float32(side - 1), out=place)
        t *= scale
        return x, y, t

    def pixels(self, x: Array, y: Array) -> NDArray[np.intp]:
        """Return the number of the view's pixel that each of :meth:`places` lies in, row by row; good as long."""
        np.rint(y, out=self._scale)
        cv2.scaleAdd(self._scale, self.size[0], x, dst=self._scale)
        np.rint(self._scale, out=self._index, casting="unsafe")
        return self._index

    def front(self, index: NDArray[np.intp], near: Array) -> Array:
        """Return the nearest of the points in each pixel of the view, (height, width); 0 where there is none."""
        width, height = self.size
        nearest = np.zeros(height * width, np.float32)
        np.maximum.at(nearest, index.ravel(), near.ravel())
        front = nearest.reshape(height, width)
        front[[0, -1]] = 0
        front[:, [0, -1]] = 0
        return front


def surrounding(nearest: Array) -> Array:
    """Return the nearest of each pixel and its neighbours: where a view is finer than the grid, surfaces have holes."""
    return np.asarray(cv2.dilate(nearest, _AROUND), np.float32)


def without_holes(nearest: Array) -> Array:
    """Return ``nearest`` without places 1 or 2 px wide that are further off, or empty: they are as what is around them.

    Where a view is finer than the grid, what is behind a surface shows between its points. What is wider stays.
    """
    return np.asarray(cv2.morphologyEx(nearest, cv2.MORPH_CLOSE, _AROUND), np.float32)
