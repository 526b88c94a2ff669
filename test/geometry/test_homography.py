"""Homographies that two cameras can have, and those they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.homography import check_homography, transform_points

GOOD = np.array([[1.5, 0.05, -20.0], [-0.04, 1.45, 12.0], [1e-4, 5e-5, 1.0]])


def test_a_good_one_is_normed_and_moves_points():
    found = check_homography(GOOD.ravel() * -3, (640, 512))
    np.testing.assert_allclose(found, GOOD)
    whole = GOOD @ (100, 50, 1)
    np.testing.assert_allclose(transform_points(found, np.array([[100.0, 50.0]])), [whole[:2] / whole[2]])


def test_a_camera_mounted_upside_down_is_plausible():
    check_homography([-1, 0, 639, 0, -1, 511, 0, 0, 1], (640, 512))


@pytest.mark.parametrize(
    ("matrix", "fact"),
    [
        ([1, 0, 0, 0, 1, 0, 0, 0], "expected 9 finite numbers"),
        ([1, 0, 0, 0, np.nan, 0, 0, 0, 1], "expected 9 finite numbers"),
        ([0] * 9, "behind the camera"),
        ([1, 0, 0, 0, 1, 0, 0, 0, 0], "behind the camera"),
        ([1, 0, 0, 2, 0, 0, 0, 0, 1], "singular or mirrors"),
        ([-1, 0, 639, 0, 1, 0, 0, 0, 1], "singular or mirrors"),
        ([1, 0, 0, 0, 1, 0, -0.01, 0, 1], "behind the camera"),
        ([100, 0, 0, 0, 100, 0, 0, 0, 1], "scales an image of 640x512 pixels by 100, 100"),
        ([0.01, 0, 0, 0, 0.01, 0, 0, 0, 1], "scales an image"),
        ([20, 0, 0, 0, 0.1, 0, 0, 0, 1], "stretches the image by 20 one way and 0.1 the other"),
        ([2, 50, 0, 0, 2, 0, 0, 0, 1], "stretches the image"),
    ],
)
def test_what_no_pair_of_cameras_has_is_refused_with_the_fact(matrix, fact):
    with pytest.raises(ConfigError, match=fact):
        check_homography(matrix, (640, 512))


def test_points_behind_the_camera_have_no_place():
    assert np.isnan(transform_points(GOOD, np.array([[-20000.0, 0.0]]))).all()
