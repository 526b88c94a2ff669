"""How alike the edges of two images are, patch by patch and shift by shift.

A patch with one straight edge tells the shift across it and none along it. So no patch decides on one shift: its whole
surface of likeness is kept.
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

Array = NDArray[np.float64]

_LEAST_EDGES = 0.02  # mean power of the edges of a patch, below which they count by less
_COVERED = 0.8  # of a patch that thermal has to show


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Values (N, 2 reach + 1, 2 reach + 1) by shift down and across, of patches about ``centres`` (N, 2).

    Each says how much likelier a shift is than if all were alike, as a logarithm.

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


def _box(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return the sum over the ``side`` squared pixels from each one to the right and down."""
    return np.asarray(
        cv2.boxFilter(image, -1, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    )
