"""What :mod:`..images` and :mod:`..geometry.lookup` do to images by OpenCV, in torch, for a device that fuses them.

Images are float32 (..., H, W): levels from 0 to 255, or units in [0, 1]. Sizes are (width, height). Weights and order
of operations are OpenCV's, so that levels agree but for one here and there, where halves are rounded otherwise.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.lookup import LookupTable, Size, mean_kernel
from ..images.blank import BLOCK

_CUBIC = -0.75  # OpenCV's choice of the free parameter

# OpenCV's YCrCb in fixed point of 14 bits.
_SHIFT = 14
_HALF = 1 << 13
_MIDDLE = 128 << 14


class Resize:
    """Brings images to another size as :func:`~hkdnet_ros.images.resampling.resample` does by default."""

    def __init__(self, source: Size, target: Size, device: torch.device) -> None:
        shrunk = min(source[0], target[0]), min(source[1], target[1])
        steps = ((source, shrunk, _area), (shrunk, target, _cubic))
        self._steps = [
            [_Axis(axis, *weigh(before[axis], after[axis]), device) for axis in (0, 1) if before[axis] != after[axis]]
            for before, after, weigh in steps
            if before != after
        ]
        self._is_halved = source == (2 * target[0], 2 * target[1])

    def levels(self, image: Tensor) -> Tensor:
        """Return levels, rounded as those of 8 bits are."""
        for step in self._steps:
            for axis in step:
                image = axis.apply(image)
            # Of four pixels OpenCV takes the mean in integers, in which a half goes up, else to the even level.
            image = ((image + 0.5).floor() if self._is_halved else image.round()).clamp(0, 255)
        return image

    def units(self, image: Tensor) -> Tensor:
        """Return units, held to the range of ``image`` (H, W)."""
        for step in self._steps:
            low, high = image.amin(), image.amax()
            for axis in step:
                image = axis.apply(image)
            image = image.clamp(low, high)
        return image


class _Axis:
    """Weighted sums of some neighbours along one axis, 0 for columns and 1 for rows."""

    def __init__(self, axis: int, index: NDArray[np.int64], weight: NDArray[np.float64], device: torch.device) -> None:
        """``index`` and ``weight`` are (pixels, neighbours)."""
        self._dim = -1 - axis
        self._index = torch.from_numpy(index).to(device).flatten()
        self._shape = index.shape
        weights = torch.from_numpy(weight).float().to(device)
        self._weight = weights if axis == 0 else weights[:, :, None]

    def apply(self, image: Tensor) -> Tensor:
        neighbours = image.index_select(self._dim, self._index).unflatten(self._dim, self._shape)
        return (neighbours * self._weight).sum(self._dim)


def _area(pixels: int, fewer: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which pixels each of ``fewer`` covers, and by what share of its own."""
    span = pixels / fewer
    begin = np.arange(fewer)[:, None] * span
    end = np.minimum(begin + span, pixels)
    index = np.floor(begin + 1e-9).astype(np.int64) + np.arange(int(np.ceil(span)) + 1)
    weight = np.clip(np.minimum(index + 1, end) - np.maximum(index, begin), 0, None)
    return np.minimum(index, pixels - 1), weight / weight.sum(1, keepdims=True)


def _mean(pixels: int, over: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pixels around each of ``pixels`` that lie in the mean over ``over`` of them, and their weights."""
    kernel = mean_kernel(over)
    index = np.arange(pixels)[:, None] + np.arange(len(kernel)) - len(kernel) // 2
    return np.clip(index, 0, pixels - 1), np.tile(kernel, (pixels, 1))


def _cubic(pixels: int, more: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the four pixels around each of ``more``, and their weights."""
    place = (np.arange(more) + 0.5) * (pixels / more) - 0.5
    first = np.floor(place)
    x = place - first
    outer, inner, after = x + 1, x, 1 - x
    weights = [
        ((_CUBIC * outer - 5 * _CUBIC) * outer + 8 * _CUBIC) * outer - 4 * _CUBIC,
        ((_CUBIC + 2) * inner - (_CUBIC + 3)) * inner * inner + 1,
        ((_CUBIC + 2) * after - (_CUBIC + 3)) * after * after + 1,
    ]
    weights.append(1 - sum(weights))
    index = first.astype(np.int64)[:, None] + np.arange(-1, 3)
    return np.clip(index, 0, pixels - 1), np.stack(weights, 1)


class TableSampling:
    """Brings units (H, W) to a grid as :meth:`~hkdnet_ros.geometry.lookup.LookupTable.apply` does by cubics."""

    def __init__(self, table: LookupTable, device: torch.device) -> None:
        self._is_resampling = table.is_resampling
        if self._is_resampling:
            self._shrink = Resize(table.source_size, table.size, device)
            return
        rows, columns = self._part = table.part
        self._shrink = Resize((columns.stop - columns.start, rows.stop - rows.start), table.halved, device)
        self._means = [
            _Axis(axis, *_mean(table.halved[axis], table.means[axis]), device)
            for axis in (0, 1)
            if table.means[axis] > 1
        ]
        places = (2 * table.places() + 1) / np.asarray(table.halved) - 1  # as grid_sample counts, from -1 to 1
        self._grid = torch.from_numpy(places).float().to(device)[None]
        height, width = places.shape[:2]
        self._average = Resize((width, height), table.size, device)
        self._seen = None if table.is_complete else torch.from_numpy(table.validity > 0).to(device)

    def units(self, image: Tensor) -> Tensor:
        """Return ``image`` on the grid; 0 where it does not show it."""
        if self._is_resampling:
            return self._shrink.units(image)
        source = self._shrink.units(image[self._part])
        for mean in self._means:
            source = mean.apply(source)
        on_grid = F.grid_sample(source[None, None], self._grid, "bicubic", "border", align_corners=False)[0, 0]
        on_grid = self._average.units(on_grid).clamp(image.amin(), image.amax())
        return on_grid if self._seen is None else on_grid * self._seen


class Spread:
    """How much an image shows, by which :func:`~hkdnet_ros.images.blank.is_blank` judges."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self._resize = Resize(size, (max(1, size[0] // BLOCK), max(1, size[1] // BLOCK)), device)

    def of_levels(self, image: Tensor) -> Tensor:
        """Return the standard deviation of the means over blocks of levels, in full scales."""
        return self._resize.levels(image).std(unbiased=False) / 255

    def of_units(self, image: Tensor) -> Tensor:
        """Return that of units."""
        return self._resize.units(image).std(unbiased=False)


def blend(image: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Return ``image`` where ``weight`` is 1 and ``other`` where it is 0, as OpenCV's blendLinear."""
    return (image * weight + other * (1 - weight)) / (1 + 1e-5)


def gray(image: Tensor) -> Tensor:
    """Return the luma, (H, W) levels, of blue, green and red, (3, H, W) levels."""
    blue, green, red = image.int()
    return ((3735 * blue + 19235 * green + 9798 * red + (1 << 14)) >> 15).float()


def split(image: Tensor) -> Tensor:
    """Return Y, Cr and Cb, (3, H, W) levels, of blue, green and red."""
    blue, green, red = image.int()
    y = (1868 * blue + 9617 * green + 4899 * red + _HALF) >> _SHIFT
    cr = ((red - y) * 11682 + _MIDDLE + _HALF) >> _SHIFT
    cb = ((blue - y) * 9241 + _MIDDLE + _HALF) >> _SHIFT
    return torch.stack([y, cr, cb]).clamp(0, 255).float()


def join(y: Tensor, cr: Tensor, cb: Tensor) -> Tensor:
    """Return blue, green and red, (H, W, 3) uint8, of levels (H, W) each."""
    luma, red, blue = y.int(), cr.int() - 128, cb.int() - 128
    channels = [
        luma + ((blue * 29049 + _HALF) >> _SHIFT),
        luma + ((blue * -5636 + red * -11698 + _HALF) >> _SHIFT),
        luma + ((red * 22987 + _HALF) >> _SHIFT),
    ]
    return torch.stack(channels, -1).clamp(0, 255).byte()


def to_levels(image: Tensor) -> Tensor:
    """Return units as levels, rounded to the nearest."""
    return (image * 255).round().clamp(0, 255)
