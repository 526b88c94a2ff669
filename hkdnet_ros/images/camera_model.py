"""The pinhole camera model that travels with an image: the fields of sensor_msgs/CameraInfo, without ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..errors import ImageError


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Calibration of one camera, fields and conventions as in sensor_msgs/CameraInfo.

    ``k`` and ``r`` are row-major 3x3, ``p`` row-major 3x4, in pixels with the centre of the first pixel at (0, 0).
    ``width``, ``height``, ``k``, ``p`` and the region of interest (all zero: the whole image) are those of the full
    sensor; the image sent is the region of interest, binned (0 and 1: not binned). A matrix whose first element is zero
    says nothing: a driver of rectified images may give ``p`` alone, and an uncalibrated camera has neither.
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

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image sent: the region of interest, binned."""
        width, height = self._window
        return width // max(1, self.binning_x), height // max(1, self.binning_y)

    @property
    def is_calibrated(self) -> bool:
        """Whether this says more of the camera than its size."""
        return self.k[0] != 0 or self.p[0] != 0

    @property
    def defect(self) -> str:
        """What cannot be right in this model, in words; empty where it is sound or uncalibrated."""
        if not self.is_calibrated:
            return ""
        if not all(math.isfinite(number) for matrix in (self.k, self.d, self.r, self.p) for number in matrix):
            return "has NaN or infinite numbers"
        for fx, fy in ((self.k[0], self.k[4]), (self.p[0], self.p[5])):
            if fx != 0 and (fx < 0 or fy <= 0):
                return f"has focal lengths of {fx:g} and {fy:g} pixels"
        width, height = self._window
        if self.roi_x_offset + width > self.width or self.roi_y_offset + height > self.height:
            return (
                f"has a region of interest of {width}x{height} pixels at ({self.roi_x_offset}, {self.roi_y_offset}), "
                f"which reaches beyond its sensor's {self.width}x{self.height}"
            )
        return ""

    @property
    def _window(self) -> tuple[int, int]:
        """Width and height of the region of interest in pixels of the sensor."""
        # Offsets alone are no region: without width and height the message means the full resolution.
        return self.roi_width or self.width, self.roi_height or self.height

    def cropped(self, left: int, top: int, width: int, height: int) -> CameraModel:
        """Return the model of ``width`` x ``height`` pixels of the image this camera sends, from (left, top) on."""
        columns, rows = max(1, self.binning_x), max(1, self.binning_y)
        return replace(
            self,
            roi_x_offset=self.roi_x_offset + left * columns,
            roi_y_offset=self.roi_y_offset + top * rows,
            roi_width=width * columns,
            roi_height=height * rows,
        )

    def resized(self, width: int, height: int) -> CameraModel:
        """Return the model of the image this camera sends, resized to ``width`` x ``height`` with its edges kept.

        The region of interest and the binning go into ``k`` and ``p``: the new image is a full one. A pixel's centre
        is half a pixel from its edge, so that cx' = s cx + (s - 1) / 2. ``d``, ``r`` and the distortion model hold for
        normalised coordinates and stay; an uncalibrated camera stays one, whatever size it gave.

        Raises :class:`ImageError` where this model or the new size has no pixels.
        """
        columns_sent, rows_sent = self.image_size if self.is_calibrated else (width, height)
        if min(columns_sent, rows_sent, width, height) < 1:
            raise ImageError(
                f"camera model of {columns_sent}x{rows_sent} cannot be resized to {width}x{height}; "
                "expected at least 1x1"
            )
        # Binning is a resize too, so that one step goes from the sensor's pixels under the image to the new ones. What
        # a window has beyond a multiple of the binning is in none of them.
        x_scale = width / (columns_sent * max(1, self.binning_x))
        y_scale = height / (rows_sent * max(1, self.binning_y))
        x_shift = (x_scale - 1) / 2 - x_scale * self.roi_x_offset
        y_shift = (y_scale - 1) / 2 - y_scale * self.roi_y_offset

        def to_resized(matrix: tuple[float, ...]) -> tuple[float, ...]:
            """Map the pixels that a row-major matrix of three rows projects to; one that says nothing stays."""
            if matrix[0] == 0:
                return matrix
            columns = len(matrix) // 3
            x, y, w = matrix[:columns], matrix[columns : 2 * columns], matrix[2 * columns :]
            return (
                *(x_scale * a + x_shift * b for a, b in zip(x, w, strict=True)),
                *(y_scale * a + y_shift * b for a, b in zip(y, w, strict=True)),
                *w,
            )

        return replace(
            self,
            width=width,
            height=height,
            k=to_resized(self.k),
            p=to_resized(self.p),
            binning_x=0,
            binning_y=0,
            roi_x_offset=0,
            roi_y_offset=0,
            roi_width=0,
            roi_height=0,
            roi_do_rectify=False,
        )
