"""sensor_msgs/CompressedImage to Frame and back: JPEG and PNG, 16-bit PNG included.

Names and formats are those of compressed_image_transport. Its compressedDepth is another format and is refused.
"""

from __future__ import annotations

from array import array
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from ..errors import ImageError
from ..images.frames import Frame
from .image_messages import check_image, decode, ns_to_stamp, stamp_to_ns

AnyImage: TypeAlias = "Image | CompressedImage"

_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
_LARGEST = 8192 * 8192  # pixels; a small file can claim far more
_ENCODINGS = {(np.uint8, 2): "mono8", (np.uint16, 2): "mono16", (np.uint8, 3): "bgr8"}


def check_compressed(message: CompressedImage) -> None:
    """Raise :class:`ImageError` unless the data begin as a JPEG or PNG does, without decoding anything."""
    begin = bytes(message.data[:8])
    if not any(begin.startswith(magic) for magic in _MAGIC):
        raise ImageError(
            f"compressed image of format {message.format!r} and {len(message.data)} bytes is neither JPEG nor PNG; "
            "have the camera publish one of them"
        )


def decode_compressed(message: CompressedImage) -> Frame:
    """Return the image in ``message`` as a :class:`Frame` of mono8, mono16 or bgr8.

    Colour comes as bgr8 whatever the format field says, as compressed_image_transport stores it; 16-bit colour is
    reduced to 8 bits, and alpha is left out. Raises :class:`ImageError` for anything that is no whole JPEG or PNG.
    """
    check_compressed(message)
    data = np.frombuffer(message.data, np.uint8)
    _check_size(data, message)
    try:
        image: NDArray[Any] | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"compressed image cannot be decoded: {' '.join(str(error).split())}") from error
    if image is None:
        raise ImageError(f"compressed image of {data.size} bytes is damaged; expected a whole JPEG or PNG")
    if image.ndim == 3:
        image = image[..., :3] if image.dtype == np.uint8 else (image[..., :3] // 257).astype(np.uint8)
    encoding = _ENCODINGS[image.dtype.type, image.ndim]
    return Frame(image, stamp_to_ns(message.header.stamp), message.header.frame_id, encoding)


def check_any(message: AnyImage) -> None:
    """Raise what :func:`decode_any` would raise for the header of an image, raw or compressed."""
    if isinstance(message, CompressedImage):
        check_compressed(message)
    else:
        check_image(message)


def decode_any(message: AnyImage) -> Frame:
    """Return an image, raw or compressed, as a :class:`Frame`."""
    return decode_compressed(message) if isinstance(message, CompressedImage) else decode(message)


def encode_jpeg(image: NDArray[np.uint8], quality: int, stamp_ns: int, frame_id: str) -> CompressedImage:
    """Return ``image``, gray (H, W) or bgr8 (H, W, 3), as a JPEG of ``quality`` (1 to 100).

    Raises :class:`ImageError` for more than 65535 pixels on a side, which JPEG cannot have.
    """
    if max(image.shape[:2]) > 65535:
        raise ImageError(
            f"image of {image.shape[1]}x{image.shape[0]} pixels is too large for JPEG; expected 65535 a side"
        )
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    name = "mono8" if image.ndim == 2 else "bgr8"
    message = CompressedImage(format=f"{name}; jpeg compressed {name}")
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame_id
    data = array("B")  # the one type whose elements rclpy does not check one by one
    data.frombytes(encoded.data)
    message.data = data
    return message


def _check_size(data: NDArray[np.uint8], message: CompressedImage) -> None:
    """Refuse a PNG whose header claims more than memory should be spent on; OpenCV holds JPEG to 65535 a side."""
    if data[0] == 0x89 and data.size >= 24:
        width, height = (int.from_bytes(data[begin : begin + 4].tobytes(), "big") for begin in (16, 20))
        if width * height > _LARGEST:
            raise ImageError(f"compressed image claims {width}x{height} pixels; expected {_LARGEST} pixels at most")
