"""Tops of summed surfaces: the nearest one, and the highest."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.calibration.climbing import Hill, climb, highest
from hkdnet_ros.calibration.patches import Surfaces

SIZE = (320, 240)
REACH = 8
NEAR, FAR = (1.0, 0.5), (-5.0, 4.0)  # px
FREE = 1e-6, np.zeros((4, 2))  # held to a similarity by next to nothing


def two_tops(height_of_far: float) -> Surfaces:
    """Return surfaces of patches all over the grid, each with a top at ``NEAR`` of height 1, and another at ``FAR``."""
    across, down = np.meshgrid(np.arange(-REACH, REACH + 1), np.arange(-REACH, REACH + 1))
    one = sum(
        height * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 1.5**2))
        for height, (x, y) in ((1.0, NEAR), (height_of_far, FAR))
    )
    centres = np.stack(np.meshgrid(np.arange(16, 304, 32), np.arange(16, 224, 32)), axis=-1).reshape(-1, 2)
    return Surfaces(centres.astype(np.float64), np.repeat(one[None], len(centres), axis=0), SIZE, REACH)


def test_steps_end_at_the_nearest_top() -> None:
    moved = climb(two_tops(1.5), (1.5, 1.0), *FREE)
    assert moved == pytest.approx(np.tile(NEAR, (4, 1)), abs=0.2)


@pytest.mark.parametrize(("height", "top"), [(1.5, FAR), (0.6, NEAR)])
def test_the_highest_top_is_found_wherever_it_is(height: float, top: tuple[float, float]) -> None:
    moved = highest(two_tops(height), *FREE, np.random.default_rng(0))
    assert moved == pytest.approx(np.tile(top, (4, 1)), abs=0.2)


def test_many_heights_are_those_of_single_places_and_fall_where_the_homography_is_bent() -> None:
    found = two_tops(1.5)
    shift = np.tile(np.round(FAR), 4)
    bent = shift + np.array([3, 3, -3, 3, 3, 3, -3, 3.0])
    hill = Hill(found, 1.0, 0.5, np.zeros((4, 2)))
    assert hill.heights(shift[None])[0] == pytest.approx(hill.height(shift))
    free = Hill(found, 1.0, 0.0, np.zeros((4, 2)))
    assert free.height(shift) == pytest.approx(hill.height(shift))  # a shift is a similarity
    assert free.height(bent) > hill.height(bent) + 1
