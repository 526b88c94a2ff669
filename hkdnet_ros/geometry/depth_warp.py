"""One camera's image brought to the view of another pixel by pixel, by the depth that the other sees, with occlusion.

Per image that has to be quick. So the source's lens is taken out first, by a table that is made once: what is left for
each pixel of each depth image is a pinhole (reprojection.py). What hides a pixel from the source is what the reference
sees in front there; where the depth image is the source's own, that says it before (depth_view.py).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .correspondence import Window, through_window
from .lookup import LookupTable, Size, pixel_grid
from .projection import project, rays
from .reprojection import Array, Part, Reprojection, nearness, of_grid, surrounding
from .rigid_transform import RigidTransform

WIDEST = 2.5
"""The tangent of the angle from the other camera's axis that is brought over: 68 degrees."""

_FAR, _NEAREST = 1e6, 0.3  # m, between which the view without distortion has room for all
_BORDER = 1  # px around it, which stand for what lies outside
_MOST_PARALLAX = 1.5  # px, by which a pixel may lie behind another at the same place and still be seen
_KEPT = 6  # grids
# 1/m, at which is looked where points may lie, and so close that between two all is as there.
_SURE = 0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5, 1 / _NEAREST
_WHOLE = np.s_[:, :]
_LEAST_PLACE = np.ones((2, 2), np.uint8)
_STEP = 4  # px of the source, in which its bounds are looked at


class DepthGeometry:
    """Two lenses and their pose, from which depth images make warps."""

    def __init__(
        self, reference: CameraModel, source: CameraModel, reference_to_source: RigidTransform, distance: float
    ) -> None:
        """``distance`` stands for depth where there is none, in metres. Models are those of the images sent."""
        self._reference, self._source = reference, source
        self._pose, self._distance = reference_to_source, distance
        self._grids: dict[tuple[Size, Window], _Grid] = {}

    def warp(self, depth: NDArray[Any], size: Size, window: Window) -> DepthWarp:
        """Return the warp to a grid of ``size`` that covers ``window`` of the reference's image.

        ``depth`` is (H, W) along the reference's axis, of its image's size: uint16 in mm or float32 in m. 0, NaN and
        infinity mean that there is none.
        """
        grid = self._grid(size, window)
        reprojection, validity = grid.to_pinhole, np.zeros(size[::-1], np.uint8)
        near, _ = nearness(_on_grid(depth, size, window)[reprojection.part], 1 / self._distance)
        crop = reprojection.crop(near)
        part = of_grid(crop, reprojection.part)
        x, y, t = reprojection.places(near[crop], crop)
        if x.size:
            index = reprojection.pixels(x, y)
            front = np.maximum(surrounding(reprojection.front(index, t)), grid.unseen)
            # What lies behind by no more than this is on the surface seen.
            behind = _MOST_PARALLAX / max(grid.focal * float(np.linalg.norm(self._pose.translation)), 1e-9)
            seen = front.take(index) - t <= np.float32(behind)
            validity[part] = _without_threads(seen)
        return DepthWarp(grid.straight, (x, y), part, validity)

    def warp_of_seen(self, near: Array, size: Size, window: Window) -> DepthWarp:
        """Return the warp by the nearness (H, W), in 1/m, of what the source sees, too, at each pixel of the reference.

        It is that of :meth:`~.depth_view.DepthView.of`: 0 where the source sees nothing of it.
        """
        grid = self._grid(size, window)
        reprojection, validity = grid.to_pinhole, np.zeros(size[::-1], np.uint8)
        part = reprojection.part
        near = _on_grid(near, size, window)[part]
        x, y, _ = reprojection.places(near, _WHOLE)
        seen = (near > 0) & (near <= np.float32(_SURE[-1]))  # what is nearer may lie outside the straight image
        unsure = grid.unsure_at(near)  # what the view of the source's depth rounds may lie beside its image
        if unsure.size:
            index = reprojection.pixels(x.take(unsure)[None], y.take(unsure)[None])
            seen.ravel()[unsure] &= grid.unseen.take(index[0]) == 0
        validity[part] = _without_threads(seen)
        return DepthWarp(grid.straight, (x, y), part, validity)

    def _grid(self, size: Size, window: Window) -> _Grid:
        key = size, window
        if key not in self._grids:
            if len(self._grids) >= _KEPT:
                self._grids.pop(next(iter(self._grids)))
            self._grids[key] = _Grid.of(self._reference, self._source, self._pose, size, window)
        return self._grids[key]


def _on_grid(depth: NDArray[Any], size: Size, window: Window) -> NDArray[Any]:
    """Return a window of a depth image at another size; between two depths there is nothing, so the nearest pixel's."""
    left, top, width, height = window
    if size == (width, height):
        return depth[top : top + height, left : left + width]
    return cv2.resize(depth[top : top + height, left : left + width], size, interpolation=cv2.INTER_NEAREST)


def _without_threads(seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 where a place of 2x2 pixels or more is seen, else 0.

    Less is what rounding leaves where rays graze a surface, pass the rim of a view, or lie far apart.
    """
    mask: NDArray[np.uint8] = np.multiply(seen.view(np.uint8), np.uint8(255))
    if not mask.size:
        return mask
    corners = cv2.erode(mask, _LEAST_PLACE, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.dilate(corners, _LEAST_PLACE, anchor=(1, 1)), np.uint8)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What does not change from image to image."""

    to_pinhole: Reprojection
    focal: float
    straight: LookupTable  # the source's image without distortion
    unseen: Array  # infinitely near where that shows nothing, and beside it, too; else 0
    # Pixels of the part that, up to each nearness of _SURE, lie where the straight image shows nothing.
    unsure: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, reference: CameraModel, source: CameraModel, pose: RigidTransform, size: Size, window: Window) -> _Grid:
        seen = through_window(lambda pixels: rays(pixels, reference)[..., :2], size, window)(pixel_grid(size))
        ahead = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], axis=-1)
        # No finer than the grid, so that nothing aliases, and no finer than the source, which has no more to show.
        zoom = min(1.0, reference.k[0] * size[0] / window[2] / source.k[0])
        focal = source.k[0] * zoom, source.k[4] * zoom
        low, high = _bounds(source, ahead, pose)
        width, height = (2 * _BORDER + max(2, int(np.ceil(side))) for side in (high - low) * focal)
        centre = _BORDER - low[0] * focal[0], _BORDER - low[1] * focal[1]
        pinhole = CameraModel(width, height, "", (focal[0], 0.0, centre[0], 0.0, focal[1], centre[1], 0.0, 0.0, 1.0))
        straight = LookupTable(
            lambda pixels: project(rays(pixels, pinhole), source), (width, height), (source.width, source.height)
        )
        shown = cv2.erode(straight.validity, np.ones((3, 3), np.uint8), borderValue=0)
        unseen = np.where(np.asarray(shown) > 0, np.float32(0), np.float32(np.inf))
        to_pinhole = Reprojection(ahead, pose, focal, centre, (width, height))
        return cls(to_pinhole, focal[0], straight, unseen, _unsure(to_pinhole, unseen))

    def unsure_at(self, near: Array) -> NDArray[np.intp]:
        """Return the pixels of the part, row by row, that may lie where the straight image shows nothing."""
        level = bisect.bisect_left(_SURE, float(near.max(initial=0.0)))
        return self.unsure[min(level, len(_SURE) - 1)]


class DepthWarp:
    """Where the pixels of a grid lie in a source's image at one moment."""

    def __init__(
        self,
        straight: LookupTable,
        places: tuple[Array, Array],
        part: Part,
        validity: NDArray[np.uint8],
    ) -> None:
        """``places`` are x and y in the grid of ``straight``, of the ``part`` outside which nothing is valid."""
        self.validity = validity
        """(H, W) uint8, 255 where the source image shows the pixel, 0 where it does not or something hides it."""
        self.is_complete = bool(validity.all())
        self._straight, self._part = straight, part
        self._x, self._y = places

    def apply(self, image: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        """Return ``image`` on the grid: (H, W) or (H, W, C), uint8, uint16 or float32; 0 where it is not valid."""
        on_grid = np.zeros((*self.validity.shape, *image.shape[2:]), image.dtype)
        if self._x.size:
            straight = self._straight.apply(image, interpolation)
            is_colour = image.dtype == np.uint8 and image.shape[2:] == (3,)
            if is_colour:  # OpenCV is quicker at four channels than at three
                straight = cv2.cvtColor(straight, cv2.COLOR_BGR2BGRA)
            seen = cv2.remap(straight, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if is_colour:
                seen = cv2.cvtColor(seen, cv2.COLOR_BGRA2BGR)
            cv2.copyTo(seen, self.validity[self._part], dst=on_grid[self._part])
        return on_grid


def _unsure(to_pinhole: Reprojection, unseen: Array) -> tuple[NDArray[np.intp], ...]:
    """Return, for each nearness of _SURE, which pixels lie where a view is ``unseen``, at it or at one before."""
    rows, columns = to_pinhole.part
    shape = rows.stop - rows.start, columns.stop - columns.start
    found, levels = np.zeros(shape, np.bool_), []
    for near in _SURE:
        x, y, _ = to_pinhole.places(np.full(shape, near, np.float32), _WHOLE)
        found |= unseen.take(to_pinhole.pixels(x, y)) > 0
        levels.append(np.flatnonzero(found))
    return tuple(levels)


def _bounds(
    source: CameraModel, directions: NDArray[np.float64], pose: RigidTransform
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and largest (x, y) at z = 1 in the source's axes that both cameras see.

    ``directions`` (H, W, 3) are the reference's at z = 1. What it sees lies between where that would be far and near.
    """
    # Some of the pixels tell, the outermost among them.
    some = np.ix_(*(np.append(np.arange(0, side - 1, _STEP), side - 1) for side in (source.height, source.width)))
    pixels = pixel_grid((source.width, source.height))[some]
    of_source = rays(pixels, source)[..., :2].reshape(-1, 2)
    far, near = (_sides(pose.apply(directions * distance)) for distance in (_FAR, _NEAREST))
    limits = [of_source]
    if not (np.isfinite(far) ^ np.isfinite(near)).any():  # else something passes the source's camera on its way
        limits.append(np.concatenate([far, near]))
    low, high = np.full(2, -WIDEST), np.full(2, WIDEST)
    for seen in limits:
        if np.isfinite(seen).any():
            low = np.maximum(low, np.nanmin(seen, axis=0))
            high = np.minimum(high, np.nanmax(seen, axis=0))
    return low, np.maximum(high, low)


def _sides(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x, y) at z = 1 of points (H, W, 3), as (H * W, 2); NaN where they are not ahead."""
    x_y, z = points.reshape(-1, 3)[:, :2], points.reshape(-1, 3)[:, 2:]
    with np.errstate(invalid="ignore"):
        return np.asarray(x_y / np.where(z > 0, z, np.nan))
