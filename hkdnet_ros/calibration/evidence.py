"""What the edges of pairs say about the homography between two cameras, as likelihoods, and where it is likeliest.

Of each patch of each pair edges say how likely every shift is. All patches are witnesses of one homography: the
logarithms add up, and what is climbed is the sum. A patch that tells nothing finds all shifts alike and has no say;
what a wrong one says is bounded, for some share of patches is taken to show things that do not belong together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.homography import transform_points
from ..geometry.lookup import Size
from ..images.edges import Edges, edges_of
from ..images.resampling import resample
from .patches import Surfaces, climb, correlations, places_of, powers
from .warping import Matrix, corners, resizing, warped

Gray = NDArray[np.float32]
Pairs = Sequence[tuple[Gray, Gray]]
"""(thermal, visible), each (H, W) in [0, 1], all of one size each."""

LEVELS = (320, 640)
"""Pixels of the longer side of visible images, coarse to fine."""

_REACH = 8  # px to each side whose shifts are compared
_SIDES = {160: 24}  # px of a patch, else 32
_ROUNDS = 4
_SHARPNESS = 10.0  # by which a correlation is the logarithm of a likelihood
_ASTRAY = 0.05  # share of patches that show something else in both modalities
_SPREAD = 0.01  # of the width, standard deviation by which corners are from where a similarity has them
_INDEPENDENT = 0.3  # of what a patch says, that its neighbours, which overlap it, do not say
_FEWEST_PATCHES = 6


class Evidence:
    """Pairs whose edges are compared; those of visible images are kept, for they do not move."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.size = size_of(pairs[0][1])
        self._seen: dict[tuple[int, Size], Edges] = {}

    def some(self, count: int) -> Evidence:
        """Return at most ``count`` of the pairs."""
        return Evidence(self.pairs[:: -(-len(self.pairs) // count)])

    def surfaces(self, homography: Matrix, level: int) -> list[Surfaces]:
        """Return how likely each shift is, as logarithms, by patch: of each pair its own, at the same places.

        Visible images are brought to ``level`` pixels along their longer side, thermal ones to these by ``homography``.
        Of the pairs, one with strong edges at a place tells more there than one with faint edges.
        """
        side = _SIDES.get(level, 32)
        places: list[tuple[int, int]] = []
        alike, power = [], []
        for by_heat, by_light, shown in self._edges(homography, level):
            places = places_of(shown, side)
            alike.append(correlations(by_heat, by_light, places, side, _REACH))
            power.append([powers(edges, places, side) for edges in (by_heat, by_light)])
        strength = np.sqrt(np.prod(power / np.mean(power, axis=0), axis=1))[..., None, None]
        centres = np.array(places, np.float64).reshape(-1, 2) + (side - 1) / 2
        size = _level_size(self.size, level)
        return [
            Surfaces(centres, _bounded(_SHARPNESS * weight * values), size, _REACH)
            for weight, values in zip(strength, alike, strict=True)
        ]

    def likeness(self, homography: Matrix, level: int = 320) -> float:
        """Return the correlation of the edges of all pairs, by the root of the share of the view that both see."""
        product = felt = seen = share = 0.0
        for by_heat, by_light, shown in self._edges(homography, level):
            product += float((by_heat * by_light).sum())
            felt += float((by_heat * by_heat).sum())
            seen += float((by_light * by_light * (shown > 0)[..., None]).sum())
            share = float(np.mean(shown > 0))
        return float(product / np.sqrt(felt * seen + 1e-9) * np.sqrt(share))

    def _edges(self, homography: Matrix, level: int) -> Iterator[tuple[Edges, Edges, NDArray[np.uint8]]]:
        """Yield edges by heat and by light of each pair on one grid, and where the thermal image shows it."""
        size = _level_size(self.size, level)
        small = resizing(self.size, size) @ homography
        for number, (thermal, visible) in enumerate(self.pairs):
            if (number, size) not in self._seen:
                self._seen[number, size] = edges_of(resample(visible, *size))
            on_grid, shown = warped(thermal, small, size)
            yield edges_of(on_grid, shown), self._seen[number, size], shown


def refined(evidence: Evidence, homography: Matrix, levels: Sequence[int] = LEVELS) -> Matrix:
    """Return the homography beside ``homography`` at which edges agree best, coarse to fine."""
    for level in {_level_size(evidence.size, level): level for level in levels}.values():
        for number in range(_ROUNDS):
            found = together(evidence.surfaces(homography, level))
            if len(found.centres) < _FEWEST_PATCHES:
                return homography
            homography, moved = stepped(evidence.size, homography, found, (2.5, 1.5) if number < 2 else (1.5, 1.0))
            if moved < 0.03:
                break
    return homography


def stepped(whole: Size, homography: Matrix, found: Surfaces, sigmas: Sequence[float]) -> tuple[Matrix, float]:
    """Return the homography at the top of ``found``, surfaces about ``homography``, and by how much corners moved."""
    grid = corners(found.size)
    to_grid = resizing(whole, found.size)
    small = to_grid @ homography
    weight = 1 / (_INDEPENDENT * (_SPREAD * found.size[0]) ** 2)
    moved = climb(found, sigmas, weight, _bent(small, grid))
    step = cv2.getPerspectiveTransform((grid + moved).astype(np.float32), grid.astype(np.float32))
    better = np.linalg.inv(to_grid) @ step @ small
    return better / better[2, 2], float(np.abs(moved).max())


def together(found: Sequence[Surfaces]) -> Surfaces:
    """Return what the surfaces of several pairs, at the same places, say together."""
    first = found[0]
    return Surfaces(first.centres, np.sum([one.values for one in found], axis=0), first.size, first.reach)


def size_of(image: NDArray[Any]) -> Size:
    """Return the width and height of an image."""
    return image.shape[1], image.shape[0]


def _level_size(whole: Size, level: int) -> Size:
    factor = min(1.0, level / max(whole))
    return max(8, round(whole[0] * factor)), max(8, round(whole[1] * factor))


def _bounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return likelihoods of shifts as logarithms, (N, S, S), of ``values`` that are so but for a term of each patch."""
    likely = np.exp(values - values.max(axis=(1, 2), keepdims=True, initial=0.0))
    likely /= likely.sum(axis=(1, 2), keepdims=True)
    shifts = values.shape[1] * values.shape[2]
    return np.asarray(np.log(_ASTRAY / shifts + (1 - _ASTRAY) * likely), np.float64)


def _bent(small: Matrix, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the corners of the grid are from where the similarity nearest to ``small`` has them."""
    traced = transform_points(np.asarray(np.linalg.inv(small), np.float64), grid)
    centred, wanted = (points - points.mean(axis=0) for points in (traced, grid))
    plane, target = centred[:, 0] + 1j * centred[:, 1], wanted[:, 0] + 1j * wanted[:, 1]
    off = plane * (np.vdot(plane, target) / np.vdot(plane, plane)) - target
    return np.stack([off.real, off.imag], axis=1)
