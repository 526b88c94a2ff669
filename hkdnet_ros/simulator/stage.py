"""The truth images of one frame under construction, and the marks an actor leaves on them besides itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32
from .geometry import View
from .lighting import Lighting
from .sprites import Shade


@dataclass(slots=True)
class Stage:
    """Images at truth size, and what an actor must know of the standing scene to appear in them."""

    view: View  # of the truth
    light: Lighting
    colour: NDArray[np.uint8]  # (H, W, 3) displayed blue, green, red
    temperature: Array  # (H, W) deg C
    fine_depth: Array  # (o * H, o * W) metres, o times oversampled
    ground: Array  # (H, W) share of the pixel that is ground
    sunlit: Array  # (H, W) share of the sun that reaches the ground there
    flood: NDArray[np.uint8]  # (H, W, 3) the ground as headlights would show it

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.view.width, self.view.height

    @property
    def oversampling(self) -> int:
        """Fine pixels to a truth pixel on each side."""
        return int(self.fine_depth.shape[0] // self.view.height)

    def pixel_of(self, point: Array) -> tuple[int, int, bool]:
        """Return column and row of a world point, clipped to the image, and whether it lies inside and in front."""
        camera = self.view.camera_points(point)
        if camera[2] < 0.5:
            return 0, 0, False
        x, y = self.view.image_points(camera)
        inside = 0 <= x < self.view.width and 0 <= y < self.view.height
        return int(np.clip(x, 0, self.view.width - 1)), int(np.clip(y, 0, self.view.height - 1)), bool(inside)

    def sun_at(self, foot: Array) -> float:
        """Return the share of the sun at a place on the ground; 1 where the place is not seen."""
        x, y, inside = self.pixel_of(foot)
        return float(self.sunlit[y, x]) if inside and self.ground[y, x] > 0.5 else 1.0

    def shade_at(self, point: Array, sunlit: float) -> Shade:
        """Return the shade function of surfaces around ``point``."""
        return shade_at(self.light, self.view, point, sunlit)

    def ground_mask(self, polygons: Sequence[Array] | Array, blur: float) -> tuple[tuple[slice, slice], Array] | None:
        """Rasterise world polygons (N, 3) on the ground, blurred by ``blur`` pixels.

        Returns the window and the mask in [0, 1] inside it; None where nothing shows.
        """
        drawn = self.view.polygons(polygons)
        if not drawn:
            return None
        margin = int(3 * blur) + 2
        low = np.floor(np.min([p.min(axis=0) for p in drawn], axis=0)).astype(int) - margin
        high = np.ceil(np.max([p.max(axis=0) for p in drawn], axis=0)).astype(int) + margin
        left, right = np.clip((low[0], high[0]), 0, self.view.width)
        top, bottom = np.clip((low[1], high[1]), 0, self.view.height)
        if right <= left or bottom <= top:
            return None
        # A wide blur does not need every pixel: draw it small and enlarge it.
        coarse = max(1, int(blur / 2))
        mask = np.zeros((-(-(bottom - top) // coarse), -(-(right - left) // coarse)), np.uint8)
        corner = f32([left, top])
        for polygon in drawn:
            fixed = np.round((polygon - corner) * (16.0 / coarse)).astype(np.int32)
            cv2.fillConvexPoly(mask, fixed, 255.0, cv2.LINE_AA, 4)
        if blur > 0.3:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur / coarse), np.uint8)
        if coarse > 1:
            enlarged = cv2.resize(mask, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_LINEAR)
            mask = np.asarray(enlarged[: bottom - top, : right - left], np.uint8)
        window = slice(top, bottom), slice(left, right)
        return window, mask * (self.ground[window] * f32(1 / 255.0))

    def glow(self, point: Array, radius: float, colour: tuple[float, float, float]) -> None:
        """Add the glare of a light at a world point, ``radius`` metres wide, unless something stands before it."""
        x, y, inside = self.pixel_of(point)
        depth = float(self.view.camera_points(point)[2])
        if not inside or self.fine_depth[y * self.oversampling, x * self.oversampling] < depth - 0.6:
            return
        reach = int(np.clip(radius * self.view.focal / depth, 3, 200))
        spot = cv2.resize(_GLARE, (2 * reach + 1, 2 * reach + 1), interpolation=cv2.INTER_LINEAR)
        left, top = max(x - reach, 0), max(y - reach, 0)
        window = slice(top, y + reach + 1), slice(left, x + reach + 1)
        under = self.colour[window]
        spot = spot[top - y + reach :, left - x + reach :][: under.shape[0], : under.shape[1]]
        cv2.add(under, (spot[..., None] * f32(colour)).astype(np.uint8), dst=under)


def shade_at(light: Lighting, view: View, point: Array, sunlit: float) -> Shade:
    """Return the :data:`Shade` of things around ``point`` (3,): albedos and normals to displayed colours."""
    distance = float(np.linalg.norm(point - view.position))

    def shade(albedo: Array, normals: Array) -> Array:
        return light.display(albedo * light.irradiance(normals, point, sunlit), distance)

    return shade


def _glare() -> Array:
    rows, columns = np.mgrid[-1:1:65j, -1:1:65j]
    away = np.hypot(rows, columns)
    glare = np.exp(-((away / 0.07) ** 2)) + 0.35 * np.exp(-away / 0.13) + 0.05 * np.exp(-((away / 0.45) ** 2))
    return np.asarray(np.clip(glare * np.clip((1 - away) * 4, 0, 1), 0, 1), np.float32)


_GLARE = _glare()


class Actor(Protocol):
    """Something that moves."""

    def arrange(self, time: float, stage: Stage) -> float:
        """Take the place of ``time`` seconds; returns the distance along the optical axis in metres."""
        ...

    def shade_ground(self, stage: Stage) -> None:
        """Draw shadow, warmth and light on the ground."""
        ...

    def draw(self, stage: Stage) -> None:
        """Draw the actor itself."""
        ...
