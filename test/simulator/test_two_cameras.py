"""Two cameras of their own: what each sees is where its lens formula says, at its own time."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from lenses import EQUIDISTANT, NARROW, formula

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.correspondence import plane_trace
from hkdnet_ros.geometry.lookup import LookupTable
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import camera_view
from hkdnet_ros.simulator.two_cameras import CameraRig, TwoCameraSimulator, usual_rig

EMPTY = SceneConfig(people=0, cars=0, netd=0.0, fixed_pattern=0.0, drift=0.0)


@pytest.fixture(scope="module")
def simulator():
    return TwoCameraSimulator(EMPTY)


def test_images_have_sizes_stamps_and_frames_of_their_cameras(simulator):
    pair = simulator.render(3)
    assert pair.thermal.image.shape == (256, 320)
    assert pair.visible.image.shape == (540, 960, 3)
    assert pair.thermal.stamp_ns == pair.visible.stamp_ns == 100_000_000
    assert (pair.thermal.frame_id, pair.visible.frame_id) == ("thermal_camera", "visible_camera")
    assert simulator.camera_model(THERMAL) is simulator.rig.thermal


def test_points_of_the_scene_are_where_the_lens_formulas_put_them(simulator):
    """On the road a row of pixels is 5 to 20 cm, on the wall beside it a column is: depth tells to a pixel."""
    world = np.array(
        [[0.0, 0.0, 8.0], [2.0, 0.0, 7.5], [-1.0, 0.0, 12.0], [7.0, 1.0, 12.0], [7.0, 0.8, 17.0]], np.float32
    )
    in_visible = camera_view(960, 540).camera_points(world).astype(np.float64)
    in_thermal = simulator.rig.thermal_to_visible.inverse.apply(in_visible)
    for stream, points, tolerance in ((VISIBLE, in_visible, 0.1), (THERMAL, in_thermal, 0.25)):
        x, y = np.round(formula(points, simulator.camera_model(stream))).astype(int).T
        inside = (x >= 0) & (x < simulator.camera_model(stream).width)
        assert inside.sum() >= 3
        found = simulator.registered(0, stream).depth[y[inside], x[inside]]
        np.testing.assert_allclose(found, points[inside, 2], atol=tolerance)


def test_the_thermal_image_brought_over_by_true_depth_is_what_is_felt_in_the_visible_view(simulator):
    rig, truth = simulator.rig, simulator.registered(0, VISIBLE)
    felt = simulator.registered(0, THERMAL).temperature
    trace = plane_trace(rig.visible, rig.thermal, rig.thermal_to_visible.inverse, 15.0)
    table = LookupTable(trace, (960, 540), (320, 256))
    found = table.apply(felt, cv2.INTER_LINEAR)
    at_15 = (np.abs(truth.depth - 15) < 2) & (cv2.erode(table.validity, np.ones((9, 9), np.uint8)) > 0)
    assert at_15.sum() > 5000
    right = np.abs(found - truth.temperature)[at_15]
    moved = np.abs(np.roll(found, 4, axis=1) - truth.temperature)[at_15]
    assert right.mean() < 0.6 * moved.mean()


def test_the_thermal_image_is_of_a_later_moment_by_the_offset():
    moving = dataclasses.replace(EMPTY, people=3)
    rig = dataclasses.replace(usual_rig((160, 128), (320, 180)), thermal_offset=0.1)
    late = TwoCameraSimulator(moving, rig)
    punctual = TwoCameraSimulator(moving, dataclasses.replace(rig, thermal_offset=0.0))
    np.testing.assert_array_equal(late.render(30).thermal.image, punctual.render(33).thermal.image)
    np.testing.assert_array_equal(late.render(30).truth_visible, punctual.render(30).truth_visible)
    assert (late.render(30).thermal.image != punctual.render(30).thermal.image).any()


def test_people_have_depth():
    rig = usual_rig((160, 128), (320, 180))
    people = TwoCameraSimulator(dataclasses.replace(EMPTY, people=4), rig)
    nobody = TwoCameraSimulator(EMPTY, rig)
    nearer = nobody.registered(60, VISIBLE).depth - people.registered(60, VISIBLE).depth
    warmer = people.registered(60, VISIBLE).temperature - nobody.registered(60, VISIBLE).temperature
    assert (nearer > -1e-3).all()
    assert (nearer > 0.5).sum() > 50
    assert np.median(warmer[nearer > 0.5]) > 3


def test_a_fisheye_can_look_at_the_scene():
    fisheye = dataclasses.replace(EQUIDISTANT, width=400, height=300, k=(200.0, 0, 200.0, 0, 200.0, 150.0, 0, 0, 1.0))
    rig = CameraRig(usual_rig((160, 128)).thermal, fisheye, RigidTransform())
    image = TwoCameraSimulator(EMPTY, rig).render(0).visible.image
    assert (image.max(axis=2) > 0).mean() > 0.99


def test_a_lens_that_sees_all_around_is_refused():
    everything = dataclasses.replace(EQUIDISTANT, k=(200.0, 0, 399.5, 0, 200.0, 299.5, 0, 0, 1.0), d=(0.0,) * 4)
    with pytest.raises(ConfigError, match="degrees from its axis"):
        TwoCameraSimulator(EMPTY, CameraRig(NARROW, everything, RigidTransform()))
