"""Two cameras of which one's depth image registers, by points that are projected one by one, and where nothing fits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.geometry.depth_view import DepthView
from hkdnet_ros.geometry.depth_warp import DepthGeometry
from hkdnet_ros.geometry.projection import project, rays
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel

OWNER = CameraModel(
    160, 120, "visible", (140.0, 0.0, 79.0, 0.0, 141.0, 60.0, 0.0, 0.0, 1.0), (-0.2, 0.05, 0.001, 0.0, 0.0)
)
OTHER = CameraModel(96, 80, "thermal", (110.0, 0.0, 47.0, 0.0, 110.0, 39.0, 0.0, 0.0, 1.0), (-0.1, 0.02, 0.0, 0.0, 0.0))
POSE = RigidTransform.of(cv2.Rodrigues(np.array([0.01, -0.04, 0.02]))[0], (0.1, 0.01, -0.02))
WHOLE = (0, 0, 96, 80)


def room():
    """Return the depth (120, 160) in m of a slanted floor and a box before it."""
    y, x = np.mgrid[:120, :160]
    metres = (2.0 + 6.0 * (119 - y) / 119).astype(np.float32)
    metres[40:80, 60:90] = 1.5
    return metres, x, y


def test_depth_in_the_other_view_is_that_of_the_nearest_point_there():
    metres, x, y = room()
    points = POSE.apply(rays(np.stack([x, y], axis=-1).astype(float), OWNER) * metres[..., None]).reshape(-1, 3)
    places = project(points, OTHER)
    nearest = np.full((80, 96), np.inf)
    inside = (np.abs(places - (47.5, 39.5)) < (47, 39)).all(axis=1)
    columns, rows = np.rint(places[inside]).astype(int).T
    np.minimum.at(nearest, (rows, columns), points[inside, 2])
    near = DepthView(OWNER, OTHER, POSE).of(metres, distance=50.0)
    found = 1 / np.maximum(near, 1e-3)
    known = np.isfinite(nearest) & (near > 0)
    assert known.mean() > 0.6
    # A pixel beside an edge may be that of the one or the other surface.
    alike = np.isclose(found, nearest, rtol=0.03) & known
    assert alike.sum() > 0.96 * known.sum()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_pixels_come_from_where_the_depth_puts_them(dtype):
    """The source image has its own coordinates as gray, so that what comes over says where it came from."""
    metres, x, y = room()
    depth = np.rint(metres * 1000).astype(dtype) if dtype == np.uint16 else metres
    geometry = DepthGeometry(OTHER, OWNER, POSE.inverse, 50.0)
    seen = DepthView(OWNER, OTHER, POSE).of(depth, distance=50.0)
    warp = geometry.warp_of_seen(seen, (96, 80), WHOLE)
    column, row = np.meshgrid(np.arange(96), np.arange(80))
    ahead = rays(np.stack([column, row], axis=-1).astype(float), OTHER)
    expected = project(POSE.inverse.apply(ahead / np.maximum(seen, 1e-3)[..., None]), OWNER)
    valid = cv2.erode(warp.validity, np.ones((3, 3), np.uint8)) > 0
    assert valid.mean() > 0.6
    for axis, gray in enumerate((x, y)):
        found = warp.apply(gray.astype(np.float32), cv2.INTER_LINEAR)
        assert np.abs(found - expected[..., axis])[valid].max() < 0.15
        assert not found[warp.validity == 0].any()


def test_cameras_that_look_apart_share_nothing_and_say_so():
    behind = RigidTransform.of(cv2.Rodrigues(np.array([0.0, np.pi, 0.0]))[0], (0.0, 0.0, 0.0))
    metres, *_ = room()
    seen = DepthView(OWNER, OTHER, behind).of(metres, distance=50.0)
    assert not seen.any()
    warp = DepthGeometry(OTHER, OWNER, behind.inverse, 50.0).warp_of_seen(seen, (96, 80), WHOLE)
    assert not warp.validity.any()
    assert not warp.apply(np.full((120, 160), 9, np.uint8)).any()


ASIDE = RigidTransform(translation=(0.12, 0.0, 0.0))
BEHIND = RigidTransform(translation=(0.0, 0.0, 0.3))
TURNED = RigidTransform.of(cv2.Rodrigues(np.array([0.0, 0.2, 0.1]))[0], (0.1, 0.02, 0.05))


def camera(width, height, focal, d=(0.0,) * 5, model="plumb_bob"):
    k = (focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0)
    return CameraModel(width, height, "camera", k, d, distortion_model=model)


@pytest.mark.parametrize("pose", [ASIDE, BEHIND, BEHIND.inverse, TURNED], ids=["aside", "behind", "ahead", "turned"])
@pytest.mark.parametrize(
    ("owner", "other"),
    [
        (camera(80, 60, 48.0), camera(160, 128, 172.0)),  # depth far coarser than the other view
        (camera(160, 120, 95.0, (-0.35, 0.15, 0.0, 0.0, 0.0)), camera(160, 128, 172.0)),
        (camera(480, 270, 286.0), camera(80, 60, 60.0)),
        (camera(160, 120, 65.0, (0.0,) * 4, "equidistant"), camera(96, 80, 50.0, (0.0,) * 4, "equidistant")),
    ],
    ids=["coarse", "barrel", "fine", "fisheyes"],
)
def test_a_wall_has_no_holes_whatever_the_lenses_and_nothing_beside_it_is_mixed_in(owner, other, pose):
    wall = np.full((owner.height, owner.width), 1.0, np.float32)
    near = DepthView(owner, other, pose).of(wall, distance=10.0)
    warp = DepthGeometry(other, owner, pose.inverse, 10.0).warp_of_seen(
        near, (other.width, other.height), (0, 0, other.width, other.height)
    )
    assert (warp.validity > 0).mean() > 0.5
    assert ((cv2.medianBlur(warp.validity, 5) > 0) & (warp.validity == 0)).mean() < 0.005
    shown = warp.apply(np.full((owner.height, owner.width), 200, np.uint8), cv2.INTER_LINEAR)
    assert (shown[warp.validity > 0] >= 190).mean() > 0.995


@pytest.mark.parametrize("metres", [0.05, 0.1, 0.15, 0.25])
def test_what_is_too_near_to_be_brought_over_is_not_valid_rather_than_black(metres):
    owner, other = camera(160, 120, 65.0, (0.0,) * 4, "equidistant"), camera(96, 80, 110.0)
    wall = np.full((120, 160), 4.0, np.float32)
    wall[50:70, :80] = metres
    near = DepthView(owner, other, ASIDE).of(wall, distance=50.0)
    warp = DepthGeometry(other, owner, ASIDE.inverse, 50.0).warp_of_seen(near, (96, 80), WHOLE)
    shown = warp.apply(np.full((120, 160), 200, np.uint8), cv2.INTER_LINEAR)
    assert 0.3 < (warp.validity > 0).mean() < 1
    assert (shown[warp.validity > 0] == 200).all()


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (17, 16)])
def test_of_one_camera_its_own_pixels_come_over_up_to_the_border(size):
    """All but the outermost pixel, beside which there may be nothing to interpolate with."""
    width, height = size
    lens = camera(width, height, 50.0)
    image = np.random.default_rng(0).integers(1, 255, (height, width), np.uint8)
    depth = np.full((height, width), 3000, np.uint16)
    geometry, whole = DepthGeometry(lens, lens, RigidTransform(), 10.0), (0, 0, width, height)
    seen = DepthView(lens, lens, RigidTransform()).of(depth, distance=10.0)
    for warp in (geometry.warp(depth, size, whole), geometry.warp_of_seen(seen, size, whole)):
        assert warp.validity[1:-1, 1:-1].all()
        np.testing.assert_array_equal(warp.apply(image), np.where(warp.validity > 0, image, 0))
