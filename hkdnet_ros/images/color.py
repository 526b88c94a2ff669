"""Luma and chroma: fusion happens in luma, the visible image's chroma is carried over to the fused image.

ITU-R BT.601 over the full range of 8 bits, as OpenCV's YCrCb: Y = 0.299 R + 0.587 G + 0.114 B,
Cr = 0.713 (R - Y) + 128, Cb = 0.564 (B - Y) + 128.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .resampling import resample

Chroma: TypeAlias = "tuple[NDArray[Any], NDArray[Any]]"
"""Cr and Cb, each (H, W) uint8, 128 where there is no colour."""

_CODING_NOISE = 8  # levels between channels

_TO_YCRCB = {
    "rgb8": cv2.COLOR_RGB2YCrCb,
    "bgr8": cv2.COLOR_BGR2YCrCb,
    "rgba8": cv2.COLOR_RGB2YCrCb,
    "bgra8": cv2.COLOR_BGR2YCrCb,
}
_TO_LUMA = {
    "rgb8": cv2.COLOR_RGB2GRAY,
    "bgr8": cv2.COLOR_BGR2GRAY,
    "rgba8": cv2.COLOR_RGBA2GRAY,
    "bgra8": cv2.COLOR_BGRA2GRAY,
}


def is_color(encoding: str) -> bool:
    """Return whether images of ``encoding`` have colour channels."""
    return encoding in _TO_LUMA


def gray_if_colourless(image: NDArray[Any], encoding: str) -> tuple[NDArray[Any], str]:
    """Return the luma of an image in whose colours there is no colour, as mono8; any other image as it is.

    So players give gray videos, whose channels differ by a few levels of coding noise.
    """
    if not is_color(encoding):
        return image, encoding
    blue, green, red = (image[..., channel] for channel in range(3))
    is_colourless = max(cv2.absdiff(blue, green).max(), cv2.absdiff(green, red).max()) <= _CODING_NOISE
    return (luma(image, encoding), "mono8") if is_colourless else (image, encoding)


def luma(image: NDArray[Any], encoding: str) -> NDArray[Any]:
    """Return the luma of a camera image, (H, W): uint8, or float32 in [0, 1] for 16-bit gray (full range).

    8-bit gray is returned as it is; alpha is ignored. Raises :class:`ImageError` for an encoding without luma (32FC1).
    """
    if encoding in _TO_LUMA:
        return cv2.cvtColor(image, _TO_LUMA[encoding])
    if encoding in ("mono8", "8UC1"):
        return image
    if encoding in ("mono16", "16UC1"):
        scaled: NDArray[np.float32] = np.divide(image, np.float32(65535), dtype=np.float32)
        return scaled
    gray = "mono8, 8UC1, mono16, 16UC1"
    raise ImageError(f"image of encoding {encoding} has no luma; a visible image is {gray}, {', '.join(_TO_LUMA)}")


def split(image: NDArray[Any], encoding: str) -> tuple[NDArray[Any], Chroma]:
    """Return luma (H, W) and chroma of an image of a colour ``encoding`` (see :func:`is_color`)."""
    y, cr, cb = cv2.split(cv2.cvtColor(image, _TO_YCRCB[encoding]))
    return y, (cr, cb)


def to_uint8(luma: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return ``luma`` in [0, 1] as 8 bits, rounded to the nearest and held to [0, 255]."""
    rounded: NDArray[np.uint8] = cv2.multiply(luma, 255.0, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    return rounded


def recombine(luma: NDArray[np.float32], chroma: Chroma) -> NDArray[np.uint8]:
    """Return bgr8 (H, W, 3) of ``luma`` (H, W) in [0, 1] and ``chroma`` of any size, brought to that of ``luma``."""
    height, width = luma.shape
    cr, cb = (resample(plane, width, height) for plane in chroma)
    ycrcb = cv2.merge([to_uint8(luma), cr, cb])
    bgr: NDArray[Any] = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR, dst=ycrcb)
    return bgr
