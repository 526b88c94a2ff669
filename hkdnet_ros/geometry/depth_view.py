"""The depth that one camera sees, as another one sees it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .depth_warp import WIDEST, metres
from .lookup import pixel_grid
from .projection import rays
from .rigid_transform import RigidTransform


class DepthView:
    """Brings depth images of ``owner`` to the view of ``other``. Models are those of the images sent.

    Points go to a pinhole first, which is quick, and from there to the other lens by a table that is made once.
    """

    def __init__(self, owner: CameraModel, other: CameraModel, owner_to_other: RigidTransform) -> None:
        directions = rays(pixel_grid((owner.width, owner.height)), owner) @ owner_to_other.matrix[:3, :3].T
        self._directions = tuple(np.ascontiguousarray(directions[..., axis], np.float32) for axis in range(3))
        self._shift = owner_to_other.translation
        seen = rays(pixel_grid((other.width, other.height)), other)[..., :2]
        low = np.maximum(np.nanmin(seen, axis=(0, 1)), -WIDEST)
        high = np.minimum(np.nanmax(seen, axis=(0, 1)), WIDEST)
        self._focal = other.k[0], other.k[4]
        self._centre = -low[0] * self._focal[0], -low[1] * self._focal[1]
        self._size = tuple(int(np.ceil(side)) + 1 for side in (high - low) * self._focal)
        places = np.nan_to_num(seen * self._focal + self._centre, nan=-2.0)
        self._maps = tuple(np.ascontiguousarray(places[..., axis], np.float32) for axis in range(2))

    def of(self, depth: NDArray[Any]) -> NDArray[np.float32]:
        """Return the depth (H, W) in metres in the other view, of what is nearest at each pixel; 0 where there is none.

        ``depth`` is (H, W), uint16 in mm or float32 in m, along the owner's axis. A pixel that no point falls on takes
        the nearest of those around it, for one image may be finer than the other.
        """
        z = metres(depth)
        x, y, far = (direction * z + np.float32(s) for direction, s in zip(self._directions, self._shift, strict=True))
        width, height = self._size
        with np.errstate(divide="ignore", invalid="ignore"):
            nearness = np.float32(1) / far
            x = x * nearness * np.float32(self._focal[0]) + np.float32(self._centre[0])
            y = y * nearness * np.float32(self._focal[1]) + np.float32(self._centre[1])
            inside = (z > 0) & (far > 0) & (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
        place = np.rint(y[inside]).astype(np.intp) * width + np.rint(x[inside]).astype(np.intp)
        flat = np.zeros(height * width, np.float32)
        np.maximum.at(flat, place, nearness[inside])
        seen = flat.reshape(height, width)
        around = np.asarray(cv2.dilate(seen, np.ones((3, 3), np.uint8)), np.float32)
        seen = np.where(seen > 0, seen, around)
        bent = cv2.remap(seen, self._maps[0], self._maps[1], cv2.INTER_NEAREST, borderValue=0)
        in_metres = np.zeros_like(bent)
        np.divide(1, bent, out=in_metres, where=bent > 0)
        return np.asarray(in_metres, np.float32)
