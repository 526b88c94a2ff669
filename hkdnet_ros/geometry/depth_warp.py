"""One camera's image brought to the view of another pixel by pixel, by the depth that the other sees, with occlusion.

Per image that has to be quick. So the source's lens is taken out first, by a table that is made once: what is left for
each pixel of each depth image is a pinhole (reprojection.py).
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
from .reprojection import Reprojection, nearness, surrounding
from .rigid_transform import RigidTransform

WIDEST = 2.5
"""The tangent of the angle from the other camera's axis that is brought over: 68 degrees."""

_NEAREST = 0.3  # m, for whose parallax the view without distortion has a margin
_MOST_PARALLAX = 1.5  # px, by which a pixel may lie behind another at the same place and still be seen
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
        return _warp(grid, nearness(z, 1 / self._distance), float(np.linalg.norm(self._pose.translation)))


@dataclass(frozen=True, slots=True)
class _Grid:
    """What does not change from image to image."""

    to_pinhole: Reprojection
    focal: float
    straight: LookupTable  # the source's image without distortion
    inner: NDArray[np.uint8]  # 255 where that shows something, and beside it, too

    @classmethod
    def of(cls, reference: CameraModel, source: CameraModel, pose: RigidTransform, size: Size, window: Window) -> _Grid:
        seen = through_window(lambda pixels: rays(pixels, reference)[..., :2], size, window)(pixel_grid(size))
        ahead = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], axis=-1)
        # No finer than the grid, so that nothing aliases, and no finer than the source, which has no more to show.
        zoom = min(1.0, reference.k[0] * size[0] / window[2] / source.k[0])
        focal = source.k[0] * zoom, source.k[4] * zoom
        low, high = _bounds(source, ahead @ pose.matrix[:3, :3].T, float(np.linalg.norm(pose.translation)) / _NEAREST)
        width, height = (max(2, int(np.ceil(side))) for side in (high - low) * focal)
        centre = -low[0] * focal[0], -low[1] * focal[1]
        pinhole = CameraModel(width, height, "", (focal[0], 0.0, centre[0], 0.0, focal[1], centre[1], 0.0, 0.0, 1.0))
        straight = LookupTable(
            lambda pixels: project(rays(pixels, pinhole), source), (width, height), (source.width, source.height)
        )
        inner = cv2.erode(straight.validity, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        to_pinhole = Reprojection(ahead, pose, focal, centre, (width, height))
        return cls(to_pinhole, focal[0], straight, np.asarray(inner, np.uint8))


class DepthWarp:
    """Where the pixels of a grid lie in a source's image at one moment."""

    def __init__(
        self,
        straight: LookupTable,
        places: tuple[NDArray[np.float32], NDArray[np.float32]],
        part: tuple[slice, slice],
        validity: NDArray[np.uint8],
    ) -> None:
        """``places`` are x and y in the grid of ``straight``, of the ``part`` outside which nothing is valid."""
        self.validity = validity
        """(H, W) uint8, 255 where the source image shows the pixel, 0 where it does not or something hides it."""
        self.is_complete = bool(validity.all())
        self._straight, self._part = straight, part
        self._x: NDArray[Any]
        self._y: NDArray[Any]
        self._x, self._y = cv2.convertMaps(*places, cv2.CV_16SC2) if places[0].size else places

    def apply(self, image: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        """Return ``image`` on the grid: (H, W) or (H, W, C), uint8, uint16 or float32; 0 where it is not valid."""
        on_grid = np.zeros((*self.validity.shape, *image.shape[2:]), image.dtype)
        part = on_grid[self._part]
        if part.size:
            straight = self._straight.apply(image, interpolation)
            seen = cv2.remap(straight, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            part[:] = cv2.copyTo(seen, np.ascontiguousarray(self.validity[self._part]))
        return on_grid


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


def _warp(grid: _Grid, near: NDArray[np.float32], baseline: float) -> DepthWarp:
    reprojection = grid.to_pinhole
    validity = np.zeros(near.shape, np.uint8)
    x, y, t, inside = reprojection.places(near)
    if not x.size:
        return DepthWarp(grid.straight, (x, y), reprojection.part, validity)
    index, nearest = reprojection.front(x, y, t)
    front = surrounding(nearest)
    front[grid.inner == 0] = np.inf  # nothing is seen there
    # What lies behind by no more than this is on the surface seen.
    hidden = front.take(index) - t > np.float32(_MOST_PARALLAX / max(grid.focal * baseline, 1e-9))
    validity[reprojection.part] = (inside & ~hidden).view(np.uint8) * np.uint8(255)
    return DepthWarp(grid.straight, (x, y), reprojection.part, validity)
