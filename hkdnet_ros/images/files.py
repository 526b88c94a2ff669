"""Image files as camera images: PNG, JPEG, TIFF and whatever else OpenCV reads, of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError


def read_thermal(path: Path) -> tuple[NDArray[Any], str]:
    """Return a thermal image file as ((H, W), encoding): mono8, or mono16 where it has 16 bits.

    Raises :class:`SourceError` where it cannot be read or has other pixels.
    """
    image = _read(path)
    if image.ndim == 3:
        if image.dtype != np.uint8:
            raise SourceError(f"{path}: is {image.dtype} in colour; expected a gray image of 8 or 16 bits")
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return image, "mono8" if image.dtype == np.uint8 else "mono16"


def read_visible(path: Path) -> tuple[NDArray[Any], str]:
    """Return a visible image file as ((H, W), "mono8") or ((H, W, 3), "bgr8"); errors as :func:`read_thermal`."""
    image = _read(path)
    if image.dtype != np.uint8:
        raise SourceError(f"{path}: is {image.dtype}; expected a visible image of 8 bits")
    return image, "mono8" if image.ndim == 2 else "bgr8"


def _read(path: Path) -> NDArray[Any]:
    """Return the pixels of a file, (H, W) or (H, W, 3), uint8 or uint16, without alpha."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_file(data, str(path))


def decode_file(data: NDArray[np.uint8], name: str) -> NDArray[Any]:
    """Return the pixels of an encoded image (PNG, JPEG, ...), (H, W) or (H, W, 3) in blue, green, red, without alpha.

    Raises :class:`SourceError` that names ``name`` for damaged data and for pixels of other than 8 or 16 bits.
    """
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:
        raise SourceError(f"{name}: cannot be decoded ({' '.join(str(error.err).split())})") from error
    if image is None:
        raise SourceError(f"{name}: not a readable image ({data.size} bytes)")
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"{name}: pixels are {image.dtype}; expected 8 or 16 bit unsigned integers")
    if image.ndim == 3:
        image = image[:, :, 0] if image.shape[2] <= 2 else image[:, :, :3]
    return np.ascontiguousarray(image)
