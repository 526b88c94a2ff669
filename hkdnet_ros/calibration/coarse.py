"""Where a homography may lie: every scale, a few turns and all shifts, tried on small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.homography import transform_points
from ..geometry.lookup import Size
from ..images.edges import Edges, edges_of
from ..images.resampling import resample
from .warping import Matrix, corners, resizing, warped

Gray = NDArray[np.float32]

_LONGER_SIDE = 192  # px; with 128, three of eleven night pairs were lost
_SCALES = np.geomspace(0.33, 1.9, 26)  # of thermal, beside a thermal image as wide as the visible one
_TURNS = np.radians((-3.0, 0.0, 3.0))
_LEAST_SHARE = 0.25  # of the smaller view that has to lie in the other
_APART = 0.06  # of the longer side, by which two proposals differ


def proposals(pairs: Sequence[tuple[Gray, Gray]], count: int) -> list[Matrix]:
    """Return homographies from thermal to visible pixels, the likeliest first, by edges of all ``pairs`` together.

    Pairs are (thermal, visible), each (H, W) in [0, 1], all of one size each. Correlations at all shifts come from the
    Fourier transform; where little overlaps they are large by chance, and count by the root of what overlaps.
    """
    height, width = pairs[0][1].shape
    factor = _LONGER_SIDE / max(width, height)
    small = max(8, round(width * factor)), max(8, round(height * factor))
    back = resizing(small, (width, height))
    field = _Field([edges_of(resample(visible, *small)) for _, visible in pairs], small)
    found = []
    for scale in _SCALES:
        for turn in _TURNS:
            likeness, to_small = field.best(
                [thermal for thermal, _ in pairs], _turned(pairs[0][0].shape, small, scale, turn)
            )
            found.append((likeness, back @ to_small))
    found.sort(key=lambda proposal: -proposal[0])
    return distinct([matrix for _, matrix in found], pairs[0][0].shape[::-1], _APART * max(width, height))[:count]


def distinct(found: Sequence[Matrix], thermal_size: Size, apart: float) -> list[Matrix]:
    """Return those of ``found`` that have a corner of the thermal image more than ``apart`` from all before them."""
    thermal_corners = corners(thermal_size)
    kept: list[Matrix] = []
    places: list[NDArray[np.float64]] = []
    for matrix in found:
        place = transform_points(matrix, thermal_corners)
        if all(np.abs(place - other).max() > apart for other in places):
            kept.append(matrix)
            places.append(place)
    return kept


def _turned(shape: tuple[int, ...], small: tuple[int, int], scale: float, turn: float) -> Matrix:
    """Return what scales and turns a thermal image about the middle of the small grid."""
    height, width = shape
    size = scale * small[0] / width
    matrix = np.array(
        [[np.cos(turn) * size, -np.sin(turn) * size, 0], [np.sin(turn) * size, np.cos(turn) * size, 0], [0, 0, 1.0]]
    )
    middle = matrix @ [(width - 1) / 2, (height - 1) / 2, 1]
    matrix[:2, 2] = (np.array(small) - 1) / 2 - middle[:2]
    return matrix


class _Field:
    """The edges that the visible camera sees, on a field that has room for all shifts."""

    def __init__(self, seen: Sequence[Edges], size: tuple[int, int]) -> None:
        self._size = size
        self._shape = tuple(cv2.getOptimalDFTSize(2 * side) for side in size[::-1])
        self._seen = [np.fft.fft2(edges[..., 0] + 1j * edges[..., 1], self._shape) for edges in seen]
        power = sum((edges * edges).sum(axis=-1) for edges in seen)
        self._power = np.fft.rfft2(power, self._shape)
        self._whole = np.fft.rfft2(np.ones(size[::-1]), self._shape)

    def best(self, thermals: Sequence[Gray], to_small: Matrix) -> tuple[float, Matrix]:
        """Return the largest likeness over all shifts, and ``to_small`` with that shift."""
        products: Any = 0.0
        power: Any = 0.0
        for thermal, seen in zip(thermals, self._seen, strict=True):
            on_grid, shown = warped(thermal, to_small, self._size)
            edges = edges_of(on_grid, shown)
            products = products + seen * np.conj(np.fft.fft2(edges[..., 0] + 1j * edges[..., 1], self._shape))
            power = power + (edges * edges).sum(axis=-1)
        mask = np.conj(np.fft.rfft2((shown > 0).astype(np.float64), self._shape))
        overlap, felt, seen_power = (
            np.maximum(np.fft.irfft2(product, self._shape), 0)
            for product in (mask * self._whole, np.conj(np.fft.rfft2(power, self._shape)) * self._whole,
                            mask * self._power)
        )  # fmt: skip
        area = self._size[0] * self._size[1]
        spread = np.sqrt(np.maximum(felt * seen_power, 1e-9))
        likeness = np.fft.ifft2(products).real / spread * np.sqrt(overlap / area)
        likeness[overlap < _LEAST_SHARE * np.count_nonzero(shown)] = -1
        row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
        shift = [int(place) - side if place > side // 2 else int(place)
                 for place, side in zip((column, row), self._shape[::-1], strict=True)]  # fmt: skip
        moved = to_small.copy()
        moved[:2, 2] += shift
        return float(likeness[row, column]), moved
