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
from .climbing import JUDGED, Hill, climb, highest
from .patches import Surfaces, correlations, places_of, powers
from .warping import Matrix, corners, resizing, warped

Gray = NDArray[np.float32]
Pairs = Sequence[tuple[Gray, Gray]]
"""(thermal, visible), each (H, W) in [0, 1], all of one size each."""

LEVELS = (320, 640)
"""Pixels of the longer side of visible images, coarse to fine."""

_REACH = 8  # px to each side whose shifts are compared
_SIDE = 32  # px of a patch
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
        places: list[tuple[int, int]] = []
        alike, power = [], []
        for by_heat, by_light, shown in self._edges(homography, level):
            places = places_of(shown, _SIDE)
            alike.append(correlations(by_heat, by_light, places, _SIDE, _REACH))
            power.append([powers(edges, places, _SIDE) for edges in (by_heat, by_light)])
        strength = np.sqrt(np.prod(power / np.mean(power, axis=0), axis=1))[..., None, None]
        centres = np.array(places, np.float64).reshape(-1, 2) + (_SIDE - 1) / 2
        size = _level_size(self.size, level)
        return [
            Surfaces(centres, _bounded(_SHARPNESS * weight * values), size, _REACH)
            for weight, values in zip(strength, alike, strict=True)
        ]

    def support(self, homography: Matrix, level: int = LEVELS[-1], sigma: float = 1.0) -> float:
        """Return how much likelier edges are by ``homography`` than if they told nothing, as a logarithm.

        Surfaces are smoothed by ``sigma`` pixels of ``level``.
        """
        return _height(self.size, homography, together(self.surfaces(homography, level)), sigma)

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


def highest_near(evidence: Evidence, homography: Matrix) -> Matrix:
    """Return the homography at which edges agree best of all that move patches by up to 16 px of 640."""
    random = np.random.default_rng(0)
    coarse = _highest_near(evidence, homography, LEVELS[0], random)
    starts = homography, refined(evidence, coarse, LEVELS[1:])
    best = max(starts, key=lambda start: evidence.support(start, LEVELS[-1], JUDGED))
    return _highest_near(evidence, best, LEVELS[-1], random)


def _highest_near(evidence: Evidence, homography: Matrix, level: int, random: np.random.Generator) -> Matrix:
    found = together(evidence.surfaces(homography, level))
    best = _height(evidence.size, homography, found, JUDGED)
    for _ in range(_ROUNDS):
        if len(found.centres) < _FEWEST_PATCHES:
            break
        moved = highest(found, *_held(evidence.size, homography, found), random)
        higher = _moved(evidence.size, homography, found.size, moved)
        found = together(evidence.surfaces(higher, level))
        height = _height(evidence.size, higher, found, JUDGED)
        if height <= best:
            break
        homography, best = higher, height
    return homography


def stepped(whole: Size, homography: Matrix, found: Surfaces, sigmas: Sequence[float]) -> tuple[Matrix, float]:
    """Return the homography at the top of ``found``, surfaces about ``homography``, and by how much corners moved."""
    moved = climb(found, sigmas, *_held(whole, homography, found))
    return _moved(whole, homography, found.size, moved), float(np.abs(moved).max())


def _moved(whole: Size, homography: Matrix, size: Size, moved: NDArray[np.float64]) -> Matrix:
    """Return the homography by which the corners of a grid of ``size`` have ``moved`` (4, 2)."""
    grid = corners(size)
    to_grid = resizing(whole, size)
    step = cv2.getPerspectiveTransform((grid + moved).astype(np.float32), grid.astype(np.float32))
    better = np.linalg.inv(to_grid) @ step @ to_grid @ homography
    return np.asarray(better / better[2, 2], np.float64)


def _height(whole: Size, homography: Matrix, found: Surfaces, sigma: float) -> float:
    """Return how high ``found``, surfaces about ``homography``, are there; 0 where there are none."""
    return Hill(found, sigma, *_held(whole, homography, found)).height(np.zeros(8)) if len(found.centres) else 0.0


def _held(whole: Size, homography: Matrix, found: Surfaces) -> tuple[float, NDArray[np.float64]]:
    """Return the weight by which a homography is held to a similarity, and how it is bent before (4, 2)."""
    weight = 1 / (_INDEPENDENT * (_SPREAD * found.size[0]) ** 2)
    return weight, _bent(resizing(whole, found.size) @ homography, corners(found.size))


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
    """Return likelihoods of shifts as logarithms, (N, S, S), of ``values`` that are so but for a term of each patch.

    They are beside the likelihood of a patch that tells nothing, so that its logarithms are 0.
    """
    likely = np.exp(values - values.max(axis=(1, 2), keepdims=True, initial=0.0))
    likely /= likely.sum(axis=(1, 2), keepdims=True)
    shifts = values.shape[1] * values.shape[2]
    return np.asarray(np.log(_ASTRAY + (1 - _ASTRAY) * likely * shifts), np.float64)


def _bent(small: Matrix, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the corners of the grid are from where the similarity nearest to ``small`` has them."""
    traced = transform_points(np.asarray(np.linalg.inv(small), np.float64), grid)
    centred, wanted = (points - points.mean(axis=0) for points in (traced, grid))
    plane, target = centred[:, 0] + 1j * centred[:, 1], wanted[:, 0] + 1j * wanted[:, 1]
    off = plane * (np.vdot(plane, target) / np.vdot(plane, plane)) - target
    return np.stack([off.real, off.imag], axis=1)
