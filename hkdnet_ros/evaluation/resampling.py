"""Pillow's resampling in NumPy: the antialiased reduction and the bicubic enlargement of the published comparisons.

Values equal Pillow's bit for bit when reducing 8-bit images, so that figures compare, without Pillow being needed.
OpenCV's INTER_LINEAR does not smooth before it drops pixels, and its INTER_CUBIC has another kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

_Array = NDArray[np.float64]
_FIXED_POINT = 1 << 22  # Pillow's weights for 8-bit images are integers over this


def crop_to_multiple(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return ``image`` (H, W) without the last rows and columns beyond a multiple of ``scale``."""
    height, width = (side // scale * scale for side in image.shape)
    if not height or not width:
        raise ImageError(
            f"image is {image.shape[1]}x{image.shape[0]}; it cannot be reduced by {scale}, use larger ones"
        )
    return image[:height, :width]


def reduce_bilinear(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return ``image`` (H, W), sides multiples of ``scale``, reduced by Pillow's antialiased BILINEAR."""
    height, width = image.shape
    rows = np.rint(_weights(height, height // scale, _triangle, 1.0) * _FIXED_POINT)
    columns = np.rint(_weights(width, width // scale, _triangle, 1.0) * _FIXED_POINT)
    across = _to_8_bit(image.astype(np.float64) @ columns.T)  # sums of whole numbers below 2^53: exact
    return _to_8_bit(rows @ across).astype(np.uint8)


def enlarge_bicubic(image: NDArray[np.uint8] | NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Return ``image`` (H, W), 0..255, enlarged by Pillow's BICUBIC (a = -0.5) in floating point, clipped to 0..255."""
    height, width = image.shape
    across = image.astype(np.float64) @ _weights(width, width * scale, _cubic, 2.0).T
    enlarged = _weights(height, height * scale, _cubic, 2.0) @ across.astype(np.float32)
    clipped: NDArray[np.float32] = np.clip(enlarged, 0, 255).astype(np.float32)
    return clipped


def _to_8_bit(sums: _Array) -> _Array:
    rounded: _Array = np.clip(np.floor(sums / _FIXED_POINT + 0.5), 0, 255)
    return rounded


def _weights(size_in: int, size_out: int, kernel: Callable[[_Array], _Array], support: float) -> _Array:
    """Return the (size_out, size_in) resampling weights, rows of sum 1.

    Pixel centres are at half numbers; when reducing, the kernel is widened to the output's pixel; beyond the border
    nothing counts.
    """
    step = size_in / size_out
    width = max(step, 1.0)
    centres = (np.arange(size_out)[:, None] + 0.5) * step
    weights = kernel((np.arange(size_in) + 0.5 - centres) / width)
    weights[np.abs(np.arange(size_in) + 0.5 - centres) > support * width] = 0
    normalised: _Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _triangle(distance: _Array) -> _Array:
    weight: _Array = np.maximum(1 - np.abs(distance), 0)
    return weight


def _cubic(distance: _Array) -> _Array:
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weight: _Array = np.where(x < 1, near, np.where(x < 2, far, 0))
    return weight
