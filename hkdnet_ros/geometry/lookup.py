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
_FEWEST = 1.5  # pixels to a mean after halving: halves alias more than a mean over as many pixels as are covered
_MOST_HALVINGS = 4  # of 16 pixels, the smallest image, one is left
_HARDLY = 1.03  # pixels to a mean, up to which there is nothing to average
_ENOUGH = 1.4  # source pixels to a sample at the most
_OVERSAMPLED = 4  # samples to a pixel of the grid on each side at the most
_MOST_SAMPLES = 8_000_000  # of a whole grid, about 50 MB
_MARGIN = 4  # px of the halved image around what is used of it, which means and cubics reach into
_SHARE = 5  # % of the pixels whose scale may lie beyond


class LookupTable:
    """Where the pixels of a grid lie in images of one size; made once, applied to each image.

    Pixels have the centre of the first one at (0, 0), and reach half a pixel around it. What one pixel of the grid
    covers of a larger image is averaged, so that nothing aliases: the image is first averaged over as many of its
    pixels as one of the grid covers where it covers fewest, and where that is too few, several samples are taken to a
    pixel. An image much finer than the grid is halved before, which is quicker.
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
        self.halvings = 0
        """How often the part that is looked at is brought to half its size, by area."""
        self.means: tuple[float, float] = (1.0, 1.0)
        """The columns and rows over which each pixel of the halved part is then averaged."""
        self._samples = 1
        if inside.any():
            (fine_x, fine_y), (coarse_x, coarse_y) = _scales(traced, inside)
            self.halvings = int(np.clip(np.log2(max(min(fine_x, fine_y), 1) / _FEWEST), 0, _MOST_HALVINGS))
            self.means = _mean(fine_x, self.halvings), _mean(fine_y, self.halvings)
            left_over = max(coarse_x / max(fine_x, 1), coarse_y / max(fine_y, 1))
            most = min(_OVERSAMPLED, max(1, int(np.sqrt(_MOST_SAMPLES / (size[0] * size[1])))))
            self._samples = min(int(np.ceil(left_over / _ENOUGH)), most)
        left, top, width, height = _used(traced, inside, source_size, 1 << self.halvings)
        self.part = slice(top, top + height), slice(left, left + width)
        """What of the source image is looked at, rows and columns."""
        self.halved: Size = (width >> self.halvings, height >> self.halvings)
        """The size of the halved part."""
        self._kernels = [mean_kernel(mean).astype(np.float32) for mean in self.means]
        if self._samples > 1:
            traced = trace(pixel_grid(size, self._samples))
        self._maps = _fixed_maps(traced - (left, top), (width, height), self.halved, self._samples)

    @property
    def coverage(self) -> float:
        """The share of the grid that the source image shows."""
        return float(np.count_nonzero(self.validity) / self.validity.size)

    def places(self) -> NDArray[np.float64]:
        """Return where :meth:`apply` looks in the halved part: (n * H, n * W, 2) pixels, n samples to one of the grid.

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
        source = image[self.part]
        for _ in range(self.halvings):
            source = cv2.resize(source, (source.shape[1] // 2, source.shape[0] // 2), interpolation=cv2.INTER_AREA)
        if self.means != (1.0, 1.0):
            source = cv2.sepFilter2D(source, -1, self._kernels[0], self._kernels[1], borderType=cv2.BORDER_REPLICATE)
        on_grid = cv2.remap(source, *self._maps, interpolation, borderMode=cv2.BORDER_REPLICATE)
        if self._samples > 1:
            on_grid = cv2.resize(on_grid, self.size, interpolation=cv2.INTER_AREA)
        if image.dtype.kind == "f" and interpolation == cv2.INTER_CUBIC:
            np.clip(on_grid, image.min(), image.max(), out=on_grid)
        return on_grid if self.is_complete else cv2.copyTo(on_grid, self.validity)  # 0 where the mask is


class NearestTable:
    """Where the pixels of a grid lie in depth images of one size; the nearest pixel counts, for between two is none."""

    def __init__(self, places: NDArray[np.float64], size: Size) -> None:
        """``places`` are (H, W, 2) pixels of an image of ``size``."""
        width, height = size
        x, y = (np.rint(np.nan_to_num(places[..., axis])).astype(np.intp) for axis in range(2))
        self._index = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)

    def apply(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return ``image`` on the grid; that of some pixel where it does not show it."""
        # A third of the time that OpenCV's remap takes for it; numpy need not ask whether an index lies in the image.
        return image.take(self._index, mode="wrap")


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


def _used(traced: NDArray[np.float64], inside: NDArray[np.bool_], size: Size, unit: int) -> tuple[int, int, int, int]:
    """Return left, top, width and height of what is used of a source image; all else need not be looked at.

    Width and height are multiples of ``unit`` pixels, of which there is a margin, as far as the image reaches.
    """
    low, high = np.zeros(2, int), np.asarray(size)
    if inside.any():
        places = traced[inside]
        low = np.maximum(np.floor(places.min(axis=0)).astype(int) - _MARGIN * unit, 0)
        high = np.minimum(np.ceil(places.max(axis=0)).astype(int) + _MARGIN * unit + 1, high)
    width, height = np.maximum(1, (high - low) // unit) * unit
    return int(low[0]), int(low[1]), int(width), int(height)


def _scales(traced: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return source pixels to a pixel of the grid: ((x, y) where it is finest, (x, y) where it is coarsest)."""
    pairs = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:]
    if not pairs.any():
        return np.ones((2, 2))
    across = traced[:-1, 1:][pairs] - traced[:-1, :-1][pairs]
    down = traced[1:, :-1][pairs] - traced[:-1, :-1][pairs]
    return np.percentile(np.hypot(across, down), (_SHARE, 100 - _SHARE), axis=0)


def mean_kernel(pixels: float) -> NDArray[np.float64]:
    """Return the weights (2 n + 1) of a pixel and its neighbours in the mean over ``pixels``, 1 or more, around it."""
    reach = int(np.ceil((pixels - 1) / 2))
    covered = np.clip(pixels / 2 + 0.5 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
    return np.asarray(covered / pixels)


def _mean(scale: float, halvings: int) -> float:
    """Return the pixels of a halved image over which is to be averaged, of a ``scale`` before."""
    mean = float(scale) / (1 << halvings)
    return mean if mean > _HARDLY else 1.0


def _fixed_maps(
    traced: NDArray[np.float64], source_size: Size, halved: Size, samples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return OpenCV's maps in fixed point, to 1/32 of a pixel, from places in the source image.

    What lies outside is not shown. It is sent to the middle of the image, for OpenCV takes several times as long for
    places outside; samples whose mean is shown at the border are sent to the nearest edge.
    """
    with np.errstate(invalid="ignore"):
        places = (traced + 0.5) * (np.asarray(halved) / source_size) - 0.5
    middle = np.asarray(halved) // 2
    if samples > 1:
        places = np.clip(np.where(np.isnan(places), middle, places), -0.5, np.asarray(halved) - 0.5)
    else:
        places[~_inside(traced, source_size)] = middle
    x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    return cv2.convertMaps(x, y, cv2.CV_16SC2)
