"""The outlines of heat drawn over the visible image, for the eye to check a calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry.calibration import PairCalibration
from ..geometry.correspondence import homography_trace, plane_trace
from ..geometry.lookup import LookupTable, Size
from ..geometry.projection import image_model
from ..images.outlines import outlined
from ..images.resampling import resample


def table_of(calibration: PairCalibration, thermal_size: Size, visible_size: Size, distance: float) -> LookupTable:
    """Return the table that brings thermal images to the visible camera's view.

    By lenses and pose, right at ``distance`` metres, where the calibration has them, else by its homography.
    """
    thermal, visible, pose = calibration.thermal, calibration.visible, calibration.thermal_to_visible
    if thermal is not None and visible is not None and pose is not None:
        trace = plane_trace(image_model(visible), image_model(thermal), pose.inverse, distance)
    else:
        assert calibration.homography is not None  # of no other calibration are there overlays
        forth = np.reshape(calibration.homography, (3, 3)).astype(np.float64)
        trace = homography_trace(np.asarray(np.linalg.inv(forth), np.float64))
    return LookupTable(trace, visible_size, thermal_size)


def overlay(thermal: NDArray[np.float32], visible: NDArray[np.float32], table: LookupTable | None) -> NDArray[np.uint8]:
    """Return the visible image, darker, with the outlines of heat, (H, W, 3) blue, green, red.

    Both images are (H, W) in [0, 1]. Without ``table`` thermal is stretched over the whole view, as mode none has it.
    """
    height, width = visible.shape
    if table is None:
        return outlined(resample(thermal, width, height), visible)
    return outlined(table.apply(thermal), visible, table.validity)
