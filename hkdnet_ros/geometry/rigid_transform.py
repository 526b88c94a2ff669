"""A rotation and a shift between the axes of two cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

LARGEST_BASELINE = 5.0
"""Metres between two cameras of one robot."""

_TOLERANCE = 1e-3  # of a rotation that was written with four digits


@dataclass(frozen=True, slots=True)
class RigidTransform:
    """Brings points from one frame's axes to another's: ``rotation`` @ p + ``translation``, as ``a_to_b`` is named.

    ``rotation`` is row-major 3x3, ``translation`` in metres. A camera's axes are those of its optical frame (REP 103):
    x to the right, y down, z ahead. Raises :class:`ConfigError` where the rotation is none.
    """

    rotation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    translation: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        numbers = (*self.rotation, *self.translation)
        if len(self.rotation) != 9 or len(self.translation) != 3 or not np.isfinite(numbers).all():
            raise ConfigError(f"transform is {numbers}; expected 9 finite numbers of rotation and 3 of translation")
        r = self.matrix[:3, :3]
        off = float(np.abs(r @ r.T - np.eye(3)).max())
        if off > _TOLERANCE or np.linalg.det(r) < 0:
            raise ConfigError(
                f"rotation {np.round(r, 4).tolist()} is none: its rows are off orthonormal by {off:.3g}, its "
                f"determinant is {np.linalg.det(r):.3g}; expected a rotation matrix"
            )

    @classmethod
    def of(cls, rotation: Any, translation: Sequence[float] | NDArray[Any]) -> RigidTransform:
        """Return the transform of a (3, 3) rotation matrix and a translation (3,) in metres."""
        return cls(tuple(map(float, np.ravel(rotation))), tuple(map(float, translation)))

    @classmethod
    def from_quaternion(cls, quaternion: Sequence[float], translation: Sequence[float]) -> RigidTransform:
        """Return the transform of a quaternion (x, y, z, w), as ROS orders it, and a translation in metres.

        Raises :class:`ConfigError` for a quaternion that has not the length 1.
        """
        q = np.asarray(quaternion, np.float64)
        length = float(np.linalg.norm(q)) if q.shape == (4,) else 0.0
        if not abs(length - 1) <= 0.01:  # NaN fails this, too
            raise ConfigError(f"quaternion {list(quaternion)} has length {length:.3g}; expected x, y, z, w of length 1")
        x, y, z, w = q / length
        rotation = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        return cls.of(rotation, translation)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The transform as a homogeneous (4, 4) matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.rotation, (3, 3))
        matrix[:3, 3] = self.translation
        return matrix

    @property
    def inverse(self) -> RigidTransform:
        """The way back: that of ``a_to_b`` is ``b_to_a``."""
        r = self.matrix[:3, :3]
        return RigidTransform.of(r.T, -r.T @ np.asarray(self.translation))

    @property
    def angle(self) -> float:
        """How far the rotation turns, in degrees."""
        cosine = (np.trace(self.matrix[:3, :3]) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def then(self, following: RigidTransform) -> RigidTransform:
        """Return this and after it ``following``: a_to_b.then(b_to_c) is a_to_c."""
        whole = following.matrix @ self.matrix
        return RigidTransform.of(whole[:3, :3], whole[:3, 3])

    def apply(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return points (..., 3) in metres, in the axes that this leads to."""
        matrix = self.matrix
        moved: NDArray[np.float64] = points @ matrix[:3, :3].T + matrix[:3, 3]
        return moved


def check_baseline(pose: RigidTransform, name: str) -> None:
    """Raise :class:`ConfigError` where two cameras, whose pose is called ``name``, are too far apart for one robot."""
    baseline = float(np.linalg.norm(pose.translation))
    if baseline > LARGEST_BASELINE:
        raise ConfigError(
            f"{name} puts the cameras {baseline:.4g} m apart; expected {LARGEST_BASELINE:g} m at most: translations "
            "are in metres, not millimetres"
        )
