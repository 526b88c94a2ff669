"""The depth that one camera sees, as another one sees it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .correspondence import through_window
from .depth_warp import WIDEST
from .lookup import pixel_grid
from .projection import rays
from .reprojection import Reprojection, nearness, surrounding
from .rigid_transform import RigidTransform


class DepthView:
    """Brings depth images of ``owner`` to the view of ``other``. Models are those of the images sent.

    Points go to a pinhole first, which is quick, and from there to the other lens by a table that is made once.
    """

    def __init__(self, owner: CameraModel, other: CameraModel, owner_to_other: RigidTransform) -> None:
        seen = rays(pixel_grid((other.width, other.height)), other)[..., :2]
        low = np.maximum(np.nanmin(seen, axis=(0, 1)), -WIDEST)
        high = np.minimum(np.nanmax(seen, axis=(0, 1)), WIDEST)
        focal = other.k[0], other.k[4]
        centre = -low[0] * focal[0], -low[1] * focal[1]
        width, height = (int(np.ceil(side)) + 1 for side in (high - low) * focal)
        # A depth image much finer than the other view is looked at as finely as that, which says as much there.
        zoom = min(1.0, other.k[0] / owner.k[0])
        self._grid = max(1, round(owner.width * zoom)), max(1, round(owner.height * zoom))
        whole = (0, 0, owner.width, owner.height)
        directions = through_window(lambda pixels: rays(pixels, owner), self._grid, whole)(pixel_grid(self._grid))
        self._to_pinhole = Reprojection(directions, owner_to_other, focal, centre, (width, height))
        places = np.nan_to_num(seen * focal + centre, nan=-2.0)
        x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in range(2))
        self._maps = cv2.convertMaps(x, y, cv2.CV_16SC2, nninterpolation=True)

    def of(self, depth: NDArray[Any]) -> NDArray[np.float32]:
        """Return the depth (H, W) in metres in the other view, of what is nearest at each pixel; 0 where there is none.

        ``depth`` is (H, W), uint16 in mm or float32 in m, along the owner's axis. A pixel that no point falls on takes
        the nearest of those around it, for one image may be finer than the other.
        """
        near = nearness(cv2.resize(depth, self._grid, interpolation=cv2.INTER_NEAREST), np.nan)
        x, y, t, _ = self._to_pinhole.places(near)
        _, nearest = self._to_pinhole.front(x, y, t)
        nearest = np.where(nearest > 0, nearest, surrounding(nearest))
        bent = cv2.remap(nearest, *self._maps, cv2.INTER_NEAREST, borderValue=0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(bent > 0, np.float32(1) / bent, 0), np.float32)
