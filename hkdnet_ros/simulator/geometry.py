"""The pinhole view both simulated cameras share, and rays against axis-aligned boxes.

World axes in metres: x to the right, y up, z along the street; the ground is y = 0. Pixels have the centre of the first
one at (0, 0), as in sensor_msgs/CameraInfo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32

NEAR = 0.4  # metres in front of the camera where drawn polygons are cut off
LEAST_HIT = 1e-3  # ray parameter below which a hit counts for none: the ray begins on that face


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera at ``position``; ``rotation`` rows are its right, down and forward axes in world coordinates."""

    width: int
    height: int
    focal: float  # pixels
    position: Array  # (3,)
    rotation: Array  # (3, 3)

    @classmethod
    def looking(
        cls, width: int, height: int, *, fov: float, position: tuple[float, ...], yaw: float, pitch: float
    ) -> View:
        """Build a view from angles in degrees: ``fov`` over the larger side, ``yaw`` to the right, ``pitch`` down."""
        focal = 0.5 * max(width, height) / np.tan(np.radians(fov) / 2)
        sin_yaw, cos_yaw = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
        sin_pitch, cos_pitch = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
        right = (cos_yaw, 0.0, -sin_yaw)
        forward = (sin_yaw * cos_pitch, -sin_pitch, cos_yaw * cos_pitch)
        down = np.cross(f32(right), f32(forward))  # world axes are left-handed (y up)
        return cls(width, height, float(focal), f32(position), np.stack([f32(right), f32(down), f32(forward)]))

    def scaled(self, factor: int) -> View:
        """Return the view of an image with ``factor`` times the pixels on each side."""
        return View(self.width * factor, self.height * factor, self.focal * factor, self.position, self.rotation)

    @property
    def centre(self) -> tuple[float, float]:
        """Principal point (cx, cy) in pixels."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    def rays(self) -> Array:
        """Return (H, W, 3) world directions through the pixel centres, with unit length along the optical axis."""
        cx, cy = self.centre
        u = (np.arange(self.width, dtype=np.float32) - cx) / self.focal
        v = (np.arange(self.height, dtype=np.float32) - cy) / self.focal
        camera = np.stack(np.broadcast_arrays(u[None, :], v[:, None], f32(1.0)), axis=-1)
        return f32(camera @ self.rotation)

    def camera_points(self, points: Array) -> Array:
        """Bring (..., 3) world points into camera coordinates."""
        return f32((points - self.position) @ self.rotation.T)

    def image_points(self, points: Array) -> Array:
        """Project (..., 3) camera points with z > 0 to (..., 2) pixels."""
        return points[..., :2] * (self.focal / points[..., 2:]) + f32(self.centre)

    def polygon(self, points: Array) -> Array:
        """Project a world polygon (N, 3), cut at the near plane; fewer than three points are left where none shows."""
        points = self.camera_points(points)
        if (points[:, 2] < NEAR).any():
            points = _cut_near(points)
        return self.image_points(points)

    def polygons(self, polygons: Sequence[Array] | Array) -> list[Array]:
        """Project world polygons, N of (M, 3) or one array (N, M, 3); leaves out those that do not show."""
        if isinstance(polygons, np.ndarray):
            points = self.camera_points(polygons)
            if float(points[..., 2].min()) >= NEAR:
                return list(self.image_points(points))
        return [polygon for polygon in map(self.polygon, polygons) if len(polygon) >= 3]


def _cut_near(points: Array) -> Array:
    """Sutherland and Hodgman's clip of one polygon (N, 3) in camera coordinates at z = NEAR."""
    kept = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] >= NEAR:
            kept.append(start)
        if (start[2] >= NEAR) != (end[2] >= NEAR):
            kept.append(start + (end - start) * ((NEAR - start[2]) / (end[2] - start[2])))
    return np.asarray(kept, dtype=np.float32).reshape(-1, 3)


def axes(heading: float) -> Array:
    """Return the rotation (3, 3) whose rows are right, up and ahead for a heading in radians from z towards x."""
    return f32([(np.cos(heading), 0, -np.sin(heading)), (0, 1, 0), (np.sin(heading), 0, np.cos(heading))])


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box between two corners, in metres."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


def hit_box(origin: Array, direction: Array, box: Box) -> tuple[Array, NDArray[np.int8]]:
    """Intersect rays with a box by the slab method.

    ``origin`` and ``direction`` broadcast to (..., 3). Returns the ray parameter of the first hit, inf where none, and
    the axis (0, 1, 2) of the face hit. A hit before LEAST_HIT is none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / direction
        shape = np.broadcast_shapes(origin.shape, direction.shape)[:-1]
        near = np.full(shape, -np.inf, np.float32)
        far = np.full(shape, np.inf, np.float32)
        axis = np.zeros(shape, np.int8)
        for i in range(3):
            to_low = (box.low[i] - origin[..., i]) * inverse[..., i]
            to_high = (box.high[i] - origin[..., i]) * inverse[..., i]
            first = np.fmin(to_low, to_high)
            axis[first > near] = i
            near = np.fmax(near, first)
            far = np.fmin(far, np.fmax(to_low, to_high))
    return np.where((near <= far) & (near > LEAST_HIT), near, f32(np.inf)).astype(np.float32), axis
