"""How the camera moved from one frame to the next, by corners that both show: what visual odometry is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ....geometry.projection import image_model, rays
from ....images.camera_model import CameraModel
from .features import FEWEST, NEAR, Points, homography

MOVED, TURNED, PLANE = "moved", "turned", "plane"

_FEWEST = 15
_AGREE = 0.25  # of the matches at least, for a motion is fitted to chance, too
_ALIKE = 0.9  # of the matches that a freer model explains: the stricter one is as good
_AHEAD = 0.5  # of those with parallax, that have to lie ahead of both cameras; what is far may lie anywhere
_FAR = 1e4  # lengths of the translation, up to which depth is asked for
_LINE = NEAR * (3.84 / 5.99) ** 0.5  # px off a line that are as likely as NEAR off a point, by chi squared

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion between two frames, ``before_to_after``, as far as the matches tell it.

    ``kind`` says what they show. MOVED: parallax; ``rotation`` (3, 3) and ``direction`` (3,), the unit vector of the
    translation, are known, its length is not. TURNED: no parallax, as where the camera stands or turns, or all is far;
    the rotation is known. PLANE: a translation before something flat, which two rotations explain equally well; neither
    is told. ``inliers`` is how many matches agree.
    """

    kind: str
    inliers: int
    rotation: Matrix | None = None
    direction: Matrix | None = None

    @property
    def angle(self) -> float:
        """How far the camera turned, in degrees; NaN where that is not told."""
        return np.nan if self.rotation is None else angle_of(self.rotation)


def angle_of(rotation: Matrix) -> float:
    """Return the angle of a rotation (3, 3) in degrees."""
    # By the sine, too: the cosine alone loses half of the digits near 0.
    sine = np.linalg.norm(rotation - rotation.T) / 8**0.5
    return float(np.degrees(np.arctan2(sine, (np.trace(rotation) - 1) / 2)))


def turn_between(first: Motion, second: Motion) -> float:
    """Return by how many degrees two rotations in a row differ: little where a camera moves smoothly; NaN for none."""
    if first.rotation is None or second.rotation is None:
        return np.nan
    return angle_of(second.rotation @ first.rotation.T)


def motion(old: Points, new: Points, model: CameraModel) -> Motion | None:
    """Return the motion that matches (N, 2) from one image to the next show; None where they agree on none.

    ``model`` is that of both images, whose distortion is taken out first. A homography and an essential matrix are
    fitted. The first wins where it explains nearly as many matches, for then there is no parallax that the second could
    tell a direction from; a turn alone wins over the homography in the same way.
    """
    if len(old) < _FEWEST:
        return None
    sent = image_model(model)
    focal = (sent.k[0] * sent.k[4]) ** 0.5
    before, after = (rays(points.astype(np.float64), sent) for points in (old, new))
    known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    before, after = before[known], after[known]
    # Pixels of a pinhole camera with the same focal length and its centre at (0, 0): so that thresholds are in pixels.
    pixels = [np.ascontiguousarray(points[:, :2] * focal, np.float32) for points in (before, after)]
    plane, moved = homography(*pixels), _moved(pixels, np.diag([focal, focal, 1.0]))
    fewest = max(_FEWEST, _AGREE * len(before))
    on_plane = plane[1] if plane else np.zeros(len(before), np.bool_)
    if moved is not None and moved.inliers >= fewest and on_plane.sum() < _ALIKE * moved.inliers:
        return moved
    if on_plane.sum() < fewest:
        return None
    rotation = _turn(before[on_plane], after[on_plane])
    misses = np.linalg.norm(_seen(before @ rotation.T) * focal - pixels[1], axis=1)
    inliers = int((misses <= NEAR).sum())
    if inliers >= _ALIKE * on_plane.sum():
        return Motion(TURNED, inliers, rotation)
    return Motion(PLANE, int(on_plane.sum()))


def _moved(pixels: Sequence[Points], camera: Matrix) -> Motion | None:
    """Return the motion that an essential matrix tells, whatever else explains the matches; None for none."""
    old, new = pixels
    if len(old) < FEWEST:
        return None
    matrix, agree = cv2.findEssentialMat(old, new, camera, cv2.USAC_ACCURATE, 0.999, _LINE)
    if matrix is None or matrix.shape != (3, 3):
        return None
    inliers = int(agree.sum())
    ahead, rotation, direction, _, _ = cv2.recoverPose(matrix, old, new, camera, distanceThresh=_FAR, mask=agree)
    if ahead < _AHEAD * inliers:
        return None
    return Motion(MOVED, inliers, np.asarray(rotation, np.float64), np.asarray(direction, np.float64).ravel())


def _seen(points: Matrix) -> Matrix:
    """Return points (N, 3) as a camera sees them, (N, 2); far away where they lie behind it."""
    ahead = points[:, 2:] > 1e-9
    seen: Matrix = np.where(ahead, points[:, :2] / np.where(ahead, points[:, 2:], 1.0), 1e9)
    return seen


def _turn(before: Matrix, after: Matrix) -> Matrix:
    """Return the rotation (3, 3) that brings directions (N, 3) onto others best (Kabsch 1976)."""
    old, new = (rays / np.linalg.norm(rays, axis=1, keepdims=True) for rays in (before, after))
    left, _, right = np.linalg.svd(new.T @ old)
    sign = np.sign(np.linalg.det(left @ right))
    rotation: Matrix = left @ np.diag([1.0, 1.0, sign]) @ right
    return rotation
