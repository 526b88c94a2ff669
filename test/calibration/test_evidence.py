"""What edges say of shifts: correlations against plain ones, and likelihoods that are bounded and add up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.calibration.evidence import Evidence, refined, together
from hkdnet_ros.calibration.patches import correlations, places_of
from hkdnet_ros.images.edges import edges_of

SIZE = (160, 120)


def picture(seed):
    """Blots with plain outlines."""
    smooth = cv2.GaussianBlur(np.random.default_rng(seed).random(SIZE[::-1]).astype(np.float32), (0, 0), 4)
    return np.where(smooth > np.median(smooth), 0.8, 0.3).astype(np.float32)


def test_correlations_are_those_of_patches_shift_by_shift():
    thermal, visible = edges_of(picture(0)), edges_of(picture(1))
    found = correlations(thermal, visible, [(32, 48)], 32, 3)
    assert found.shape == (1, 7, 7)
    ours, theirs = visible[48:80, 32:64], thermal[50:82, 31:63]
    wanted = (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum())
    assert found[0, 5, 2] == pytest.approx(wanted, abs=1e-4)


def test_patches_lie_where_thermal_is_shown():
    shown = np.zeros(SIZE[::-1], np.uint8)
    shown[:, 64:] = 255
    places = places_of(shown, 32)
    assert {x for x, _ in places} == {64, 80, 96, 112, 128}
    assert {y for _, y in places} == {0, 16, 32, 48, 64, 80}


def test_a_patch_says_what_is_likely_and_never_that_anything_is_impossible():
    pairs = [(np.roll(picture(0), 2, axis=1), picture(0)), (np.full(SIZE[::-1], 0.5, np.float32), picture(1))]
    telling, flat = Evidence(pairs).surfaces(np.eye(3), 160)
    reach = telling.reach
    middle = telling.values[len(telling.values) // 2]
    assert np.unravel_index(middle.argmax(), middle.shape) == (reach, reach + 2)
    for found in (telling, flat):
        assert np.exp(found.values).mean(axis=(1, 2)) == pytest.approx(1, abs=1e-6)
        assert found.values.min() >= np.log(0.05) - 1e-9
    assert np.ptp(flat.values) == pytest.approx(0, abs=1e-9)
    both = together([telling, flat])
    assert np.ptp(both.values - telling.values) == pytest.approx(0, abs=1e-9)


def test_a_shift_and_a_scale_are_found_whichever_side_is_bright():
    visible = picture(2)
    there = np.array([[1.02, 0, -4.5], [0, 1.02, 2.0], [0, 0, 1]])
    thermal = 1 - cv2.warpPerspective(visible, there, SIZE, flags=cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)
    found = refined(Evidence([(thermal.astype(np.float32), visible)]), np.eye(3))
    places = np.array([[20, 20, 1], [140, 20, 1], [140, 100, 1], [20, 100, 1.0]])
    ours, wanted = (matrix @ places.T for matrix in (found, there))
    assert np.abs(ours[:2] / ours[2] - wanted[:2] / wanted[2]).max() < 0.3


def test_of_several_pairs_one_with_stronger_edges_is_surer_than_by_itself():
    strong, faint = ((image, image) for image in (picture(3), 0.5 + 0.04 * picture(4)))
    alone = [Evidence([pair]).surfaces(np.eye(3), 160)[0] for pair in (strong, faint)]
    beside = Evidence([strong, faint]).surfaces(np.eye(3), 160)
    sharpened, dulled = (
        np.mean(pooled.values.max(axis=(1, 2)) - single.values.max(axis=(1, 2)))
        for pooled, single in zip(beside, alone, strict=True)
    )
    assert sharpened > 0 > dulled


def test_support_is_large_at_the_right_place_and_none_anywhere_else():
    evidence = Evidence([(1 - picture(2), picture(2))])
    elsewhere = np.array([[1.0, 0, 23], [0, 1, -19], [0, 0, 1]])
    assert evidence.support(np.eye(3)) > 60
    assert evidence.support(elsewhere) < 10
    assert Evidence([(1 - picture(3), picture(2))]).support(np.eye(3)) < 10
