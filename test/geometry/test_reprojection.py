"""What is seen at known depths, from another place: against points projected one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.geometry.reprojection import Reprojection, nearness
from hkdnet_ros.geometry.rigid_transform import RigidTransform

FOCAL, CENTRE, SIZE = (50.0, 52.0), (30.0, 20.0), (60, 40)


def grid_rays():
    x, y = np.meshgrid(np.linspace(-0.8, 0.8, 48), np.linspace(-0.5, 0.5, 32))
    return np.stack([x, y, np.ones_like(x)], axis=-1)


@pytest.mark.parametrize("shift", [(-0.12, 0.02, 0.01), (0.0, 0.05, -0.2), (0.02, 0.0, 0.3)])
def test_points_lie_where_projecting_each_one_puts_them(shift):
    pose = RigidTransform.of(cv2.Rodrigues(np.array([0.02, -0.05, 0.1]))[0], shift)
    depth = np.random.default_rng(0).uniform(0.15, 30, (32, 48)).astype(np.float32)
    reprojection = Reprojection(grid_rays(), pose, FOCAL, CENTRE, SIZE)
    x, y, near, inside = reprojection.places(nearness(depth, np.nan))
    points = pose.apply(grid_rays() * depth[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = points[..., :2] / points[..., 2:] * FOCAL + CENTRE
    seen = (points[..., 2] > 0) & (wanted >= 0).all(axis=-1) & (wanted <= np.array(SIZE) - 1).all(axis=-1)
    whole = np.zeros_like(seen)
    whole[reprojection.part] = inside
    assert (whole == seen).mean() > 0.999  # but for rounding at the border
    both = seen[reprojection.part] & inside
    found = np.stack([x, y], axis=-1)[both]
    np.testing.assert_allclose(found, wanted[reprojection.part][both], atol=2e-3)
    np.testing.assert_allclose(near[both], 1 / points[..., 2][reprojection.part][both], rtol=1e-4)


def test_the_nearest_point_of_each_pixel_is_in_front():
    reprojection = Reprojection(grid_rays(), RigidTransform(), FOCAL, CENTRE, (12, 8))
    x = np.array([[1.0, 1.2, 5.0]], np.float32)
    index, nearest = reprojection.front(x, np.full_like(x, 2.0), np.array([[0.1, 0.5, 0.3]], np.float32))
    assert index.tolist() == [[25, 25, 29]]
    assert nearest[2, 1] == pytest.approx(0.5)
    assert nearest[2, 5] == pytest.approx(0.3)
    assert np.count_nonzero(nearest) == 2


def test_where_a_depth_image_has_no_value_another_stands():
    millimetres = nearness(np.array([[0, 500, 65535]], np.uint16), 7.0)
    np.testing.assert_allclose(millimetres, [[7.0, 2.0, 1 / 65.535]], rtol=1e-6)
    metres = nearness(np.array([[0.0, -1.0, np.nan, np.inf, 1e7, 4.0]], np.float32), 7.0)
    np.testing.assert_allclose(metres, [[7.0, 7.0, 7.0, 7.0, 7.0, 0.25]], rtol=1e-6)


def test_a_view_to_the_other_side_sees_nothing():
    behind = RigidTransform.of(cv2.Rodrigues(np.array([0.0, np.pi, 0.0]))[0], (0.0, 0.0, 0.0))
    reprojection = Reprojection(grid_rays(), behind, FOCAL, CENTRE, SIZE)
    assert reprojection.places(np.ones((32, 48), np.float32))[3].size == 0
