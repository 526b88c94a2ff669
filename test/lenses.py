"""Cameras for the tests of geometry, and the lens formulas written out, as sensor_msgs has them."""

from __future__ import annotations

import numpy as np

from hkdnet_ros.images.camera_model import CameraModel


def _k(fx, fy, cx, cy):
    return fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0


# A thermal lens of 45 degrees, and visible ones of 70 and more.
NARROW = CameraModel(640, 512, "thermal_optical", _k(770.0, 772.0, 322.5, 250.1), (-0.28, 0.11, 0.001, -0.0008, -0.02))
WIDE = CameraModel(960, 540, "visible_optical", _k(650.0, 648.0, 481.0, 266.0), (-0.12, 0.07, -0.0004, 0.0009, -0.02))
RATIONAL = CameraModel(
    960, 540, "visible_optical", _k(600.0, 601.0, 470.0, 275.0),
    (0.2, -0.05, 0.001, 0.0005, 0.01, 0.3, -0.03, 0.02), "rational_polynomial",
)  # fmt: skip
EQUIDISTANT = CameraModel(
    800, 600, "visible_optical", _k(330.0, 331.0, 402.0, 297.0), (0.02, -0.01, 0.004, -0.001), "equidistant"
)


def formula(points, model):
    """Return the pixels (..., 2) of points (..., 3) in front of a camera."""
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    radius = np.hypot(x, y)
    if model.distortion_model == "equidistant":
        angle = np.arctan(radius)
        k1, k2, k3, k4 = model.d
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        factor = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        x, y = x * factor, y * factor
    elif model.d:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*model.d, 0.0, 0.0, 0.0)[:8]
        factor = (1 + k1 * radius**2 + k2 * radius**4 + k3 * radius**6) / (
            1 + k4 * radius**2 + k5 * radius**4 + k6 * radius**6
        )
        x, y = (
            x * factor + 2 * p1 * x * y + p2 * (radius**2 + 2 * x**2),
            y * factor + p1 * (radius**2 + 2 * y**2) + 2 * p2 * x * y,
        )
    return np.stack([model.k[0] * x + model.k[2], model.k[4] * y + model.k[5]], axis=-1)


def turn(yaw, pitch, roll):
    """Return a rotation (3, 3) by angles in degrees about y, then x, then z."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y
