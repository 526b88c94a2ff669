"""The calibration of the fused image: the visible camera's, scaled to the output size."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from sensor_msgs.msg import CameraInfo

from ..perception.frames import Frame, FusedFrame
from .image_messages import camera_info, camera_model


class _Warns(Protocol):
    def warning(self, message: str, /) -> Any: ...


class OutputCameraInfo:
    """Keeps the latest CameraInfo of the visible camera; any thread may update it."""

    def __init__(self, logger: _Warns) -> None:
        self._logger = logger
        self._latest: CameraInfo | None = None
        self._warned: tuple[int, ...] | None = None

    def update(self, message: CameraInfo) -> None:
        """Take a new calibration."""
        self._latest = message

    def scaled_to(self, fused: FusedFrame, visible: Frame) -> CameraInfo | None:
        """Return the calibration of ``fused``, which was made from ``visible``.

        None where none was received, or where it is for another size than the visible image has: it would put every
        projected point in the wrong place.
        """
        latest = self._latest
        if latest is None:
            return None
        model = camera_model(latest)
        height, width = visible.image.shape[:2]
        if model.image_size != (width, height):
            sizes = (*model.image_size, width, height)
            if self._warned != sizes:
                self._warned = sizes
                self._logger.warning(
                    f"camera_info is for {sizes[0]}x{sizes[1]} pixels, but the visible image has {width}x{height}; "
                    "expected the same size; fused/camera_info is not published"
                )
            return None
        output_height, output_width = fused.image.shape[:2]
        model = dataclasses.replace(model.resized(output_width, output_height), frame_id=fused.frame_id)
        return camera_info(model, fused.stamp_ns)
