"""Which pixel of one camera shows what a pixel of the other does: by a homography, or by lenses, pose and distance.

The *reference* is the camera whose view is kept, the *source* the one whose image is brought to it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from .homography import transform_points
from .lookup import Size, Trace
from .projection import project, rays
from .rigid_transform import RigidTransform

Window: TypeAlias = "tuple[int, int, int, int]"
"""Left and top pixel, width and height of a part of an image."""


def homography_trace(reference_to_source: NDArray[np.float64]) -> Trace:
    """Return the way by a homography (3, 3) of pixels: right for one plane, and for all places where cameras only turn.

    Distortion is none of it.
    """
    return lambda pixels: transform_points(reference_to_source, pixels)


def plane_trace(
    reference: CameraModel, source: CameraModel, reference_to_source: RigidTransform, distance: float
) -> Trace:
    """Return the way by both lenses, right for what is in a plane across the reference's axis, ``distance`` m ahead.

    Undistortion, the plane's homography and the other lens's distortion are one step. What is nearer or further is off
    by the parallax, f * baseline * (1 / its distance - 1 / distance). Models are those of the images sent.
    """

    def trace(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        points = rays(pixels, reference) * distance
        return project(reference_to_source.apply(points), source)

    return trace


def through_window(trace: Trace, size: Size, window: Window) -> Trace:
    """Return ``trace`` for a grid of ``size`` that covers ``window`` of its image from edge to edge."""
    left, top, width, height = window
    scale, corner = np.array([width, height]) / size, np.array([left, top])

    def trace_of_grid(pixels: NDArray[Any]) -> NDArray[np.float64]:
        return trace((pixels + 0.5) * scale - 0.5 + corner)

    return trace_of_grid


def largest_window(validity: NDArray[np.uint8]) -> Window:
    """Return the largest part of ``validity`` (H, W) that is nowhere 0; of no width and height where all is.

    By the histogram of heights above each row (largest rectangle under a skyline).
    """
    best: Window = (0, 0, 0, 0)
    heights = np.zeros(validity.shape[1], np.int64)
    for row, line in enumerate(validity):
        heights = np.where(line > 0, heights + 1, 0)
        waiting: list[tuple[int, int]] = []  # columns where a rectangle may begin, and its height
        for column, height in enumerate((*heights.tolist(), 0)):
            begin = column
            while waiting and waiting[-1][1] >= height:
                begin, high = waiting.pop()
                if high * (column - begin) > best[2] * best[3]:
                    best = begin, row - high + 1, column - begin, high
            waiting.append((begin, height))
    return best
