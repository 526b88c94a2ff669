"""Corners that are found again from one frame to the next: what visual odometry and SLAM live on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..lumas import Gray

MOST = 500
"""Corners per image, the strongest."""

NEAR = 3.0
"""Pixels by which a matched corner may miss where the motion of all puts it."""

FEWEST = 8
"""Matches that a motion is told from."""

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners of an image: where they are, (N, 2) float32, and their ORB descriptors, (N, 32) uint8."""

    points: Points
    descriptors: NDArray[np.uint8]


def corners(image: Gray) -> Corners:
    """Return the ORB corners of a gray image (Rublee and others, ICCV 2011)."""
    keypoints, descriptors = cv2.ORB.create(MOST).detectAndCompute(image, None)
    points = np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)
    return Corners(points, np.zeros((0, 32), np.uint8) if descriptors is None else descriptors.astype(np.uint8))


def matched(before: Corners, after: Corners) -> tuple[Points, Points]:
    """Return where the corners that match both ways lie before and after, (N, 2) each."""
    if not len(before.points) or not len(after.points):
        return before.points[:0], after.points[:0]
    matches: Sequence[cv2.DMatch] = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(
        before.descriptors, after.descriptors
    )
    old = np.array([match.queryIdx for match in matches], np.int64)
    new = np.array([match.trainIdx for match in matches], np.int64)
    return before.points[old], after.points[new]


def homography(old: Points, new: Points) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
    """Return the homography (3, 3) that most matches follow, and which do (N,), within NEAR; None for too few.

    A homography describes a camera that turns, or that looks at something far or flat; what moves by itself, and
    parallax, counts against it in every image alike.
    """
    if len(old) < FEWEST:
        return None
    model, inliers = cv2.findHomography(old, new, cv2.RANSAC, NEAR)
    return None if model is None else (model, inliers.ravel().astype(np.bool_))
