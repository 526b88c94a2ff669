"""One camera's image brought to the view of another pixel by pixel, by the depth that the other sees, with occlusion.

Per image that has to be quick. So the source's lens is taken out first, by a table that is made once: what is left for
each pixel of each depth image is a pinhole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .correspondence import Window, through_window
from .lookup import LookupTable, Size, pixel_grid
from .projection import project, rays
from .rigid_transform import RigidTransform

WIDEST = 2.5
"""The tangent of the angle from the other camera's axis that is brought over: 68 degrees."""

_NEAREST = 0.3  # m, for whose parallax the view without distortion has a margin
_MOST_PARALLAX = 1.5  # px, by which a pixel may lie behind another at the same place and still be seen
_FARTHEST = 1e6  # m; infinity, and what some cameras send for it
_KEPT = 6  # grids


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
        key = size, window
        if key not in self._grids:
            if len(self._grids) >= _KEPT:
                self._grids.pop(next(iter(self._grids)))
            self._grids[key] = _Grid.of(self._reference, self._source, self._pose, size, window)
        grid = self._grids[key]
        left, top, width, height = window
        # Nearest: between two depths there is nothing.
        z = cv2.resize(depth[top : top + height, left : left + width], size, interpolation=cv2.INTER_NEAREST)
        z = metres(z)
        z[z == 0] = self._distance
        return _warp(grid, z, float(np.linalg.norm(self._pose.translation)))


@dataclass(frozen=True, slots=True)
class _Grid:
    """What does not change from image to image."""

    directions: tuple[NDArray[np.float32], ...]  # x, y, z of the grid's rays in the source's axes, NaN where none
    shift: tuple[float, ...]
    focal: tuple[float, float]
    centre: tuple[float, float]
    straight: LookupTable  # the source's image without distortion
    inner: NDArray[np.uint8]  # 255 where that shows something, and beside it, too

    @classmethod
    def of(cls, reference: CameraModel, source: CameraModel, pose: RigidTransform, size: Size, window: Window) -> _Grid:
        seen = through_window(lambda pixels: rays(pixels, reference)[..., :2], size, window)(pixel_grid(size))
        ahead = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], axis=-1)
        directions = ahead @ pose.matrix[:3, :3].T
        # No finer than the grid, so that nothing aliases, and no finer than the source, which has no more to show.
        zoom = min(1.0, reference.k[0] * size[0] / window[2] / source.k[0])
        focal = source.k[0] * zoom, source.k[4] * zoom
        low, high = _bounds(source, directions, float(np.linalg.norm(pose.translation)) / _NEAREST)
        width, height = (max(2, int(np.ceil(side))) for side in (high - low) * focal)
        centre = -low[0] * focal[0], -low[1] * focal[1]
        pinhole = CameraModel(width, height, "", (focal[0], 0.0, centre[0], 0.0, focal[1], centre[1], 0.0, 0.0, 1.0))
        straight = LookupTable(
            lambda pixels: project(rays(pixels, pinhole), source), (width, height), (source.width, source.height)
        )
        inner = cv2.erode(straight.validity, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        x, y, z = (np.ascontiguousarray(directions[..., axis], np.float32) for axis in range(3))
        return cls((x, y, z), pose.translation, focal, centre, straight, np.asarray(inner, np.uint8))


class DepthWarp:
    """Where the pixels of a grid lie in a source's image at one moment."""

    def __init__(
        self, straight: LookupTable, x: NDArray[np.float32], y: NDArray[np.float32], validity: NDArray[np.uint8]
    ) -> None:
        self.validity = validity
        """(H, W) uint8, 255 where the source image shows the pixel, 0 where it does not or something hides it."""
        self.is_complete = bool(validity.all())
        self._straight, self._x, self._y = straight, x, y

    def apply(self, image: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        """Return ``image`` on the grid: (H, W) or (H, W, C), uint8, uint16 or float32; 0 where it is not valid."""
        straight = self._straight.apply(image, interpolation)
        on_grid = cv2.remap(straight, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return on_grid if self.is_complete else cv2.copyTo(on_grid, self.validity)


def metres(depth: NDArray[Any]) -> NDArray[np.float32]:
    """Return a depth image, uint16 in mm or float32 in m, in metres; 0 where it has no value."""
    z: NDArray[np.float32] = np.multiply(depth, np.float32(1e-3 if depth.dtype == np.uint16 else 1), dtype=np.float32)
    with np.errstate(invalid="ignore"):
        z[~((z > 0) & (z < _FARTHEST))] = 0
    return z


def _bounds(
    source: CameraModel, directions: NDArray[np.float64], margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and largest (x, y) at z = 1 in the source's axes that both cameras see."""
    pixels = pixel_grid((source.width, source.height))[::4, ::4]
    of_source = rays(pixels, source)[..., :2].reshape(-1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_reference = (directions[..., :2] / directions[..., 2:])[directions[..., 2] > 0].reshape(-1, 2)
    low, high = np.full(2, -WIDEST), np.full(2, WIDEST)
    for seen, room in ((of_source, 0.0), (of_reference, margin)):
        if np.isfinite(seen).any():
            low = np.maximum(low, np.nanmin(seen, axis=0) - room)
            high = np.minimum(high, np.nanmax(seen, axis=0) + room)
    return low, np.maximum(high, low)


def _warp(grid: _Grid, z: NDArray[np.float32], baseline: float) -> DepthWarp:
    (fx, fy), (cx, cy) = grid.focal, grid.centre
    x, y, far = (direction * z + np.float32(s) for direction, s in zip(grid.directions, grid.shift, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.float32(1) / far
        x *= inverse
        y *= inverse
    x *= np.float32(fx)
    x += np.float32(cx)
    y *= np.float32(fy)
    y += np.float32(cy)
    height, width = grid.inner.shape
    with np.errstate(invalid="ignore"):
        inside = (far > 0) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    place = np.rint(y[inside]).astype(np.intp) * width + np.rint(x[inside]).astype(np.intp)
    nearness = inverse[inside]
    # What is nearest at each place of the source's image, and beside it: its surfaces have holes where it is finer.
    front = np.zeros(height * width, np.float32)
    np.maximum.at(front, place, nearness)
    front = cv2.dilate(front.reshape(height, width), np.ones((3, 3), np.uint8)).ravel()
    is_seen = (front[place] - nearness) * np.float32(fx * baseline) <= _MOST_PARALLAX
    validity = np.zeros(z.shape, np.uint8)
    validity[inside] = np.where(is_seen, grid.inner.ravel()[place], 0)
    x[~inside] = y[~inside] = 0  # not shown, and quicker than a place outside
    return DepthWarp(grid.straight, x, y, validity)
