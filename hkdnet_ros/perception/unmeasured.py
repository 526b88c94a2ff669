"""Pixels of a thermal image that were not measured: NaN, infinity, or a number that stands for no data.

A few of them stretch the range until nothing warm is seen, as the borders of a registered image do.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

_MOST = 0.5  # of the pixels; a picture that is less than half measured is no picture
_KELVIN = 100.0  # an image of floats whose other values are all above has 0 for no data
_ABSOLUTE_ZERO = -273.0  # in degrees Celsius: colder is no temperature, and -273.15 is 0 K
_LEAST = 0.002  # of the pixels of integers; fewer at 0 are bad pixels (bad_pixels.py) and do not stretch the range
_LEVELS = 64  # that 8 bits span at most where 0 is no data; a camera that uses more has cold things at 0
_SAMPLES = 20_000
_COARSE = 8  # px


def mend_unmeasured(image: NDArray[Any]) -> NDArray[Any]:
    """Return ``image`` (H, W) with its unmeasured pixels replaced by the mean of those around; itself if there is none.

    Those are NaN, infinite, and the lowest value where it stands for no data: 0, or for floats one that no temperature
    in degrees Celsius has, such as -9999, if it is further from all other values than these are from each other. Among
    floats that are all above 100, 0 always does. It stays where it is that of more than half of the pixels, and among
    integers where it is that of fewer than 2 in 1000. Images in colour are returned as they are.

    The mean is that of the 3x3 around a pixel; further inside a hole, that of the nearest squares of 8x8 pixels and
    more. Raises :class:`ImageError` where more than half of the pixels are NaN or infinite.
    """
    if image.ndim != 2:
        return image
    is_missing = _missing(image)
    if is_missing is None:
        return image
    weights = (~is_missing).astype(np.float64)
    values = np.where(is_missing, 0, image).astype(np.float64)  # of any floats, which as float32 could overflow
    filled = _reached(values, weights, 3)
    if np.isnan(filled[is_missing]).any():
        filled = np.where(np.isnan(filled), _from_afar(values, weights), filled)
    filled = filled if image.dtype.kind == "f" else np.rint(filled)
    mended: NDArray[Any] = image.copy()
    mended[is_missing] = filled[is_missing]
    return mended


def _missing(image: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which pixels were not measured; None if all were. Raises what :func:`mend_unmeasured` does."""
    is_float = image.dtype.kind == "f"
    is_bad: NDArray[np.bool_] = ~np.isfinite(image) if is_float else np.zeros(image.shape, np.bool_)
    bad = int(np.count_nonzero(is_bad))
    if bad > _MOST * image.size:
        raise ImageError(
            f"thermal image has {bad} NaN or infinite pixels of {image.size}; expected no more than half of them"
        )
    lowest = float(image.min(where=~is_bad, initial=np.inf)) if bad else float(image.min())
    if lowest == 0 or (is_float and lowest < _ABSOLUTE_ZERO):
        is_lowest: NDArray[np.bool_] = image == lowest
        share = np.count_nonzero(is_lowest) / image.size
        if share + bad / image.size <= _MOST and (is_float or share >= _LEAST) and _is_apart(image, lowest, is_bad):
            is_bad |= is_lowest
            return is_bad
    return is_bad if bad else None


def _is_apart(image: NDArray[Any], lowest: float, is_bad: NDArray[np.bool_]) -> bool:
    """Tell whether the lowest value is so far from the others that it stands for no data."""
    if lowest == 0 and image.dtype.kind == "f" and image.min(where=~is_bad & (image != 0), initial=np.inf) > _KELVIN:
        return True
    stride = max(1, round((image.size / _SAMPLES) ** 0.5))
    sample = image[::stride, ::stride]
    others = sample[np.isfinite(sample) & (sample != lowest)]
    if not others.size:
        return False
    low, high = np.percentile(others, (1, 99)).astype(np.float64)  # a few dead and hot pixels are passed over
    return bool(low - lowest > high - low) and not (image.dtype == np.uint8 and high - low >= _LEVELS)


def _reached(values: NDArray[np.float64], weights: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the weighted mean of the square around each pixel; NaN where nothing in it has weight."""
    total, reached = (
        np.asarray(cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT), np.float64)
        for plane in (values, weights)
    )
    is_reached = reached > 1e-3  # what is less was left by rounding
    means: NDArray[np.float64] = np.divide(total, reached, out=np.full(total.shape, np.nan), where=is_reached)
    return means


def _from_afar(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each pixel the mean of the smallest square of coarse cells that holds anything, smoothly enlarged."""
    height, width = values.shape
    size = (-(-width // _COARSE), -(-height // _COARSE))
    coarse, weight = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float64) for plane in (values, weights)
    )
    filled, side = _reached(coarse, weight, 1), 3
    while np.isnan(filled).any():
        filled = np.where(np.isnan(filled), _reached(coarse, weight, side), filled)
        side = 2 * side + 1
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR), np.float64)
