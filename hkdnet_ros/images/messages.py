"""Image and CameraInfo messages to frames and camera models, live and recorded: of rclpy and of rosbags alike.

Nothing of ROS is imported: a message is anything with the fields of sensor_msgs/Image, CompressedImage or CameraInfo.
"""

from __future__ import annotations

from typing import Any

from ..errors import ImageError
from .bit_depth import BitDepth
from .camera_model import CameraModel
from .compressed import check_compressed, decode_compressed
from .decoding import check_raw, decode_raw
from .frames import Frame

NS_PER_S = 1_000_000_000
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1", "64FC1")
"""What an Image of depth may have: counts are in mm, floats in m (REP 118)."""


def stamp_to_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def check_message(message: Any) -> None:
    """Raise what :func:`decode_message` would raise for the header of an image and the length of its data.

    No pixel is touched: what only decoding can tell, as damage inside a JPEG, passes.
    """
    if _is_compressed(message):
        check_compressed(message.data, message.format)
    else:
        check_raw(message.height, message.width, message.encoding, message.step, len(message.data))


def decode_message(message: Any, depth: BitDepth | None = None) -> Frame:
    """Return an Image (:func:`~.decoding.decode_raw`) or CompressedImage (:func:`~.compressed.decode_compressed`).

    Pixels are a view on ``message.data`` where they can be. ``depth`` is that of a visible camera, whose images of 16
    bits it brings to full scale. Raises :class:`ImageError` for what is malformed or of an
    encoding or format that nobody knows.
    """
    if _is_compressed(message):
        image, encoding = decode_compressed(message.data, message.format, depth)
    else:
        image, encoding = decode_raw(
            message.height, message.width, message.encoding, message.is_bigendian, message.step, message.data, depth
        )
    return Frame(image, stamp_to_ns(message.header.stamp), message.header.frame_id, encoding)


def check_depth(message: Any) -> None:
    """Raise what :func:`check_message` does, and :class:`ImageError` for an encoding that depth images do not have.

    Signed counts, for one, would be taken for metres.
    """
    if not _is_compressed(message) and message.encoding not in DEPTH_ENCODINGS:
        raise ImageError(f"encoding is {message.encoding!r}; expected 16UC1 in mm or 32FC1 in m (REP 118)")
    check_message(message)


def decode_depth(message: Any) -> Frame:
    """Return a depth image, 16 bits in mm or floats in m, as :func:`decode_message` does; raises :func:`check_depth`'s.

    A compressed one has 16 bits.
    """
    check_depth(message)
    return decode_message(message)


def _is_compressed(message: Any) -> bool:
    return hasattr(message, "format")


def camera_model(message: Any) -> CameraModel:
    """Return a sensor_msgs/CameraInfo as a :class:`CameraModel`."""
    roi = message.roi
    return CameraModel(
        width=int(message.width),
        height=int(message.height),
        frame_id=str(message.header.frame_id),
        k=tuple(map(float, message.k)),
        d=tuple(map(float, message.d)),
        distortion_model=str(message.distortion_model),
        r=tuple(map(float, message.r)),
        p=tuple(map(float, message.p)),
        binning_x=int(message.binning_x),
        binning_y=int(message.binning_y),
        roi_x_offset=int(roi.x_offset),
        roi_y_offset=int(roi.y_offset),
        roi_width=int(roi.width),
        roi_height=int(roi.height),
        roi_do_rectify=bool(roi.do_rectify),
    )
