"""sensor_msgs/Image to Frame and back, CameraInfo to CameraModel and back, stamps to integer ns and back."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from ..errors import ImageError, MissingDependencyError
from ..images.camera_model import CameraModel
from ..images.decoding import check_layout, decode_image
from ..images.frames import ENCODINGS, Frame

NS_PER_S = 1_000_000_000

# Encodings left to cv_bridge -> bytes per pixel. It turns them into bgr8.
_BRIDGED = {
    **dict.fromkeys(("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"), 1),
    **dict.fromkeys(("bayer_rggb16", "bayer_bggr16", "bayer_gbrg16", "bayer_grbg16"), 2),
    **dict.fromkeys(("yuv422", "yuv422_yuy2", "uyvy", "yuyv"), 2),
    **dict.fromkeys(("rgb16", "bgr16"), 6),
    **dict.fromkeys(("rgba16", "bgra16"), 8),
}
# Newer names of two encodings, of which cv_bridge knows the old ones only.
_NAMES_OF_CV_BRIDGE = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
# sensor_msgs has names for these, but neither a layout of their planes nor a conversion in cv_bridge.
_PLANAR = ("nv12", "nv21", "nv24")

_EXPECTED = f"expected one of {', '.join(ENCODINGS)}"


def stamp_to_ns(stamp: Time) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


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


def decode(message: Image) -> Frame:
    """Return the image in ``message`` as a :class:`Frame`.

    The encodings of :data:`~hkdnet_ros.images.frames.ENCODINGS` are views on ``message.data``; rgba8 and bgra8
    come as rgb8 and bgr8 without their alpha, still a view. Every other encoding is turned into bgr8 by cv_bridge.

    Raises :class:`ImageError` for a malformed image or an encoding nobody knows, and
    :class:`MissingDependencyError` for an encoding that needs cv_bridge where that is not installed.
    """
    encoding = message.encoding
    if encoding in ENCODINGS:
        image = decode_image(message.height, message.width, encoding, message.is_bigendian, message.step, message.data)
        if encoding in ("rgba8", "bgra8"):
            image, encoding = image[..., :3], encoding.replace("a", "")
    else:
        image, encoding = _decode_by_cv_bridge(message), "bgr8"
    return Frame(image, stamp_to_ns(message.header.stamp), message.header.frame_id, encoding)


def check_image(message: Image) -> None:
    """Raise what :func:`decode` would raise for the header and the length of the data, without touching a pixel."""
    encoding = message.encoding
    if encoding in ENCODINGS:
        scalar, channels = ENCODINGS[encoding]
        pixel = np.dtype(scalar).itemsize * channels
    elif encoding in _BRIDGED:
        _cv_bridge(encoding)
        pixel = _BRIDGED[encoding]
    elif encoding in _PLANAR:
        raise ImageError(
            f"encoding {encoding!r} cannot be fused, nor converted by cv_bridge; have the camera publish another: "
            f"{_EXPECTED}"
        )
    else:
        raise ImageError(f"encoding {encoding!r} cannot be fused; {_EXPECTED}, or a colour encoding of cv_bridge")
    check_layout(message.height, message.width, encoding, message.step, len(message.data), pixel)


def _cv_bridge(encoding: str) -> Any:
    try:
        import cv_bridge
    except Exception as error:  # an extension built for another NumPy raises ImportError, AttributeError and others
        is_absent = isinstance(error, ModuleNotFoundError)
        reason = "is not installed" if is_absent else f"cannot be imported ({_line(error)})"
        raise MissingDependencyError(
            f"encoding {encoding!r} needs cv_bridge, which {reason}; install it, or have the camera publish "
            f"another: {_EXPECTED}"
        ) from error
    return cv_bridge


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _decode_by_cv_bridge(message: Image) -> NDArray[np.generic]:
    check_image(message)
    packed, bridge = _packed(message, _BRIDGED[message.encoding]), _cv_bridge(message.encoding).CvBridge()
    try:
        image: NDArray[np.generic] = bridge.imgmsg_to_cv2(packed, desired_encoding="bgr8")
    except Exception as error:  # cv_bridge raises its own error, cv2's, TypeError or AttributeError, by version
        raise ImageError(
            f"cv_bridge cannot convert encoding {message.encoding!r}: {_line(error)}; {_EXPECTED}"
        ) from error
    shape = (message.height, message.width, 3)
    if image.shape != shape or image.dtype != np.uint8:
        raise ImageError(
            f"cv_bridge turned encoding {message.encoding!r} into {image.dtype} {image.shape}, expected uint8 {shape}; "
            "have the camera publish another encoding"
        )
    return image


def _packed(message: Image, pixel_bytes: int) -> Image:
    """Return ``message`` without row padding, in little-endian order and under the name that cv_bridge knows.

    Its Python shears padded rows, and fails on NumPy 2 on anything called big-endian, 8-bit pixels too.
    """
    row = message.width * pixel_bytes
    encoding = _NAMES_OF_CV_BRIDGE.get(message.encoding, message.encoding)
    if message.step == row and not message.is_bigendian and encoding == message.encoding:
        return message
    swap = bool(message.is_bigendian) and "16" in encoding
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    packed = np.ascontiguousarray(rows)
    if swap:
        packed = packed.view(np.uint16).byteswap().view(np.uint8)
    result = Image(header=message.header, height=message.height, width=message.width, encoding=encoding)
    result.step, result.data = row, array("B", packed.tobytes())
    return result


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
    # array.array is the one type whose elements rclpy does not check one by one; frombytes is a single memcpy.
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    message.data = data
    return message


def camera_model(message: CameraInfo) -> CameraModel:
    """Return a sensor_msgs/CameraInfo as a :class:`CameraModel`."""
    roi = message.roi
    return CameraModel(
        width=message.width,
        height=message.height,
        frame_id=message.header.frame_id,
        k=tuple(map(float, message.k)),
        d=tuple(map(float, message.d)),
        distortion_model=message.distortion_model,
        r=tuple(map(float, message.r)),
        p=tuple(map(float, message.p)),
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi_x_offset=roi.x_offset,
        roi_y_offset=roi.y_offset,
        roi_width=roi.width,
        roi_height=roi.height,
        roi_do_rectify=roi.do_rectify,
    )


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
