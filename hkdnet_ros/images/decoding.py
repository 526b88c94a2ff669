"""Raw image bytes to a numpy view: the encodings cameras use most, any row padding, either byte order, no copy.

Encoding names and the meaning of ``step`` are those of sensor_msgs/Image and sensor_msgs/image_encodings.hpp.
"""

from __future__ import annotations

from array import array
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .frames import ENCODINGS

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[int]"


def check_layout(height: int, width: int, encoding: str, step: int, size: int, pixel_bytes: int) -> None:
    """Raise :class:`ImageError` unless ``size`` bytes of data are exactly ``height`` rows of ``step`` bytes.

    A row must hold ``width`` pixels of ``pixel_bytes``. Data that is longer than that is refused like data that is too
    short: one of the header fields is then wrong, and the picture would be sheared.
    """
    if height <= 0 or width <= 0:
        raise ImageError(f"{encoding} image of {width}x{height} pixels has no content; expected at least 1x1")
    row = width * pixel_bytes  # Python's integers: no header can overflow these products
    if step < row:
        raise ImageError(f"step of {step} bytes is too small for {width} pixels of {encoding}; expected {row} or more")
    expected = step * height
    if size != expected:
        fault = "truncated" if size < expected else "too long"
        raise ImageError(
            f"{encoding} image data of {size} bytes is {fault}; expected {expected} (step {step} x height {height})"
        )


def decode_image(
    height: int, width: int, encoding: str, is_bigendian: int | bool, step: int, data: Buffer
) -> NDArray[np.generic]:
    """Return the pixels in ``data`` as (height, width) or (height, width, channels), native byte order.

    The result is a view on ``data`` (padding is skipped by its strides), except for big-endian or unaligned 16-bit and
    float pixels, which are copied once. Channels stay in the order ``encoding`` names; rgba8 and bgra8 give four.

    Raises :class:`ImageError` for an encoding not in :data:`ENCODINGS`, a size of zero, a step smaller than a row, and
    data that is not exactly ``step * height`` bytes.
    """
    if encoding not in ENCODINGS:
        raise ImageError(f"encoding {encoding!r} is not known; expected one of {', '.join(ENCODINGS)}")
    scalar, channels = ENCODINGS[encoding]
    dtype = np.dtype(scalar).newbyteorder(">" if is_bigendian else "<")
    pixel = channels * dtype.itemsize
    check_layout(height, width, encoding, step, memoryview(data).nbytes, pixel)
    shape: tuple[int, ...] = (height, width) if channels == 1 else (height, width, channels)
    strides: tuple[int, ...] = (step, pixel) if channels == 1 else (step, pixel, dtype.itemsize)
    view: NDArray[np.generic] = np.ndarray(shape, dtype, buffer=data, strides=strides)
    if not view.dtype.isnative:
        return view.astype(view.dtype.newbyteorder("="))
    # An odd step leaves 16-bit rows at odd addresses, which some processors read slowly or not at all.
    return view if view.flags.aligned else view.copy()
