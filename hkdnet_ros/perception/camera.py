"""The pinhole camera model that travels with an image: the fields of sensor_msgs/CameraInfo, without ROS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Calibration of one camera, fields and conventions as in sensor_msgs/CameraInfo.

    ``k`` and ``r`` are row-major 3x3, ``p`` row-major 3x4, in pixels with the centre of the first pixel at (0, 0).
    """

    width: int
    height: int
    frame_id: str
    k: tuple[float, ...]
    d: tuple[float, ...] = ()
    distortion_model: str = "plumb_bob"
    r: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    p: tuple[float, ...] = (0.0,) * 12
    binning_x: int = 0
    binning_y: int = 0
    roi_x_offset: int = 0
    roi_y_offset: int = 0
    roi_width: int = 0
    roi_height: int = 0
    roi_do_rectify: bool = False
