"""How far thermal lies off: known shifts of real pairs are found, and where a scene does not tell, nothing is said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import moved, outlines

from hkdnet_ros.perception.misalignment import CERTAIN, REACH, Look, look_at, misalignment, shift_of
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray

Gray = NDArray[np.float32]

NIGHT = 0.2  # mean of the visible image


@pytest.fixture(scope="module")
def real_pairs(data_folder: Path) -> list[tuple[Gray, Gray]]:
    return [(read_conditioned(paths.thermal), read_gray(paths.visible)) for paths in list_pairs(data_folder / "val")]


def looked(thermal: Gray, visible: Gray) -> Look:
    look = look_at(thermal, visible)
    assert look is not None
    return look


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (-5, 0), (0, 7.3), (0, -7.3), (-20, 12), (40, 0)])
def test_a_known_shift_is_found_whichever_side_is_brighter(x: float, y: float) -> None:
    visible = outlines(0)
    shift = shift_of([looked(1 - visible, moved(visible, x, y))], 640)
    assert shift.is_certain
    assert (shift.x, shift.y) == pytest.approx((x, y), abs=0.3)


def test_a_shift_is_told_in_pixels_of_the_image_that_is_asked_for() -> None:
    visible = outlines(1)
    look = looked(visible, moved(visible, 6, -4))
    twice = shift_of([look], 1280)
    assert (twice.x, twice.y) == pytest.approx((12, -8), abs=0.5)


def test_known_shifts_of_real_pairs_are_found_within_a_pixel_of_the_pairs_own(
    real_pairs: list[tuple[Gray, Gray]],
) -> None:
    """All by day; by night half of the pairs and more say something, and what is said is right."""
    random = np.random.default_rng(0)
    told, errors = {True: [], False: []}, []
    for thermal, visible in real_pairs:
        width = visible.shape[1]
        own = shift_of([looked(thermal, visible)], width)
        x, y = random.uniform(-8, 8, 2)
        found = shift_of([looked(thermal, moved(visible, x, y))], width)
        told[bool(visible.mean() < NIGHT)].append(found.is_certain)
        if found.is_certain:
            errors.append(np.hypot(found.x - own.x - x, found.y - own.y - y))
    assert np.mean(told[False]) == 1
    assert np.mean(told[True]) > 0.6
    assert max(errors) < 1


def test_registered_pairs_are_within_3_pixels_and_unrelated_ones_say_nothing(
    real_pairs: list[tuple[Gray, Gray]],
) -> None:
    own = [shift_of([looked(*pair)], pair[1].shape[1]) for pair in real_pairs]
    certain = [shift for shift in own if shift.is_certain]
    assert len(certain) >= 28
    assert max(shift.length for shift in certain) < 3
    for number, (thermal, _) in enumerate(real_pairs):
        visible = real_pairs[(number + 11) % len(real_pairs)][1]
        stretched = cv2.resize(thermal, visible.shape[::-1])
        assert not shift_of([looked(stretched, visible)], visible.shape[1]).is_certain


def noise(seed: int) -> Gray:
    return (0.05 + np.random.default_rng(seed).normal(0, 0.01, (400, 640))).astype(np.float32)


def bars() -> Gray:
    return np.tile((np.arange(640) % 24 < 12).astype(np.float32), (400, 1))


def posts() -> Gray:
    """A wall of windows: alike at each 24 pixels to all sides."""
    return np.asarray(cv2.GaussianBlur(bars()[:400, :640] * bars().T[:400, :400].repeat(2, 1)[:, :640], (0, 0), 1))


@pytest.mark.parametrize(
    ("thermal", "visible"),
    [
        (np.full((400, 640), 0.4, np.float32), outlines(2)),
        (outlines(2), np.zeros((400, 640), np.float32)),
        (outlines(2), noise(0)),
        (noise(0), noise(1)),
        (bars(), moved(bars(), 5, 0)),
        (posts(), moved(posts(), 5, 0)),
        (outlines(3), outlines(4)),
    ],
    ids=["flat thermal", "black visible", "night without texture", "noise", "bars", "repeated texture", "other scenes"],
)
def test_a_scene_that_does_not_tell_says_nothing(thermal: Gray, visible: Gray) -> None:
    look = looked(thermal, visible)
    assert shift_of([look], 640).certainty < CERTAIN
    assert misalignment([look] * 8, 640) is None


def test_what_is_further_off_than_the_search_reaches_says_nothing() -> None:
    beyond = 640 / 240 * (REACH + 4)
    assert misalignment([looked(outlines(5), moved(outlines(5), beyond, 0))] * 8, 640) is None


def test_looks_that_single_ones_leave_open_settle_it_together() -> None:
    """Each pair shares a few outlines, among many that one camera alone sees."""

    def pair(seed: int) -> tuple[Gray, Gray]:
        return 0.1 * outlines(seed) + outlines(100 + seed), moved(0.1 * outlines(seed) + outlines(200 + seed), 6, 0)

    looks = [looked(*pair(seed)) for seed in range(16)]
    assert sum(shift_of([look], 640).is_certain for look in looks) < 8
    found = misalignment(looks, 640)
    assert found is not None
    assert (found.shift.x, found.shift.y) == pytest.approx((6, 0), abs=0.5)


def test_looks_that_do_not_agree_say_nothing() -> None:
    visible = outlines(6)
    before, after = (looked(visible, moved(visible, x, 0)) for x in (-4, 4))
    assert misalignment([before] * 4 + [after] * 4, 640) is None
    found = misalignment([before] * 8, 640)
    assert found is not None
    assert found.spread == 0
    assert found.at_least == found.shift.length


def test_images_too_small_are_not_looked_at() -> None:
    assert look_at(outlines(0, 40, 60), outlines(0, 40, 60)) is None


def test_the_same_images_give_the_same_numbers() -> None:
    thermal, visible = outlines(7), moved(outlines(7), 3, 3)
    first, again = looked(thermal, visible), looked(thermal.copy(), visible.copy())
    np.testing.assert_array_equal(first.product, again.product)
    np.testing.assert_array_equal(first.seen, again.seen)
