"""What is known of two cameras: their lenses, where they are to each other, and a homography for one plane."""

from __future__ import annotations

from dataclasses import dataclass

from ..images.camera_model import CameraModel
from .rigid_transform import RigidTransform


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """The calibration of a thermal and a visible camera; None where a part is not known.

    ``thermal_to_visible`` brings points in the thermal camera's axes to the visible one's. ``homography`` is row-major
    3x3 and brings pixels of the thermal image to pixels of the visible one; the sizes of both are those of the models,
    which need not be calibrated for it. ``thermal_offset`` is what is to be added to thermal stamps, in seconds, as
    sync.thermal_offset is.
    """

    thermal: CameraModel | None = None
    visible: CameraModel | None = None
    thermal_to_visible: RigidTransform | None = None
    homography: tuple[float, ...] | None = None
    thermal_offset: float = 0.0
