"""Depth between cameras that stand far apart, are turned or are fisheyes: what shows comes from the right place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.depth_view import DepthView
from hkdnet_ros.geometry.depth_warp import DepthGeometry
from hkdnet_ros.geometry.lookup import pixel_grid
from hkdnet_ros.geometry.projection import check_lens, project, rays
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel

DISTANCE = 10.0


def any_camera(random):
    """Return a pinhole, a barrel or a fisheye of some size."""
    width, height = [(160, 120), (128, 96), (96, 80)][random.integers(3)]
    of = random.uniform
    lens, d, focal = [
        ("plumb_bob", (0.0,) * 5, of(0.5, 1.6)),
        ("plumb_bob", (of(-0.35, 0.1), of(-0.05, 0.12), 0.0, 0.0, 0.0), of(0.45, 1.2)),
        ("equidistant", (of(-0.05, 0.05), of(-0.02, 0.02), 0.0, 0.0), of(0.25, 0.6)),
    ][random.integers(3)]
    centre = (width - 1) / 2 + of(-5, 5), (height - 1) / 2 + of(-5, 5)
    k = (focal * width, 0.0, centre[0], 0.0, focal * width, centre[1], 0.0, 0.0, 1.0)
    model = CameraModel(width, height, "camera", k, d, distortion_model=lens)
    try:
        check_lens(model, "camera")
    except ConfigError:
        return any_camera(random)
    return model


def any_pose(random):
    """Return a pose of up to 3 m and 100 degrees."""
    shift, axis = random.normal(size=(2, 3))
    shift *= random.choice([0.05, 0.2, 1.0, 3.0]) / np.linalg.norm(shift)
    axis *= np.radians(random.uniform(0, random.choice([2, 10, 30, 60, 100]))) / np.linalg.norm(axis)
    return RigidTransform.of(cv2.Rodrigues(axis)[0], tuple(shift))


def any_scene(random, model):
    """Return the depth in m of a wall, a floor, a slanted wall, or boxes before a wall."""
    y, x = np.mgrid[: model.height, : model.width]
    across, down = x / model.width, y / model.height
    boxes = np.full(x.shape, random.uniform(4, 20))
    for _ in range(5):
        left, top = random.integers(0, model.width - 20), random.integers(0, model.height - 20)
        boxes[top : top + random.integers(8, 40), left : left + random.integers(8, 40)] = random.uniform(0.4, 6)
    floor = 1 / np.maximum(1e-3, random.uniform(0.1, 2) * down)
    scenes = [np.full(x.shape, random.uniform(0.3, 20)), floor, random.uniform(1, 9) / (0.3 + across), boxes]
    return scenes[random.integers(4)].astype(np.float32)


def check(warp, near, reference, source, reference_to_source):
    """Check that what is valid shows the place where points of nearness ``near`` lie in the source, and is no speck."""
    valid = warp.validity > 0
    ahead = rays(pixel_grid((reference.width, reference.height)), reference)
    expected = project(reference_to_source.apply(ahead / np.maximum(near, 1e-6)[..., None]), source)
    assert np.isfinite(expected[valid]).all()
    for axis, own in enumerate(np.moveaxis(pixel_grid((source.width, source.height)), -1, 0)):
        found = warp.apply((own + 1).astype(np.float32), cv2.INTER_LINEAR) - 1
        assert np.abs(found - expected[..., axis])[valid].max(initial=0) < 2
    shown = warp.apply(np.full((source.height, source.width), 200, np.uint8), cv2.INTER_LINEAR)
    assert (shown[valid] >= 190).all()
    count, _, sizes, _ = cv2.connectedComponentsWithStats(warp.validity)
    assert count == 1 or sizes[1:, cv2.CC_STAT_AREA].min() >= 4


@pytest.mark.parametrize("seed", range(40))
def test_in_any_rig_what_is_valid_comes_from_where_the_depth_puts_it_and_nothing_is_a_speck(seed):
    random = np.random.default_rng(seed)
    owner, other, pose = any_camera(random), any_camera(random), any_pose(random)
    depth = any_scene(random, owner)
    size = owner.width, owner.height
    check(DepthGeometry(owner, other, pose, DISTANCE).warp(depth, size, (0, 0, *size)), 1 / depth, owner, other, pose)
    near, size = DepthView(owner, other, pose).of(depth, DISTANCE), (other.width, other.height)
    geometry = DepthGeometry(other, owner, pose.inverse, DISTANCE)
    check(geometry.warp_of_seen(near, size, (0, 0, *size)), near, other, owner, pose.inverse)


def test_corners_for_which_a_lens_has_no_rays_show_nothing():
    """A barrel whose polynomial turns back before its corners, beside a fisheye that sees all around it."""
    k = (62.0, 0.0, 63.5, 0.0, 62.0, 47.5, 0.0, 0.0, 1.0)
    thermal = CameraModel(128, 96, "thermal", k, (-0.22, 0.017, 0.0, 0.0, 0.0))
    k = (48.0, 0.0, 63.5, 0.0, 48.0, 47.5, 0.0, 0.0, 1.0)
    visible = CameraModel(128, 96, "visible", k, (0.0,) * 4, distortion_model="equidistant")
    pose = RigidTransform(translation=(0.05, 0.0, 0.0))
    near = DepthView(visible, thermal, pose).of(np.full((96, 128), 3.0, np.float32), DISTANCE)
    has_ray = np.isfinite(rays(pixel_grid((128, 96)), thermal)[..., 0])
    assert 0.7 < has_ray.mean() < 0.98
    assert not near[~has_ray].any()
    assert (near[has_ray] > 0).mean() > 0.9


def test_places_of_less_than_two_pixels_are_not_shown():
    """A floor seen from beside, where points of the depth image lie far apart: a dot each is no picture."""
    k = (85.0, 0.0, 47.5, 0.0, 85.0, 39.5, 0.0, 0.0, 1.0)
    owner = CameraModel(96, 80, "owner", k, (0.0,) * 5)
    k = (190.0, 0.0, 159.5, 0.0, 190.0, 127.5, 0.0, 0.0, 1.0)
    other = CameraModel(320, 256, "other", k, (0.0,) * 5)
    pose = RigidTransform(translation=(0.0, 0.0, -3.0))  # the other camera stands 3 m ahead
    depth = np.repeat(np.linspace(3.4, 30, 80, dtype=np.float32)[::-1, None], 96, axis=1)
    near = DepthView(owner, other, pose).of(depth, DISTANCE)
    warp = DepthGeometry(other, owner, pose.inverse, DISTANCE).warp_of_seen(near, (320, 256), (0, 0, 320, 256))
    count, _, sizes, _ = cv2.connectedComponentsWithStats(np.asarray(near > 0, np.uint8))
    assert (sizes[1:, cv2.CC_STAT_AREA] < 4).sum() > 5
    count, _, sizes, _ = cv2.connectedComponentsWithStats(warp.validity)
    assert count > 1
    assert sizes[1:, cv2.CC_STAT_AREA].min() >= 4
