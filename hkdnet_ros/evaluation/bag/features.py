"""Corners that are found again from one frame to the next: what visual odometry and SLAM live on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .lumas import Gray

MOST = 500
"""Corners per image, the strongest."""

NEAR = 3.0
"""Pixels by which a matched corner may miss where the motion of all puts it."""

_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners of an image: where they are, (N, 2) float32, and their ORB descriptors, (N, 32) uint8."""

    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def corners(image: Gray) -> Corners:
    """Return the ORB corners of a gray image (Rublee and others, ICCV 2011)."""
    keypoints, descriptors = cv2.ORB.create(MOST).detectAndCompute(image, None)
    points = np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)
    return Corners(points, np.zeros((0, 32), np.uint8) if descriptors is None else descriptors.astype(np.uint8))


def matched(before: Corners, after: Corners) -> tuple[int, int]:
    """Return how many corners match both ways, and how many of them move as one homography says, within NEAR.

    A homography describes a camera that turns, or that looks at something far or flat; what moves by itself, and
    parallax, counts against it in every image alike.
    """
    if min(len(before.points), len(after.points)) < _FEWEST:
        return 0, 0
    matches: Sequence[cv2.DMatch] = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(
        before.descriptors, after.descriptors
    )
    if len(matches) < _FEWEST:
        return len(matches), 0
    old = before.points[[match.queryIdx for match in matches]]
    new = after.points[[match.trainIdx for match in matches]]
    model, inliers = cv2.findHomography(old, new, cv2.RANSAC, NEAR)
    return len(matches), int(inliers.sum()) if model is not None else 0
