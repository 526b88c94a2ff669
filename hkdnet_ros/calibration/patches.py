"""How alike the edges of two images are, patch by patch and shift by shift, and the homography that suits all patches.

A patch with one straight edge tells the shift across it and none along it. So no patch decides on one shift: its whole
surface of likeness is kept, and what is climbed is the sum of all surfaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.lookup import Size
from ..images.edges import Edges
from .warping import corners

Array = NDArray[np.float64]

_LEAST_EDGES = 0.02  # mean power of the edges of a patch, below which they count by less
_COVERED = 0.8  # of a patch that thermal has to show
_MOST_STEPS = 8


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Values (N, 2 reach + 1, 2 reach + 1) by shift down and across, of patches about ``centres`` (N, 2).

    Each says how likely a shift is, as a logarithm.

    A shift is where thermal edges lie beside visible ones, in pixels of a grid of ``size``.
    """

    centres: Array
    values: Array
    size: Size
    reach: int


def places_of(shown: NDArray[np.uint8], side: int) -> list[tuple[int, int]]:
    """Return the first pixels (x, y) of patches of ``side`` pixels, overlapping by half, that ``shown`` covers."""
    height, width = shown.shape
    covered = _box((shown > 0).astype(np.float32), side) / side**2
    return [(x, y) for y in range(0, height - side + 1, side // 2) for x in range(0, width - side + 1, side // 2)
            if covered[y, x] >= _COVERED]  # fmt: skip


def correlations(thermal: Edges, visible: Edges, places: Sequence[tuple[int, int]], side: int, reach: int) -> Array:
    """Return the correlations (N, S, S) of the patches of ``side`` pixels at ``places``, S = 2 reach + 1 each way.

    ``thermal`` are edges on the visible image's grid. What has hardly an edge hardly correlates.
    """
    window = 2 * reach + 1
    wide = cv2.copyMakeBorder(thermal, *(reach,) * 4, cv2.BORDER_CONSTANT, value=0)
    felt = _box((wide * wide).sum(axis=-1), side)
    seen = _box((visible * visible).sum(axis=-1), side)
    least = _LEAST_EDGES * side**2
    values = np.zeros((len(places), window, window))
    for number, (x, y) in enumerate(places):
        patch = visible[y : y + side, x : x + side]
        around = wide[y : y + side + 2 * reach, x : x + side + 2 * reach]
        power = max(seen[y, x], least) * np.maximum(felt[y : y + window, x : x + window], least)
        values[number] = cv2.matchTemplate(around, patch, cv2.TM_CCORR) / np.sqrt(power)
    return values


def powers(edges: Edges, places: Sequence[tuple[int, int]], side: int) -> Array:
    """Return the power of the edges of the patches (N) at ``places``; that of hardly an edge is not told from none."""
    total = _box((edges * edges).sum(axis=-1), side)
    return np.maximum([total[y, x] for x, y in places], _LEAST_EDGES * side**2)


def climb(found: Surfaces, sigmas: Sequence[float], weight: float, bent: Array) -> Array:
    """Return the shifts (4, 2) of the grid's corners at which the sum of all surfaces has its top.

    Newton steps on surfaces smoothed by each of ``sigmas`` pixels in turn. The homography is held to a similarity, from
    which it is ``bent`` (4, 2) before, with a ``weight`` that is one by the variance of corners.
    """
    moving = _corner_motion(found.centres, found.size)
    hold = weight * _not_similar(found.size)
    start = bent.ravel()
    delta = np.zeros(8)
    for sigma in sigmas:
        smooth = np.stack([cv2.GaussianBlur(one, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
                           for one in found.values])  # fmt: skip
        down, across = np.gradient(smooth, axis=(1, 2))
        bends = [np.gradient(across, axis=2), np.gradient(across, axis=1), np.gradient(down, axis=1)]
        for _ in range(_MOST_STEPS):
            shifts = np.einsum("nij,j->ni", moving, delta)
            inside = (np.abs(shifts) < found.reach).all(axis=1)
            at = _Interpolated(np.clip(shifts, -found.reach, found.reach - 1e-6) + found.reach)
            slope = np.stack([at(across), at(down)], axis=-1)
            xx, xy, yy = (at(bend) for bend in bends)
            # Where a surface bends upwards, the step goes by its slope and as much bend downwards.
            values, ways = np.linalg.eigh(np.moveaxis(np.array([[xx, xy], [xy, yy]]), -1, 0))
            bend = np.einsum("nij,nj,nkj->nik", ways, np.abs(values) + 1e-9, ways)
            normal = np.einsum("nia,nij,njb,n->ab", moving, bend, moving, inside)
            wanted = np.einsum("nia,ni,n->a", moving, slope, inside)
            normal = normal + hold + 1e-6 * np.trace(normal) * np.eye(8) + 1e-12 * np.eye(8)
            step = np.linalg.solve(normal, wanted - hold @ (delta + start))
            largest = float(np.abs(step).max())
            delta = delta + step / max(1.0, largest)
            if largest < 0.01:
                break
    return delta.reshape(4, 2)


class _Interpolated:
    """Values of maps (N, S, S) at one place (x, y) of each, by the four pixels around it."""

    def __init__(self, places: Array) -> None:
        self._whole = places.astype(np.int64)
        self._part = places - self._whole
        self._number = np.arange(len(places))

    def __call__(self, maps: NDArray[Any]) -> Array:
        (x, y), (right, below) = self._whole.T, self._part.T
        upper = maps[self._number, y, x] * (1 - right) + maps[self._number, y, x + 1] * right
        lower = maps[self._number, y + 1, x] * (1 - right) + maps[self._number, y + 1, x + 1] * right
        return np.asarray(upper * (1 - below) + lower * below, np.float64)


def _box(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return the sum over the ``side`` squared pixels from each one to the right and down."""
    return np.asarray(
        cv2.boxFilter(image, -1, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    )


def _corner_motion(points: Array, size: Size) -> Array:
    """Return (N, 2, 8): how points move with x and y of the four corners, to the first order of a homography."""
    middle = (np.array(size) - 1) / 2

    def motions(places: Array) -> Array:
        x, y = ((places - middle) / (max(size) / 2)).T
        none, one = np.zeros_like(x), np.ones_like(x)
        return np.stack(
            [np.stack([x, y, one, none, none, none, x * x, x * y], axis=1),
             np.stack([none, none, none, x, y, one, x * y, y * y], axis=1)], axis=1,
        )  # fmt: skip

    return np.asarray(motions(points) @ np.linalg.inv(motions(corners(size)).reshape(8, 8)), np.float64)


def _not_similar(size: Size) -> Array:
    """Return the projection (8, 8) of shifts of the corners to what no shift, turn and scale does."""
    centred = corners(size) - (np.array(size) - 1) / 2
    turned = centred[:, ::-1] * (-1, 1)
    similar = np.stack([np.tile([1.0, 0.0], 4), np.tile([0.0, 1.0], 4), centred.ravel(), turned.ravel()], axis=1)
    basis, _ = np.linalg.qr(similar)
    return np.asarray(np.eye(8) - basis @ basis.T, np.float64)
