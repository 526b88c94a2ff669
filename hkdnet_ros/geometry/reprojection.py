"""Where what one camera sees at known depths lies in a pinhole view from another place, and what is in front there.

This is computed for each depth image, so it has to be quick. With n the nearness, 1 / depth, a point goes to the pixel
(u + a t) / (1 + s t), t = n / z: u is where its ray points to, z that ray's length along the other axis, and a and s
come from the shift between the cameras.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .lookup import Size
from .rigid_transform import RigidTransform

# Metres, nearer than the first of which nothing is brought over. The further off all is, the less can cross the view.
_CLOSEST = 0.1, 0.3, 0.6, 1.2, 2.5
_RANGE = 5e-4, 1e6  # m, beyond which a depth is none: infinity, and what some cameras send for it
_AHEAD = 1e-6  # of a point's scale, which is 0 in the plane of the view's camera; by this it lies outside, too
_LEAST_AHEAD = 1e-3  # of a ray turned to the view's axes
_AROUND = np.ones((3, 3), np.uint8)

Array = NDArray[np.float32]
Mask = NDArray[np.uint8]
Part: TypeAlias = "tuple[slice, slice]"


def nearness(depth: NDArray[Any], otherwise: float) -> tuple[Array, Mask]:
    """Return 1 / depth in 1/m of a depth image, uint16 in mm or float32 in m, and a mask, 0 where that has no value.

    There, since depth is 0, negative, infinite or NaN, it is ``otherwise``.
    """
    is_counts = depth.dtype == np.uint16
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near: Array = np.divide(np.float32(1000 if is_counts else 1), depth, dtype=np.float32)
        known = depth > 0
        if not is_counts:  # which are all within
            known = (near > np.float32(1 / _RANGE[1])) & (near < np.float32(1 / _RANGE[0]))  # NaN is not
    mask = known.view(np.uint8)
    return chosen(near, mask, otherwise), mask


def chosen(values: Array, mask: Mask, otherwise: float) -> Array:
    """Return ``values``, but ``otherwise`` where ``mask`` is 0."""
    if not values.size:
        return values
    # In an eighth of the time that numpy takes where the mask changes from pixel to pixel.
    return np.asarray(cv2.copyTo(values, mask, dst=np.full(values.shape, otherwise, np.float32)), np.float32)


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
        parts = [self._seen(far, inverse, closest) for closest in _CLOSEST]
        self.part = parts[0]
        """The rows and columns of the grid that can be seen in the view."""
        self._crops = [_within(part, self.part) for part in parts]
        is_ray = np.isfinite(inverse[self.part])
        # What has no ray lies outside at every depth.
        self._inverse = np.where(is_ray, inverse[self.part], 0).astype(np.float32)
        self._far = tuple(np.where(is_ray, side[self.part], -1).astype(np.float32) for side in far)

    def _seen(self, far: list[NDArray[np.float64]], inverse: NDArray[np.float64], closest: float) -> Part:
        """Return the part of the grid whose rays can cross the view, rows first: from infinity to ``closest`` metres.

        A point moves along a line as it comes closer, so that both ends tell.
        """
        t = inverse / closest
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

    def crop(self, near: Array) -> Part:
        """Return rows and columns of :attr:`part` outside which points with nearness ``near`` lie outside the view.

        ``near`` is that of :attr:`part`.
        """
        nearest = float(near.max(initial=0.0))
        for closest, crop in zip(_CLOSEST[::-1], self._crops[::-1], strict=True):
            if nearest * closest <= 1:
                return crop
        return self._crops[0]

    def places(self, near: Array, crop: Part) -> tuple[Array, Array, Array]:
        """Return x, y and nearness in the view of points with nearness ``near``.

        ``near`` is that of a ``crop`` of :attr:`part`, in 1/m; 0 is at infinity. What lies outside is brought to the
        border, and so is what lies behind.
        """
        t = self._inverse[crop] * near
        scale = t * np.float32(self._shift)
        scale += np.float32(1)
        if self._shift < 0:
            np.clip(scale, np.float32(_AHEAD), np.float32(np.inf), out=scale)  # a third of the time of np.maximum
        x, y = np.empty_like(t), np.empty_like(t)
        for place, move, far, side in zip((x, y), self._moves, self._far, self.size, strict=True):
            cv2.scaleAdd(t, move, far[crop], dst=place)
            place /= scale
            np.clip(place, np.float32(0), np.float32(side - 1), out=place)
        t /= scale
        return x, y, t

    def pixels(self, x: Array, y: Array) -> NDArray[np.intp]:
        """Return the number of the view's pixel that each of :meth:`places` lies in, row by row."""
        number = np.rint(y)
        cv2.scaleAdd(number, self.size[0], x, dst=number)
        return np.rint(number, out=number).astype(np.intp)

    def front(self, index: NDArray[np.intp], near: Array) -> Array:
        """Return the nearest of the points in each pixel of the view, (height, width); 0 where there is none."""
        width, height = self.size
        nearest = np.zeros(height * width, np.float32)
        # Floats that are not negative are in the order of their bits, which are compared in two thirds of the time.
        np.maximum.at(nearest.view(np.int32), index.ravel(), near.view(np.int32).ravel())
        return _without_border(nearest.reshape(height, width))


def _within(part: Part, whole: Part) -> Part:
    """Return a part of a grid as that of a larger part, which holds it."""
    rows, columns = (
        slice(inner.start - outer.start, inner.stop - outer.start) for inner, outer in zip(part, whole, strict=True)
    )
    return rows, columns


def of_grid(crop: Part, part: Part) -> Part:
    """Return a part of a part of a grid as that of the grid."""
    rows, columns = (
        slice(inner.start + outer.start, inner.stop + outer.start) for inner, outer in zip(crop, part, strict=True)
    )
    return rows, columns


def surrounding(nearest: Array) -> Array:
    """Return the nearest of each pixel and its neighbours: where a view is finer than the grid, surfaces have holes."""
    return np.asarray(cv2.dilate(nearest, _AROUND), np.float32)


def without_holes(nearest: Array) -> Array:
    """Return ``nearest`` without places 1 or 2 px wide that are further off, or empty: they are as what is around them.

    Where a view is finer than the grid, what is behind a surface shows between its points. What is wider stays. The
    border, which stands for all that lies outside, stays empty.
    """
    return _without_border(np.asarray(cv2.morphologyEx(nearest, cv2.MORPH_CLOSE, _AROUND), np.float32))


def _without_border(view: Array) -> Array:
    view[[0, -1]] = 0
    view[:, [0, -1]] = 0
    return view
