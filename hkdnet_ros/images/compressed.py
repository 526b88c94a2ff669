"""Encoded images to the pixels of a frame: JPEG and PNG from CompressedImage messages, and files of any format.

Names and formats are those of compressed_image_transport. Its compressedDepth is another format and is refused.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .decoding import Buffer, to_8_bits

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_LARGEST = 8192 * 8192  # pixels; a small message can claim far more


def check_compressed(data: Buffer, format: str) -> None:
    """Raise :class:`ImageError` unless ``data`` begins as a JPEG or PNG does, without decoding anything.

    ``format`` is the message's field. It is believed for compressedDepth only, whose pixels are no image.
    """
    if "compressedDepth" in format:
        raise ImageError(f"compressed image of format {format!r} holds depth in no image file; expected JPEG or PNG")
    if not bytes(data[:8]).startswith(_MAGIC):
        raise ImageError(
            f"compressed image of format {format!r} and {len(data)} bytes is neither JPEG nor PNG; "
            "have the camera publish one of them"
        )


def decode_compressed(data: Buffer, format: str) -> tuple[NDArray[Any], str]:
    """Return the image of a CompressedImage as :func:`decode_file` does; ``format`` as for :func:`check_compressed`.

    Colour comes as bgr8 whatever ``format`` says, as compressed_image_transport stores it. Raises :class:`ImageError`
    for what is no whole JPEG or PNG and for more pixels than memory should be spent on.
    """
    check_compressed(data, format)
    _check_size(bytes(data[:24]))
    return decode_file(np.frombuffer(data, np.uint8))


def decode_file(data: NDArray[np.uint8]) -> tuple[NDArray[Any], str]:
    """Return the pixels of an image file (PNG, JPEG, TIFF, ...) and their encoding: mono8, mono16 or bgr8.

    Alpha is left out; 16-bit colour is reduced to 8 bits as in raw images. Raises :class:`ImageError` for damaged data
    and for pixels of other than 8 or 16 bits.
    """
    try:
        image: NDArray[Any] | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({' '.join(str(error.err).split())}); expected a whole image") from error
    if image is None:
        raise ImageError(f"not a readable image ({data.size} bytes); expected a whole one")
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"pixels are {image.dtype}; expected 8 or 16 bit unsigned integers")
    if image.ndim == 3:
        image = image[..., 0] if image.shape[2] <= 2 else image[..., :3]  # 1 or 2: gray with or without alpha
    image = np.ascontiguousarray(image)
    if image.ndim == 2:
        return image, "mono8" if image.dtype == np.uint8 else "mono16"
    return image if image.dtype == np.uint8 else to_8_bits(image), "bgr8"


def _check_size(header: bytes) -> None:
    """Refuse a PNG whose header claims more than memory should be spent on; OpenCV holds JPEG to 65535 a side."""
    if header[0] == 0x89 and len(header) == 24:
        width, height = (int.from_bytes(header[begin : begin + 4], "big") for begin in (16, 20))
        if width * height > _LARGEST:
            raise ImageError(f"compressed image claims {width}x{height} pixels; expected {_LARGEST} pixels at most")
