"""The depth that one camera sees, as another one sees it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .correspondence import through_window
from .depth_warp import WIDEST, SourceDepth
from .lookup import NearestTable, Size, pixel_grid
from .projection import rays
from .reprojection import Reprojection, filled, nearness, without_holes
from .rigid_transform import RigidTransform

_BORDER = 1  # px around the pinhole's view, which stand for what lies outside


class DepthView:
    """Brings depth images of ``owner`` to the view of ``other``. Models are those of the images sent.

    Points go to a pinhole first, which is quick, and from there to the other lens by a table that is made once.
    """

    def __init__(self, owner: CameraModel, other: CameraModel, owner_to_other: RigidTransform) -> None:
        seen = rays(pixel_grid((other.width, other.height)), other)[..., :2]
        low = np.maximum(np.nanmin(seen, axis=(0, 1)), -WIDEST)
        high = np.minimum(np.nanmax(seen, axis=(0, 1)), WIDEST)
        # No finer than the depth image: between its points there is nothing.
        zoom = min(1.0, owner.k[0] / other.k[0])
        focal = other.k[0] * zoom, other.k[4] * zoom
        centre = _BORDER - low[0] * focal[0], _BORDER - low[1] * focal[1]
        width, height = (int(np.ceil(side)) + 1 + 2 * _BORDER for side in (high - low) * focal)
        # A depth image much finer than the other view is looked at as finely as that, which says as much there.
        zoom = min(1.0, other.k[0] / owner.k[0])
        self._grid: Size = max(1, round(owner.width * zoom)), max(1, round(owner.height * zoom))
        whole = (0, 0, owner.width, owner.height)
        directions = through_window(lambda pixels: rays(pixels, owner), self._grid, whole)(pixel_grid(self._grid))
        self._to_pinhole = Reprojection(directions, owner_to_other, focal, centre, (width, height))
        self._bend = NearestTable(seen * focal + centre, (width, height))

    def of(self, depth: NDArray[Any], distance: float) -> SourceDepth:
        """Return what a depth image says in both views: in the other one of what is nearest at each pixel.

        ``depth`` is (H, W), uint16 in mm or float32 in m, along the owner's axis. A pixel that no point falls on takes
        the nearest of those around it, for one image may be finer than the other, and where there is none, ``distance``
        stands for its depth, in m.
        """
        rows, columns = self._to_pinhole.part
        near = nearness(cv2.resize(depth, self._grid, interpolation=cv2.INTER_NEAREST)[rows, columns])
        _, _, t, index = self._to_pinhole.places(near)
        nearest = without_holes(self._to_pinhole.front(index, t))
        of_reference = self._bend.apply(filled(nearest, 1 / distance))
        return SourceDepth(near, self._grid, (columns.start, rows.start), of_reference)
