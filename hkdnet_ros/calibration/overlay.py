"""The outlines of heat drawn over the visible image, for the eye to check a calibration."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.calibration import PairCalibration
from ..geometry.correspondence import homography_trace, plane_trace
from ..geometry.lookup import LookupTable, Size
from ..geometry.projection import image_model
from ..images.resampling import resample

_OUTLINE = (0, 140, 255)  # blue, green, red
_STRONG = 97  # %, of the gradients of heat, above which an outline begins


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
    on_grid: NDArray[Any] = resample(thermal, width, height) if table is None else table.apply(thermal)
    sigma = max(1.0, width / 500)
    smooth = cv2.GaussianBlur(on_grid, (0, 0), sigma)
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    if table is not None:  # the border of what is shown is no outline
        side = 2 * int(np.ceil(4 * sigma)) + 3  # as far as the blur carries it
        hidden = cv2.erode(table.validity, np.ones((side, side), np.uint8), borderValue=255) == 0
        across[hidden], down[hidden] = 0, 0
    strength = np.hypot(across, down)
    strong = max(float(np.percentile(strength, _STRONG)), 0.1 * float(strength.max()), 1e-6)
    levels = [np.clip(slope * (255 / strong), -32767, 32767).astype(np.int16) for slope in (across, down)]
    outlines = cv2.Canny(levels[0], levels[1], 80, 200, L2gradient=True)
    picture = cv2.cvtColor(np.uint8(visible * 190), cv2.COLOR_GRAY2BGR)
    picture[cv2.dilate(outlines, np.ones((2, 2), np.uint8)) > 0] = _OUTLINE
    return np.asarray(picture, np.uint8)
