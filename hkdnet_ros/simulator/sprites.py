"""Anti-aliased polygons with a colour and a temperature, drawn on a small canvas and laid over the scene.

Both modalities come from the same polygons, so that an object has one silhouette. A canvas has a few times
the pixels of the truth on each side; its colours are premultiplied with the coverage.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32

Shade = Callable[[Array, Array], Array]  # albedos (N, 3) and normals (N, 3) to displayed colours (N, 3)
_SHIFT = 4  # fractional bits of a vertex handed to OpenCV
COLDEST, HOTTEST = -15.0, 112.5  # deg C that the canvas can hold, in steps of half a kelvin before area reduction


class Canvas:
    """A window of the truth image, with a margin for soft edges, into which one object is drawn."""

    def __init__(self, bounds: tuple[float, float, float, float], size: tuple[int, int], factor: int) -> None:
        """Open a window around ``bounds`` (left, top, right, bottom) in pixels of an image ``factor`` times ``size``.

        ``size`` is width, height. A window that lies outside the image is empty.
        """
        width, height = size
        self.left = int(np.clip(np.floor(bounds[0] / factor) - 2, 0, width))
        self.top = int(np.clip(np.floor(bounds[1] / factor) - 2, 0, height))
        self.right = int(np.clip(np.ceil(bounds[2] / factor) + 3, self.left, width))
        self.bottom = int(np.clip(np.ceil(bounds[3] / factor) + 3, self.top, height))
        self.factor = factor
        shape = ((self.bottom - self.top) * factor, (self.right - self.left) * factor)
        self.paint = np.zeros((*shape, 4), np.uint8)  # blue, green, red, temperature code
        self.coverage = np.zeros(shape, np.uint8)
        self._corner = f32([self.left * factor, self.top * factor])

    @property
    def empty(self) -> bool:
        """Whether nothing of the window lies inside the image."""
        return self.coverage.size == 0

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the truth image that the canvas covers."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def fine_window(self) -> tuple[slice, slice]:
        """Rows and columns of the oversampled image that the canvas covers."""
        f = self.factor
        return slice(self.top * f, self.bottom * f), slice(self.left * f, self.right * f)

    def polygon(
        self, points: Array, colour: Array, temperature: float, *, convex: bool = True, inner: bool = False
    ) -> None:
        """Fill a polygon (N, 2) in oversampled pixels with a displayed colour (3,) in [0, 255] and a temperature.

        ``inner`` says that it lies within what is drawn already.
        """
        if len(points) < 3:
            return
        fixed = ((points - self._corner) * (1 << _SHIFT)).astype(np.int32)
        code = min(max((temperature - COLDEST) / (HOTTEST - COLDEST) * 255.0, 0.0), 255.0)
        value = (float(colour[0]), float(colour[1]), float(colour[2]), code)
        if convex:
            cv2.fillConvexPoly(self.paint, fixed, value, cv2.LINE_AA, _SHIFT)
            if not inner:
                cv2.fillConvexPoly(self.coverage, fixed, 255.0, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(self.paint, [fixed], value, cv2.LINE_AA, _SHIFT)
            cv2.fillPoly(self.coverage, [fixed], 255.0, cv2.LINE_AA, _SHIFT)

    def soften(self, sigma: float) -> None:
        """Blur the paint inside the silhouette, which turns flat facets into round ones."""
        side = 2 * round(1.6 * sigma) + 1  # a box of the same variance
        if side < 3 or self.empty:
            return
        blurred = cv2.blur(self.paint, (side, side), borderType=cv2.BORDER_CONSTANT)
        weight = np.maximum(cv2.blur(self.coverage, (side, side), borderType=cv2.BORDER_CONSTANT), 1)
        restored = cv2.multiply(
            blurred, cv2.merge([cv2.divide(self.coverage, weight, dtype=cv2.CV_32F)] * 4), dtype=cv2.CV_8U
        )
        self.paint = np.minimum(restored, self.coverage[..., None])

    def texture(self, gain: Array) -> None:
        """Multiply the colour by ``gain`` (same size as the canvas, around 1)."""
        shaded = self.paint[..., :3] * gain[..., None]
        self.paint[..., :3] = np.clip(shaded, 0, 255).astype(np.uint8)

    def hide_behind(self, depth: Array, distance: float) -> None:
        """Remove what stands behind nearer things: ``depth`` is the whole oversampled depth map in metres."""
        seen = depth[self.fine_window] > distance
        self.paint *= seen[..., None]
        self.coverage *= seen

    def lay_over(self, colour: NDArray[np.uint8] | Array, temperature: Array, opacity: float = 1.0) -> None:
        """Blend the canvas into truth images (H, W, 3) and (H, W) of the unfactored size, in place."""
        if self.empty:
            return
        size = (self.right - self.left, self.bottom - self.top)
        paint = f32(cv2.resize(self.paint.astype(np.float32), size, interpolation=cv2.INTER_AREA))
        coverage = f32(cv2.resize(self.coverage.astype(np.float32), size, interpolation=cv2.INTER_AREA))
        coverage *= opacity / 255.0
        if opacity < 1.0:
            paint *= opacity
        clear = 1.0 - coverage
        under = colour[self.window]
        mixed = under * clear[..., None] + paint[..., :3]
        under[...] = mixed + 0.5 if under.dtype == np.uint8 else mixed
        heat = temperature[self.window]
        heat *= clear
        heat += COLDEST * coverage + paint[..., 3] * ((HOTTEST - COLDEST) / 255.0)


_ARC = np.linspace(-1.0, 1.0, 7, dtype=np.float32)


def limbs(starts: Array, ends: Array, start_radii: Array, end_radii: Array) -> Array:
    """Return outlines (P, 14, 2) of tapered limbs: two circles and their tangents each; points (P, 2), radii (P,)."""
    along = ends - starts
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-3)
    heading = np.arctan2(along[:, 1], along[:, 0])[:, None]
    half = np.pi / 2 - np.arcsin(np.clip((start_radii - end_radii) / length, -1.0, 1.0))[:, None]
    around_end = heading + half * _ARC
    around_start = heading + np.pi + (np.pi - half) * _ARC
    tip = np.stack([np.cos(around_end), np.sin(around_end)], axis=-1) * end_radii[:, None, None] + ends[:, None]
    root = (
        np.stack([np.cos(around_start), np.sin(around_start)], axis=-1) * start_radii[:, None, None] + starts[:, None]
    )
    return np.concatenate([tip, root], axis=1).astype(np.float32)
