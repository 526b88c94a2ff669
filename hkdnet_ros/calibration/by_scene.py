"""A homography from thermal to visible pixels without a target, from the edges of what both cameras see anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError, ConfigError
from ..geometry.homography import check_homography, transform_points
from ..geometry.lookup import Size
from ..images.edges import edges_of
from ..images.resampling import resample
from .coarse import proposals
from .patches import Surfaces, climb, surfaces
from .warping import Matrix, corners, resizing, warped

Gray = NDArray[np.float32]
Pairs = Sequence[tuple[Gray, Gray]]

FRAMES = 40
"""Pairs are looked at: what is nearer or further pulls each scene's homography by some pixels, which evens out."""

LEAST_LIKENESS = 0.14
"""Correlation of edges below which two images show no common scene."""

LARGEST_ERROR = 3.0
"""Pixels of the visible image by which the corners may be uncertain."""

_STARTS = 6
_SEARCHED = 8  # pairs tell about where it lies; all of them tell where
_LEVELS = (160, 320, 640)  # px, the longer side of the visible image
_ROUNDS = 4
_SIDES = {160: 24}  # px of a patch, else 32
_HELD = 0.005  # see climb(): of one pair whose edges are alike by _ALIKE
_ALIKE = 0.25  # as those of a scene by day
_MOST_HELD = 0.05  # above which the pairs tell no more than a similarity
_CELLS = 8, 6  # across and down, of which a bootstrap of one pair draws: neighbours share an object and its parallax
_DRAWS = 20
_LEAST_TEXTURE = 12  # patches


@dataclass(frozen=True, slots=True)
class SceneCalibration:
    """A homography from thermal to visible pixels, and what supports it.

    ``likeness`` is the correlation of the edges of all pairs. ``error`` says, in pixels of the visible image, how far
    the corners of the common view move (RMS) when other places of the same pairs are asked (bootstrap over cells of the
    view). What lies nearer or further than most of the scenes is off by the parallax, which is none of it.
    """

    homography: Matrix
    likeness: float
    error: float
    frames: int


def calibrate_by_scene(pairs: Pairs) -> SceneCalibration:
    """Return the homography that suits all ``pairs`` of (thermal, visible), each (H, W) in [0, 1].

    It is looked for in all scales from a third to twice the visible image's width, turns of up to about 6 degrees and
    all shifts. Raises :class:`CalibrationError` where the images show no common edges, or too few
    to tell.
    """
    homography = searched(pairs)
    size = _size(pairs[0][1])
    try:
        homography = check_homography(homography, _size(pairs[0][0]))
    except ConfigError as implausible:
        raise CalibrationError(f"no view of both cameras was found: {implausible}") from implausible
    found = likeness(pairs, homography)
    if found < LEAST_LIKENESS:
        raise CalibrationError(
            f"edges by heat and by light are alike by {found:.2f}; expected {LEAST_LIKENESS:g} at least: show both "
            "cameras a scene with outlines of buildings, vehicles or people, in focus and at one moment, or a target "
            "(--target)"
        )
    held = _held(pairs, homography)
    if held > _MOST_HELD:
        raise CalibrationError(
            f"edges alike by {found:.2f} in {len(pairs)} pairs do not tell the perspective; expected about "
            f"{int(np.ceil(len(pairs) * held / _MOST_HELD))} pairs like these, of other scenes, or scenes with plainer "
            "outlines by heat and by light"
        )
    evidence = _surfaces(pairs, homography, _level_size(size, 320), 32, 5)
    if len(evidence.centres) < _LEAST_TEXTURE:
        raise CalibrationError(
            f"both cameras see edges in {len(evidence.centres)} places; expected {_LEAST_TEXTURE} at least, all over "
            "the view: record a scene with more outlines, or move the cameras between pairs"
        )
    error = _uncertainty(evidence, homography, pairs, held)
    if error > LARGEST_ERROR:
        raise CalibrationError(
            f"the corners of the view are uncertain by {error:.1f} px; expected {LARGEST_ERROR:g} at most: record more "
            "pairs of other scenes, with outlines near all corners"
        )
    return SceneCalibration(homography, found, error, len(pairs))


def searched(pairs: Pairs) -> Matrix:
    """Return the best homography from all proposals by some of the pairs, refined by all of them."""
    some = pairs[:: -(-len(pairs) // _SEARCHED)]
    starts = proposals(some, _STARTS)
    for level, kept in ((160, 2), (320, 1)):
        starts = [refined(some, start, (level,)) for start in starts]
        starts.sort(key=lambda matrix: -likeness(some, matrix, level))
        starts = starts[:kept]
    return refined(pairs, starts[0], (640,))


def refined(pairs: Pairs, homography: Matrix, levels: Sequence[int] = _LEVELS) -> Matrix:
    """Return the homography beside ``homography`` at which edges agree best, coarse to fine."""
    whole = _size(pairs[0][1])
    for level in levels:
        if level > levels[0] and level >= 1.4 * max(whole):
            break
        size = _level_size(whole, level)
        to_small = resizing(whole, size)
        held = _held(pairs, homography)
        for number in range(_ROUNDS):
            reach, sigmas = (7, (2.5, 1.5)) if number < 2 else (5, (1.5, 1.0))
            found = _surfaces(pairs, homography, size, _SIDES.get(level, 32), reach)
            if len(found.centres) < 6:
                return homography
            grid = corners(size)
            small = to_small @ homography
            moved = climb(found, sigmas, 1.0 if level == 160 and number < 2 else held, _bent(small, grid))
            step = cv2.getPerspectiveTransform((grid + moved).astype(np.float32), grid.astype(np.float32))
            homography = np.linalg.inv(to_small) @ step @ small
            homography = homography / homography[2, 2]
            if np.abs(moved).max() < 0.03:
                break
    return homography


def likeness(pairs: Pairs, homography: Matrix, level: int = 320) -> float:
    """Return the correlation of the edges of all pairs, by the root of the share of the view that both see."""
    whole = _size(pairs[0][1])
    size = _level_size(whole, level)
    small = resizing(whole, size) @ homography
    product = felt = seen = 0.0
    shown: NDArray[Any] = np.zeros(1)
    for thermal, visible in pairs:
        on_grid, shown = warped(thermal, small, size)
        by_heat, by_light = edges_of(on_grid, shown), edges_of(resample(visible, *size))
        product += float((by_heat * by_light).sum())
        felt += float((by_heat * by_heat).sum())
        seen += float((by_light * by_light * (shown > 0)[..., None]).sum())
    return float(product / np.sqrt(felt * seen + 1e-9) * np.sqrt(np.mean(shown > 0)))


def _held(pairs: Pairs, homography: Matrix) -> float:
    """Return with which weight a homography is held to a similarity: the less, the more the pairs can tell beyond it.

    By day a single pair tells more. Edges by night, alike by half of that, would bend it by many pixels at the corners
    (the power was chosen on data/val and data/train).
    """
    alike = max(likeness(pairs, homography), 0.05)
    return float(np.clip(_HELD * (_ALIKE / alike) ** 8, _HELD / 4, 1.0)) / len(pairs)


def _surfaces(pairs: Pairs, homography: Matrix, size: Size, side: int, reach: int) -> Surfaces:
    small = resizing(_size(pairs[0][1]), size) @ homography
    on_grid = [warped(thermal, small, size) for thermal, _ in pairs]
    return surfaces(
        [edges_of(image, shown) for image, shown in on_grid],
        on_grid[0][1],
        [edges_of(resample(visible, *size)) for _, visible in pairs],
        side,
        reach,
    )


def _bent(small: Matrix, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the corners of the grid are from where the similarity nearest to ``small`` has them."""
    traced = transform_points(np.asarray(np.linalg.inv(small), np.float64), grid)
    centred, wanted = (points - points.mean(axis=0) for points in (traced, grid))
    plane, target = centred[:, 0] + 1j * centred[:, 1], wanted[:, 0] + 1j * wanted[:, 1]
    off = plane * (np.vdot(plane, target) / np.vdot(plane, plane)) - target
    return np.stack([off.real, off.imag], axis=1)


def _uncertainty(evidence: Surfaces, homography: Matrix, pairs: Pairs, held: float) -> float:
    """Return how far the corners of what both see move (RMS) with the choice of places, in visible pixels."""
    random = np.random.default_rng(0)
    whole = _size(pairs[0][1])
    scale = whole[0] / evidence.size[0]
    seen = np.clip(transform_points(homography, corners(_size(pairs[0][0]))), 0, np.array(whole) - 1) / scale
    grid = corners(evidence.size)
    # Objects of many scenes lie at many places, so that cells may be smaller.
    columns, rows = np.rint(np.array(_CELLS) * len(pairs) ** 0.25)
    across, down = np.floor(evidence.centres / evidence.size * (columns, rows)).T
    numbers = across + columns * down
    cells = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    moved = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([cells[number] for number in random.integers(0, len(cells), len(cells))])
        some = Surfaces(evidence.centres[drawn], evidence.values[drawn], evidence.size, evidence.reach)
        shifts = climb(some, (1.0,), held)
        step = cv2.getPerspectiveTransform((grid + shifts).astype(np.float32), grid.astype(np.float32))
        moved.append(transform_points(step.astype(np.float64), seen))
    spread = np.array(moved) - np.mean(moved, axis=0)
    return float(scale * np.sqrt(np.mean(np.sum(spread**2, axis=-1))))


def _size(image: NDArray[Any]) -> Size:
    return image.shape[1], image.shape[0]


def _level_size(whole: Size, level: int) -> Size:
    factor = min(1.0, level / max(whole))
    return max(8, round(whole[0] * factor)), max(8, round(whole[1] * factor))
