"""A homography from thermal to visible pixels without a target, from the edges of what both cameras see anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..errors import CalibrationError, ConfigError
from ..geometry.homography import check_homography, transform_points
from ..geometry.lookup import Size
from .coarse import distinct, proposals
from .evidence import LEVELS, Evidence, Pairs, highest_near, refined, size_of, stepped
from .patches import Surfaces
from .warping import Matrix, corners

FRAMES = 40
"""Pairs are looked at: what is nearer or further pulls each scene's homography by some pixels, which evens out."""

LEAST_SUPPORT = 60.0
"""How much likelier edges have to be by a homography than if they told nothing, as a logarithm.

Of pairs that do not belong together it is below 30, of those that do 80 and more."""

MOST_RIVAL = 0.6
"""Share of that support which a homography at any other place may have: a fence fits many places alike."""

LARGEST_ERROR = 3.0
"""Pixels of the visible image by which the corners may be uncertain."""

_STARTS = 40
_TRIED = 6, 3, 2  # of these, where edges of 320 px agree best, after steps there, after steps with 640 px
_APART = 0.03  # of the width, by which corners of two places differ
_SEARCHED = 8  # pairs tell about where it lies; all of them tell where
_LEAST_PLACES = 12
_PARTS = 12  # of all pairs, of which a bootstrap draws
_DRAWS = 30


@dataclass(frozen=True, slots=True)
class SceneCalibration:
    """A homography from thermal to visible pixels, and what supports it.

    ``support`` is how much likelier edges are by it than if they told nothing, as a logarithm. ``error`` says, in
    pixels of the visible image, how far the corners of the common view move (RMS) when other pairs, or other parts of a
    few pairs, are asked (bootstrap). What lies nearer or further than most of the scenes is off by the parallax, which
    is none of it.
    """

    homography: Matrix
    support: float
    error: float
    frames: int


def calibrate_by_scene(pairs: Pairs) -> SceneCalibration:
    """Return the homography that suits all ``pairs`` of (thermal, visible), each (H, W) in [0, 1].

    It is looked for in all scales from a third to twice the visible image's width, turns of up to about 6 degrees and
    all shifts. Raises :class:`CalibrationError` where the images show no common edges, or too few to tell.
    """
    evidence = Evidence(pairs)
    homography, support, rival = searched(evidence)
    thermal_size = size_of(pairs[0][0])
    try:
        homography = check_homography(homography, thermal_size)
    except ConfigError as implausible:
        raise CalibrationError(f"no view of both cameras was found: {implausible}") from implausible
    surfaces = evidence.surfaces(homography, LEVELS[-1])
    if len(surfaces[0].centres) < _LEAST_PLACES:
        raise CalibrationError(
            f"what both cameras see has room for {len(surfaces[0].centres)} patches of 32 px; expected {_LEAST_PLACES} "
            "at least: let them see more of one scene, or use larger images"
        )
    show = (
        "show both cameras a scene with outlines of buildings, vehicles or people, in focus and at one moment, or a "
        "target (--target)"
    )
    if support < LEAST_SUPPORT:
        raise CalibrationError(
            f"edges by heat and by light agree nowhere (support {support:.0f}); expected {LEAST_SUPPORT:g} at least: "
            f"{show}"
        )
    if rival > MOST_RIVAL * support:
        raise CalibrationError(
            f"edges by heat and by light agree at two places, at one with {rival / support:.0%} of the other's "
            f"support; expected {MOST_RIVAL:.0%} at most: {show}"
        )
    error = uncertainty(surfaces, homography, evidence.size, thermal_size)
    if error > LARGEST_ERROR:
        raise CalibrationError(
            f"the corners of the view are uncertain by {error:.1f} px (pairs: {len(pairs)}); expected "
            f"{LARGEST_ERROR:g} at most: record more pairs of other scenes, with outlines near all corners"
        )
    return SceneCalibration(homography, support, error, len(pairs))


def searched(evidence: Evidence) -> tuple[Matrix, float, float]:
    """Return the best homography from all proposals by some of the pairs, its support, and that of its rival.

    That is the best one at any other place. Both supports are by some of the pairs.
    """
    some = evidence.some(_SEARCHED)

    def best(places: list[Matrix], level: int, count: int) -> list[Matrix]:
        places.sort(key=lambda matrix: -some.support(matrix, level))
        return distinct(places, size_of(some.pairs[0][0]), _APART * some.size[0])[:count]

    coarse, fine = LEVELS
    with tqdm(total=sum(_TRIED[:2]) + 3, desc="search by edges", unit="place") as bar:

        def refine(start: Matrix, level: int) -> Matrix:
            bar.update()
            return refined(some, start, (level,))

        starts = best(proposals(some.pairs, _STARTS), coarse, _TRIED[0])
        bar.update()
        starts = best([refine(start, coarse) for start in starts], coarse, _TRIED[1])
        starts = best([refine(start, fine) for start in starts], fine, _TRIED[2])
        rival = max((some.support(start) for start in starts[1:]), default=0.0)
        found = highest_near(some, starts[0])
        support = some.support(found)
        bar.update()
        if len(evidence.pairs) > len(some.pairs):
            found = refined(evidence, found, (fine,))
        bar.update(bar.total - bar.n)
    return found, support, rival


def uncertainty(found: Sequence[Surfaces], homography: Matrix, whole: Size, thermal_size: Size) -> float:
    """Return how far the corners of what both see move (RMS) with the choice of pairs and places, in visible pixels.

    ``found`` are the surfaces about ``homography``, ``whole`` is the size of visible images.
    """
    random = np.random.default_rng(0)
    first = found[0]
    places = np.clip(transform_points(homography, corners(thermal_size)), 0, np.array(whole) - 1)
    traced = transform_points(np.asarray(np.linalg.inv(homography), np.float64), places)
    columns, rows = _cells(len(found))
    across, down = np.floor(first.centres / first.size * (columns, rows)).astype(np.int64).T
    cells = across + columns * down
    parts = len(found) * columns * rows
    moved = []
    for _ in range(_DRAWS):
        drawn = random.multinomial(parts, np.full(parts, 1 / parts)).reshape(len(found), -1)
        values = np.zeros_like(first.values)
        for one, times in zip(found, drawn, strict=True):
            values += one.values * times[cells, None, None]
        step, _ = stepped(whole, homography, Surfaces(first.centres, values, first.size, first.reach), (1.0,))
        moved.append(transform_points(step, traced))
    spread = np.array(moved) - np.mean(moved, axis=0)
    return float(np.sqrt(np.mean(np.sum(spread**2, axis=-1))))


def _cells(pairs: int) -> tuple[int, int]:
    """Return into how many parts, across and down, each pair is cut, so that there are a dozen to draw from.

    The larger they are the more honest: what a part shows shares its parallax.
    """
    if pairs == 1:
        return 4, 3
    side = int(np.ceil(np.sqrt(_PARTS / pairs)))
    return side, side
