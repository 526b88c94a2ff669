"""Images, CameraModel and integer ns to messages; :mod:`hkdnet_ros.images.messages` is the way back."""

from __future__ import annotations

from array import array
from typing import Any, TypeAlias

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from ..errors import ImageError
from ..images.camera_model import CameraModel
from ..images.frames import ENCODINGS
from ..images.messages import NS_PER_S

AnyImage: TypeAlias = "Image | CompressedImage"


def ns_to_stamp(stamp_ns: int) -> Time:
    """Return integer nanoseconds (0 to about 2^31 s) as a builtin_interfaces/Time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def ns_to_duration(duration_ns: int) -> Duration:
    """Return integer nanoseconds, of either sign, as a builtin_interfaces/Duration (nanosec counts upwards from sec).

    What does not fit its 32-bit seconds, as an age between a zero stamp and today, is held at the limit.
    """
    limit = 2**31 * NS_PER_S
    seconds, nanoseconds = divmod(max(-limit, min(duration_ns, limit - 1)), NS_PER_S)
    return Duration(sec=seconds, nanosec=nanoseconds)


def encode_image(image: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Image:
    """Return ``image``, (H, W) or (H, W, C) in one of our encodings and native byte order, as a sensor_msgs/Image.

    Raises :class:`ImageError` where the array's type or shape is not that of ``encoding``.
    """
    if encoding not in ENCODINGS:
        raise ImageError(f"encoding {encoding!r} is not known; expected one of {', '.join(ENCODINGS)}")
    scalar, channels = ENCODINGS[encoding]
    shape = image.shape if channels > 1 else (*image.shape, 1)
    if image.dtype != np.dtype(scalar) or len(shape) != 3 or shape[2] != channels:
        raise ImageError(
            f"array of {image.dtype} {image.shape} is no {encoding} image; expected {np.dtype(scalar)} (H, W"
            f"{f', {channels}' if channels > 1 else ''})"
        )
    message = Image(height=shape[0], width=shape[1], encoding=encoding, step=shape[1] * channels * image.itemsize)
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame_id
    message.is_bigendian = int(not np.little_endian)
    message.data = _unchecked(np.ascontiguousarray(image).data.cast("B"))
    return message


def encode_jpeg(image: NDArray[np.uint8], quality: int, stamp_ns: int, frame_id: str) -> CompressedImage:
    """Return ``image``, gray (H, W) or bgr8 (H, W, 3), as a JPEG of ``quality`` (1 to 100).

    Names and format are those of compressed_image_transport. Raises :class:`ImageError` for more than 65535 pixels on a
    side, which JPEG cannot have.
    """
    if max(image.shape[:2]) > 65535:
        raise ImageError(
            f"image of {image.shape[1]}x{image.shape[0]} pixels is too large for JPEG; expected 65535 a side"
        )
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    name = "mono8" if image.ndim == 2 else "bgr8"
    message = CompressedImage(format=f"{name}; jpeg compressed {name}")
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame_id
    message.data = _unchecked(encoded.data)
    return message


def _unchecked(buffer: memoryview) -> array[int]:
    """Return a copy as array.array, the one type whose elements rclpy does not check one by one."""
    data = array("B")
    data.frombytes(buffer)  # a single memcpy
    return data


def camera_info(model: CameraModel, stamp_ns: int) -> CameraInfo:
    """Return ``model`` as a sensor_msgs/CameraInfo of the moment ``stamp_ns``."""
    message = CameraInfo(
        width=model.width,
        height=model.height,
        distortion_model=model.distortion_model,
        k=model.k,
        d=list(model.d),
        r=model.r,
        p=model.p,
        binning_x=model.binning_x,
        binning_y=model.binning_y,
        roi=RegionOfInterest(
            x_offset=model.roi_x_offset,
            y_offset=model.roi_y_offset,
            width=model.roi_width,
            height=model.roi_height,
            do_rectify=model.roi_do_rectify,
        ),
    )
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), model.frame_id
    return message
