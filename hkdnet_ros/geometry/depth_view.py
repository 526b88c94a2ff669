"""The depth that one camera sees, as another one sees it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .correspondence import through_window
from .depth_warp import WIDEST
from .lookup import NearestTable, Size, pixel_grid
from .projection import rays
from .reprojection import Reprojection, chosen, nearness, without_holes
from .rigid_transform import RigidTransform

_BORDER = 3  # px around the pinhole's view: one that stands for what lies outside, and room for points beside the edge
_RIM = 1  # px along the owner's border, whose depth does not count
_APART = 1.9  # px of the pinhole, that points may be apart: what shows between them is filled
_NO_DEPTH = 1e-9  # 1/m, of a point that has no depth: behind all that has one


class DepthView:
    """Brings depth images of ``owner`` to the view of ``other``. Models are those of the images sent.

    Points go to a pinhole first, which is quick, and from there to the other lens by a table that is made once.
    """

    def __init__(self, owner: CameraModel, other: CameraModel, owner_to_other: RigidTransform) -> None:
        # A depth image much finer than the other view is looked at as finely as that, which says as much there.
        zoom = min(1.0, other.k[0] / owner.k[0])
        self._grid: Size = max(1, round(owner.width * zoom)), max(1, round(owner.height * zoom))
        whole = (0, 0, owner.width, owner.height)
        directions = through_window(lambda pixels: rays(pixels, owner), self._grid, whole)(pixel_grid(self._grid))
        rim = np.ones(directions.shape[:2], np.bool_)
        rim[_RIM:-_RIM, _RIM:-_RIM] = False
        with np.errstate(invalid="ignore"):
            rim |= np.abs(directions[..., :2]).max(axis=-1) > WIDEST
        directions[rim] = np.nan  # beside what these show the owner may show nothing
        seen = rays(pixel_grid((other.width, other.height)), other)[..., :2]
        low = np.maximum(np.nanmin(seen, axis=(0, 1)), -WIDEST)
        high = np.minimum(np.nanmax(seen, axis=(0, 1)), WIDEST)
        # No finer than the depth image: between its points there is nothing.
        zoom = min(1.0, _APART / (_apart(directions) * other.k[0]))
        focal = other.k[0] * zoom, other.k[4] * zoom
        centre = _BORDER - low[0] * focal[0], _BORDER - low[1] * focal[1]
        width, height = (int(np.ceil(side)) + 1 + 2 * _BORDER for side in (high - low) * focal)
        self._to_pinhole = Reprojection(directions, owner_to_other, focal, centre, (width, height))
        self._bend = NearestTable(seen * focal + centre, (width, height))

    def of(self, depth: NDArray[Any], distance: float) -> NDArray[np.float32]:
        """Return the nearness (H, W), in 1/m, of what is seen at each pixel of the other view; 0 where ``owner`` sees
        nothing of that, since something hides it or it lies outside.

        ``depth`` is (H, W), uint16 in mm or float32 in m, along the owner's axis. ``distance``, in m, stands for it
        where there is none, behind all that has one.
        """
        pinhole = self._to_pinhole
        on_grid = cv2.resize(depth, self._grid, interpolation=cv2.INTER_NEAREST)
        near, known = nearness(on_grid[pinhole.part], 1 / distance)
        crop = pinhole.crop(near)
        x, y, t = pinhole.places(near[crop], crop)
        front = pinhole.front(pinhole.pixels(x, y), chosen(t, known[crop], _NO_DEPTH))
        seen = self._bend.apply(without_holes(front))
        return chosen(seen, (seen != np.float32(_NO_DEPTH)).view(np.uint8), 1 / distance)


def _apart(directions: NDArray[np.float64]) -> float:
    """Return how far points at z = 1 (H, W, 3) are from their neighbours, where that is far."""
    steps = np.abs(np.diff(directions[..., 0], axis=1))
    steps = steps[np.isfinite(steps)]
    return float(np.percentile(steps, 95)) if steps.size else np.inf
