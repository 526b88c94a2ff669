"""What is seen at known depths, from another place: against points projected one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.geometry.reprojection import Reprojection, nearness, of_grid, without_holes
from hkdnet_ros.geometry.rigid_transform import RigidTransform

FOCAL, CENTRE, SIZE = (50.0, 52.0), (30.0, 20.0), (60, 40)
WHOLE = np.s_[:, :]


def grid_rays():
    x, y = np.meshgrid(np.linspace(-0.8, 0.8, 48), np.linspace(-0.5, 0.5, 32))
    return np.stack([x, y, np.ones_like(x)], axis=-1)


@pytest.mark.parametrize("shift", [(-0.12, 0.02, 0.01), (0.0, 0.05, -0.2), (0.02, 0.0, 0.3)])
def test_points_lie_where_projecting_each_one_puts_them(shift):
    pose = RigidTransform.of(cv2.Rodrigues(np.array([0.02, -0.05, 0.1]))[0], shift)
    depth = np.random.default_rng(0).uniform(0.15, 30, (32, 48)).astype(np.float32)
    reprojection = Reprojection(grid_rays(), pose, FOCAL, CENTRE, SIZE)
    near, known = nearness(depth[reprojection.part], 0.0)
    assert known.all()
    x, y, near = reprojection.places(near, WHOLE)
    index = reprojection.pixels(x, y)
    points = pose.apply(grid_rays() * depth[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = points[..., :2] / points[..., 2:] * FOCAL + CENTRE
    seen = (points[..., 2] > 0) & (wanted >= 0.5).all(axis=-1) & (wanted <= np.array(SIZE) - 1.5).all(axis=-1)
    row, column = np.divmod(index, SIZE[0])
    inside = (row > 0) & (row < SIZE[1] - 1) & (column > 0) & (column < SIZE[0] - 1)  # else it is on the border
    whole = np.zeros_like(seen)
    whole[reprojection.part] = inside
    assert (whole == seen).mean() > 0.999  # but for rounding at the border
    both = seen[reprojection.part] & inside
    assert max(np.abs(column - x).max(), np.abs(row - y).max()) < 0.501  # each is counted where it lies
    found = np.stack([x, y], axis=-1)[both]
    np.testing.assert_allclose(found, wanted[reprojection.part][both], atol=2e-3)
    np.testing.assert_allclose(near[both], 1 / points[..., 2][reprojection.part][both], rtol=1e-4)


def test_the_nearest_point_of_each_pixel_is_in_front():
    reprojection = Reprojection(grid_rays(), RigidTransform(), FOCAL, CENTRE, (12, 8))
    index = np.array([[25, 25, 29, 12, 95]])
    nearest = reprojection.front(index, np.array([[0.1, 0.5, 0.3, 7.0, 7.0]], np.float32))
    assert nearest[2, 1] == pytest.approx(0.5)
    assert nearest[2, 5] == pytest.approx(0.3)
    assert np.count_nonzero(nearest) == 2  # what is on the border lies outside


def test_a_surface_has_no_holes_and_what_is_hidden_behind_its_edge_stays_empty():
    nearest = np.full((9, 20), 0.1, np.float32)
    nearest[:, :5] = 0.5  # a post, and behind its edge what nobody sees
    nearest[:, 5:9] = 0.0
    expected = nearest.copy()
    nearest[4, 12] = nearest[2:4, 15] = 0.0
    nearest[3, 2] = 0.1  # what is behind shows between the points
    expected[[0, -1]] = expected[:, [0, -1]] = 0  # the border stands for what lies outside
    np.testing.assert_array_equal(without_holes(nearest), expected)


@pytest.mark.parametrize("metres", [0.05, 0.15, 0.35, 1.0, 1.5, 4.0, 1e5])
@pytest.mark.parametrize("shift", [(-0.12, 0.02, 0.01), (0.3, 0.05, -0.2), (0.02, 0.0, 0.3)])
def test_outside_of_what_is_looked_at_for_a_nearest_depth_nothing_crosses_the_view(shift, metres):
    pose = RigidTransform.of(cv2.Rodrigues(np.array([0.05, -0.3, 0.1]))[0], shift)
    near, _ = nearness(np.random.default_rng(0).uniform(metres, 3 * metres, (32, 48)).astype(np.float32), 0.0)
    reprojection = Reprojection(grid_rays(), pose, FOCAL, CENTRE, SIZE)
    near = near[reprojection.part]
    crop = reprojection.crop(near)
    views = []
    for part in (WHOLE, crop):
        x, y, t = reprojection.places(near[part], part)
        views.append(reprojection.front(reprojection.pixels(x, y), t))
    np.testing.assert_array_equal(*views)
    rows, columns = of_grid(crop, reprojection.part)
    assert near[crop].shape == (rows.stop - rows.start, columns.stop - columns.start)
    if metres > 1:
        assert near[crop].size < near.size


@pytest.mark.parametrize("ahead", [0.4, 0.5, 0.6])
def test_what_lies_beside_or_behind_the_other_camera_is_outside(ahead):
    """The view's camera stands 0.5 m ahead, some rays of the grid do not exist, and depths are of all sizes."""
    rays = grid_rays()
    rays[:3] = np.nan
    depth = np.full((32, 48), ahead, np.float32)
    depth[::2] = 1e-3
    reprojection = Reprojection(rays, RigidTransform(translation=(0.0, 0.0, -0.5)), FOCAL, CENTRE, SIZE)
    x, y, near = reprojection.places(nearness(depth[reprojection.part], 0.0)[0], WHOLE)
    index = reprojection.pixels(x, y)
    for values in (x, y, near):
        assert np.isfinite(values).all()
    assert index.min() >= 0
    assert index.max() < SIZE[0] * SIZE[1]
    assert (np.count_nonzero(reprojection.front(index, near)) > 0) == (ahead > 0.5)


def test_depths_that_are_none_are_told_and_another_can_stand_there():
    millimetres, known = nearness(np.array([[0, 500, 65535]], np.uint16), 7.0)
    np.testing.assert_allclose(millimetres, [[7.0, 2.0, 1 / 65.535]], rtol=1e-6)
    assert (known > 0).tolist() == [[False, True, True]]
    metres, known = nearness(np.array([[0.0, -1.0, np.nan, np.inf, -np.inf, 1e7, 1e-30, 4.0]], np.float32), 7.0)
    np.testing.assert_allclose(metres, [[7.0] * 7 + [0.25]], rtol=1e-6)
    assert (known > 0).tolist() == [[False] * 7 + [True]]


def test_a_view_to_the_other_side_sees_nothing():
    behind = RigidTransform.of(cv2.Rodrigues(np.array([0.0, np.pi, 0.0]))[0], (0.0, 0.0, 0.0))
    reprojection = Reprojection(grid_rays(), behind, FOCAL, CENTRE, SIZE)
    near, _ = nearness(np.ones((32, 48), np.float32)[reprojection.part], 0.0)
    x, y, t = reprojection.places(near, reprojection.crop(near))
    assert x.size == 0
    assert not without_holes(reprojection.front(reprojection.pixels(x, y), t)).any()
