"""Encoded images to the pixels of a frame: JPEG, PNG and TIFF from CompressedImage messages, and files of any format.

Names and formats are those of compressed_image_transport. The compressedDepth of its neighbour is another format and is
refused.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .bit_depth import BitDepth
from .decoding import Buffer, to_8_bits

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
_LARGEST = 8192 * 8192  # pixels; a small message can claim far more


def check_compressed(data: Buffer, format: str) -> None:
    """Raise :class:`ImageError` unless ``data`` begins as a JPEG, PNG or TIFF does, without decoding anything.

    ``format`` is the message's field. It is believed for compressedDepth only, which is for depth in mm: it leaves 0 in
    place of all that is above ``depth_max``, 10000 unless it is set, and so of what is warm.
    """
    if "compressedDepth" in format:
        raise ImageError(
            f"compressed image of format {format!r} has lost what is above its depth_max; expected JPEG, PNG or TIFF, "
            "as the topic /compressed has it, or raw images"
        )
    if not bytes(data[:8]).startswith(_MAGIC):
        raise ImageError(
            f"compressed image of format {format!r} is neither JPEG nor PNG nor TIFF; have the camera publish one of "
            "these"
        )


def decode_compressed(data: Buffer, format: str, depth: BitDepth | None = None) -> tuple[NDArray[Any], str]:
    """Return the pixels of a CompressedImage and their encoding: mono8, mono16, bgr8 or, from a TIFF, 32FC1.

    ``depth`` brings 16 bits to full scale. ``format`` is as for :func:`check_compressed`. Colour comes as bgr8 whatever
    it says, as compressed_image_transport stores it. Alpha is left out; 16-bit colour is reduced to 8 bits. Rows are
    those of the sensor, of which camera info speaks, whatever orientation EXIF says. Raises :class:`ImageError` for
    what is no whole JPEG, PNG or TIFF and for more pixels than memory should be spent on.
    """
    check_compressed(data, format)
    _check_size(bytes(data[:24]))
    return _as_frame(_decoded(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), depth)


def decode_file(data: NDArray[np.uint8], depth: BitDepth | None = None) -> tuple[NDArray[Any], str]:
    """Return the pixels of an image file (PNG, JPEG, TIFF, ...), upright, and their encoding.

    They are mono8, mono16, bgr8 or, from gray floats and 32-bit integers, 32FC1. The image is turned and mirrored as
    its EXIF or TIFF orientation says. ``depth`` brings 16 bits to full scale. Alpha is left out; 16-bit colour is
    reduced to 8 bits as in raw images, and gray in three equal channels of 16 bits is gray. Raises :class:`ImageError`
    for damaged data and for other pixels.
    """
    image = _decoded(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint16 and image.ndim == 3 and (image[..., :1] == image[..., 1:]).all():
        image = image[..., 0]
    return _as_frame(image, depth)


def _decoded(data: NDArray[np.uint8], flags: int) -> NDArray[Any]:
    try:
        image: NDArray[Any] | None = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({' '.join(str(error.err).split())}); expected a whole image") from error
    if image is None:
        raise ImageError(f"not a readable image ({data.size} bytes); expected a whole one")
    return image


def _as_frame(image: NDArray[Any], depth: BitDepth | None) -> tuple[NDArray[Any], str]:
    if image.dtype.kind in "fi" and image.ndim == 2:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is seen to as such later
            return image.astype(np.float32), "32FC1"
    if image.dtype not in (np.uint8, np.uint16):
        channels = f" in {image.shape[2]} channels" if image.ndim == 3 else ""
        raise ImageError(f"pixels are {image.dtype}{channels}; expected 8 or 16 bits, or gray floats")
    if image.ndim == 3:
        image = image[..., 0] if image.shape[2] <= 2 else image[..., :3]  # 1 or 2: gray with or without alpha
    image = np.ascontiguousarray(image if depth is None else depth.full_scale(image))
    if image.ndim == 2:
        return image, "mono8" if image.dtype == np.uint8 else "mono16"
    return image if image.dtype == np.uint8 else to_8_bits(image), "bgr8"


def _check_size(header: bytes) -> None:
    """Refuse a PNG whose header claims more than memory should be spent on; OpenCV holds JPEG to 65535 a side."""
    if header[0] == 0x89 and len(header) == 24:
        width, height = (int.from_bytes(header[begin : begin + 4], "big") for begin in (16, 20))
        if width * height > _LARGEST:
            raise ImageError(f"compressed image claims {width}x{height} pixels; expected {_LARGEST} pixels at most")
