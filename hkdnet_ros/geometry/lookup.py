"""A table that says for each pixel of a grid where it is in a camera's image, and brings images to that grid by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.resampling import resample

Size: TypeAlias = "tuple[int, int]"
"""Width and height in pixels."""

Trace: TypeAlias = "Callable[[NDArray[np.float64]], NDArray[np.float64]]"
"""Brings pixels (..., 2) of a grid to pixels (..., 2) of a source image; NaN where it does not show them."""

_EXACT = 2e-3  # px, within which a table is a resampling of the whole image
_ENOUGH = 1.4  # source pixels to a sample at the most
_OVERSAMPLED = 4  # samples to a pixel of the grid on each side at the most
_MOST_SAMPLES = 8_000_000  # of a whole grid, about 50 MB
_MARGIN = 4  # px around what is used of a source image, which averages and cubics reach into
_SHARE = 5  # % of the pixels whose scale may lie beyond


class LookupTable:
    """Where the pixels of a grid lie in images of one size; made once, applied to each image.

    Pixels have the centre of the first one at (0, 0), and reach half a pixel around it. What one pixel of the grid
    covers of a larger image is averaged, so that nothing aliases: the image is first shrunk, by area, as far as no
    detail is lost anywhere, and where it is still too fine then, several samples are taken to a pixel.
    """

    def __init__(self, trace: Trace, size: Size, source_size: Size) -> None:
        """``trace`` goes from the grid of ``size`` to the image of ``source_size``."""
        self.size, self.source_size = size, source_size
        traced = trace(pixel_grid(size))
        inside = _inside(traced, source_size)
        self.is_complete = bool(inside.all())
        self.validity = np.where(inside, np.uint8(255), np.uint8(0))
        """(H, W) uint8, 255 where the source image shows the pixel, else 0."""
        self.is_resampling = self.is_complete and bool(np.abs(traced - _stretched(size, source_size)).max() < _EXACT)
        """Whether all this does is to bring the whole image to another size, or nothing."""
        if self.is_resampling:
            return
        left, top, width, height = _used(traced, inside, source_size)
        self.part = slice(top, top + height), slice(left, left + width)
        """What of the source image is looked at, rows and columns."""
        self.shrunk: Size = (width, height)
        """The size that this part is first brought to, by area."""
        self._samples = 1
        if inside.any():
            (fine_x, fine_y), (coarse_x, coarse_y) = _scales(traced, inside)
            self.shrunk = _shrunk(width, fine_x), _shrunk(height, fine_y)
            left_over = max(coarse_x / max(fine_x, 1), coarse_y / max(fine_y, 1))
            most = min(_OVERSAMPLED, max(1, int(np.sqrt(_MOST_SAMPLES / (size[0] * size[1])))))
            self._samples = min(int(np.ceil(left_over / _ENOUGH)), most)
            if self._samples > 1:
                traced = trace(pixel_grid(size, self._samples))
        self._maps = _fixed_maps(traced - (left, top), (width, height), self.shrunk, self._samples)

    @property
    def coverage(self) -> float:
        """The share of the grid that the source image shows."""
        return float(np.count_nonzero(self.validity) / self.validity.size)

    def places(self) -> NDArray[np.float64]:
        """Return where :meth:`apply` looks in the shrunk part: (n * H, n * W, 2) pixels, n samples to one of the grid.

        In steps of 1/32 pixel, as OpenCV goes. A table that :attr:`is_resampling` has none.
        """
        whole, fraction = self._maps
        parts = np.stack([fraction & 31, fraction >> 5], axis=-1)
        places: NDArray[np.float64] = whole + parts / 32
        return places

    def apply(self, image: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        """Return ``image`` on the grid: (H, W) or (H, W, C), uint8, uint16 or float32; 0 where it does not show it.

        ``image`` has the source size. Floats interpolated by cubics are held to the range of ``image``; by
        cv2.INTER_LINEAR no value leaves the range of its neighbours, and one beside NaN is NaN.
        """
        if self.is_resampling:
            return resample(image, *self.size, growing=interpolation)
        shrunk = resample(image[self.part], *self.shrunk, growing=interpolation)
        on_grid = cv2.remap(shrunk, *self._maps, interpolation, borderMode=cv2.BORDER_REPLICATE)
        if self._samples > 1:
            on_grid = cv2.resize(on_grid, self.size, interpolation=cv2.INTER_AREA)
        if image.dtype.kind == "f" and interpolation == cv2.INTER_CUBIC:
            np.clip(on_grid, image.min(), image.max(), out=on_grid)
        return on_grid if self.is_complete else cv2.copyTo(on_grid, self.validity)  # 0 where the mask is


def pixel_grid(size: Size, samples: int = 1) -> NDArray[np.float64]:
    """Return the places (n * H, n * W, 2) of ``samples`` to a pixel on each side, in pixels of a grid of ``size``."""
    width, height = size
    x = (np.arange(width * samples) + 0.5) / samples - 0.5
    y = (np.arange(height * samples) + 0.5) / samples - 0.5
    return np.stack(np.meshgrid(x, y), axis=-1)


def _stretched(size: Size, source_size: Size) -> NDArray[np.float64]:
    """Return where the pixels of a grid lie when it covers the source image from edge to edge."""
    return (pixel_grid(size) + 0.5) * (np.asarray(source_size) / size) - 0.5


def _inside(traced: NDArray[np.float64], size: Size) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        reach = np.asarray(size) - 0.5 + _EXACT
        inside: NDArray[np.bool_] = np.logical_and(traced >= -0.5 - _EXACT, traced <= reach)  # NaN is not
    return inside[..., 0] & inside[..., 1]


def _used(traced: NDArray[np.float64], inside: NDArray[np.bool_], size: Size) -> tuple[int, int, int, int]:
    """Return left, top, width and height of what is used of a source image; all else need not be looked at."""
    if not inside.any():
        return 0, 0, *size
    places = traced[inside]
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - _MARGIN, 0)
    high = np.minimum(np.ceil(places.max(axis=0)).astype(int) + _MARGIN + 1, size)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _scales(traced: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return source pixels to a pixel of the grid: ((x, y) where it is finest, (x, y) where it is coarsest)."""
    pairs = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:]
    if not pairs.any():
        return np.ones((2, 2))
    across = traced[:-1, 1:][pairs] - traced[:-1, :-1][pairs]
    down = traced[1:, :-1][pairs] - traced[:-1, :-1][pairs]
    return np.percentile(np.hypot(across, down), (_SHARE, 100 - _SHARE), axis=0)


def _shrunk(pixels: int, scale: float) -> int:
    return max(1, round(pixels / max(1.0, scale)))


def _fixed_maps(
    traced: NDArray[np.float64], source_size: Size, shrunk: Size, samples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return OpenCV's maps in fixed point, to 1/32 of a pixel, from places in the source image.

    What lies outside is not shown. It is sent to the middle of the image, for OpenCV takes several times as long for
    places outside; samples whose mean is shown at the border are sent to the nearest edge.
    """
    with np.errstate(invalid="ignore"):
        places = (traced + 0.5) * (np.asarray(shrunk) / source_size) - 0.5
    middle = np.asarray(shrunk) // 2
    if samples > 1:
        places = np.clip(np.where(np.isnan(places), middle, places), -0.5, np.asarray(shrunk) - 0.5)
    else:
        places[~_inside(traced, source_size)] = middle
    x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    return cv2.convertMaps(x, y, cv2.CV_16SC2)
