"""Image files as camera images: PNG, JPEG, TIFF and whatever else OpenCV reads, of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError
from . import color
from .compressed import decode_file


def read_image(path: str | Path) -> tuple[NDArray[Any], str]:
    """Return an image file as (pixels, encoding): (H, W) mono8 or mono16, or (H, W, 3) bgr8; see :func:`decode_file`.

    Raises :class:`SourceError` where it cannot be read, is no image or has other pixels.
    """
    try:
        return decode_file(np.fromfile(path, np.uint8))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    except ImageError as error:
        raise SourceError(f"{path}: {error}") from error


def read_thermal(path: str | Path) -> tuple[NDArray[Any], str]:
    """Return a thermal image file as :func:`read_image` does, but one in colours without colour as mono8."""
    return color.gray_if_colourless(*read_image(path))
