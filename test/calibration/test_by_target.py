"""Targets found in simulated views, and lenses and pose by them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from target_views import target_poses, views

from hkdnet_ros.calibration.by_target import (
    AUTO,
    EQUIDISTANT,
    PLUMB_BOB,
    LensConfig,
    TargetView,
    calibrate_by_target,
)  # fmt: skip
from hkdnet_ros.calibration.targets import Sighting, Target, TargetConfig, counted_alike
from hkdnet_ros.errors import CalibrationError, ConfigError
from hkdnet_ros.geometry.correspondence import plane_trace
from hkdnet_ros.geometry.projection import project
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.simulator.two_cameras import CameraRig, usual_rig

RIG = usual_rig((320, 256), (640, 360))
SIZES = {THERMAL: (320, 256), VISIBLE: (640, 360)}
PLAIN = LensConfig(PLUMB_BOB, PLUMB_BOB)
FISHEYE = dataclasses.replace(
    RIG.visible,
    k=(330.0, 0.0, 318.0, 0.0, 331.0, 183.0, 0.0, 0.0, 1.0),
    d=(0.02, -0.01, 0.004, -0.001),
    distortion_model="equidistant",
)
CONFIGS = [
    TargetConfig("checkerboard", (8, 5), 0.05),
    TargetConfig("circles", (8, 5), 0.05),
    TargetConfig("offset_circles", (5, 9), 0.08),
    TargetConfig("apriltag", (5, 4), 0.09),
    TargetConfig("charuco", (6, 4), 0.08),
]


@functools.lru_cache
def exact_views(
    count: int, tilt: float = 35.0, noise: float = 0.1, rig: CameraRig = RIG
) -> tuple[Target, list[TargetView]]:
    """Return a checkerboard and where its corners are seen, off by ``noise`` pixels, without images."""
    target = Target(CONFIGS[0])
    random = np.random.default_rng(1)
    found = []
    for pose in target_poses(target, rig, count, tilt):
        sightings = [
            Sighting(np.arange(len(target.points)), pixels + random.normal(0, noise, pixels.shape))
            for pixels in (
                project(pose.then(rig.thermal_to_visible.inverse).apply(target.points), rig.thermal),
                project(pose.apply(target.points), rig.visible),
            )
        ]
        found.append(TargetView(*sightings))
    return target, found


def off_truth(calibration: object, distance: float, rig: CameraRig = RIG) -> np.ndarray:
    """Return how far, in visible pixels, a calibration takes thermal pixels from where they truly lie."""
    found = calibration.calibration  # type: ignore[attr-defined]
    x, y = np.meshgrid(np.arange(0.0, 320, 8), np.arange(0.0, 256, 8))
    pixels = np.stack([x, y], axis=-1)
    truth = plane_trace(rig.thermal, rig.visible, rig.thermal_to_visible, distance)(pixels)
    estimate = plane_trace(found.thermal, found.visible, found.thermal_to_visible, distance)(pixels)
    return np.asarray(np.linalg.norm(truth - estimate, axis=-1))


@pytest.mark.parametrize("is_hot", [True, False])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.target)
def test_targets_are_found_in_both_cameras_and_either_polarity(config: TargetConfig, is_hot: bool) -> None:
    target = Target(config)
    pose = target_poses(target, RIG, 1, tilt=20, seed=3)[0]
    thermal, visible = (target.find(image) for image in views(target, RIG, pose, hot=is_hot))
    assert thermal is not None
    assert visible is not None
    if target.is_symmetric:
        thermal = counted_alike(thermal, visible)
    for sighting, to_camera, model in (
        (thermal, pose.then(RIG.thermal_to_visible.inverse), RIG.thermal),
        (visible, pose, RIG.visible),
    ):
        truth = project(to_camera.apply(target.points[sighting.ids]), model)
        ways = [truth, truth[::-1]] if target.is_symmetric else [truth]
        # Blur rounds the corners of tags that stand alone; those where squares meet stay where they are.
        limit = 0.5 if config.target == "apriltag" else 0.25
        assert min(np.linalg.norm(sighting.pixels - way, axis=1).mean() for way in ways) < limit


def test_a_target_is_not_found_where_there_is_none() -> None:
    noise = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    assert all(Target(config).find(noise) is None for config in CONFIGS)


def test_pose_from_30_views_is_right_within_a_third_of_a_pixel() -> None:
    target, seen = exact_views(30)
    known = {THERMAL: RIG.thermal, VISIBLE: RIG.visible}
    for lenses, limit in ((known, 0.3), (None, 0.3)):
        found = calibrate_by_target(target.points, seen, SIZES, lenses, PLAIN)
        assert found.views == 30
        assert found.error < 0.3
        for distance in (1.0, 2.0, 10.0, 50.0):
            assert np.nanmean(off_truth(found, distance)) < limit


@pytest.mark.parametrize("kind", [AUTO, EQUIDISTANT])
def test_a_fisheye_beside_a_plain_lens_is_found_and_told_apart(kind: str) -> None:
    rig = dataclasses.replace(RIG, visible=FISHEYE)
    target, seen = exact_views(30, rig=rig)
    seen = [view for view in seen if all(one and np.isfinite(one.pixels).all() for one in (view.thermal, view.visible))]
    # The target is all over the thermal view, which is the middle of the fisheye's; all over its own are these.
    wide = [RigidTransform.of(np.eye(3), (x, y, 0.0)) for x in (-1.0, -0.5, 0.0, 0.5) for y in (-0.5, 0.0, 0.2)]
    random = np.random.default_rng(2)
    for pose, shift in zip(target_poses(target, RIG, len(wide), seed=5), wide, strict=True):
        pixels = project(pose.then(shift).apply(target.points), FISHEYE)
        if np.isfinite(pixels).all() and (pixels > 0).all() and (pixels < SIZES[VISIBLE]).all():
            pixels = pixels + random.normal(0, 0.1, pixels.shape)
            seen.append(TargetView(None, Sighting(np.arange(len(pixels)), pixels)))
    found = calibrate_by_target(target.points, seen, SIZES, config=LensConfig(PLUMB_BOB, kind))
    assert found.calibration.visible is not None
    assert found.calibration.visible.distortion_model == "equidistant"
    assert found.calibration.visible.k[0] == pytest.approx(FISHEYE.k[0], rel=0.01)
    for distance in (1.0, 2.0, 10.0, 50.0):
        assert np.nanmean(off_truth(found, distance, rig)) < 0.3


def test_too_few_views_are_refused_with_what_was_seen() -> None:
    target, seen = exact_views(30)
    some = [*seen[:5], *(TargetView(None, view.visible) for view in seen[5:])]
    with pytest.raises(CalibrationError, match=r"found in 5 thermal and 30 visible images of 30 pairs, in both of 5"):
        calibrate_by_target(target.points, some, SIZES)


def test_views_without_tilt_are_refused() -> None:
    target, seen = exact_views(30, tilt=3.0)
    with pytest.raises(CalibrationError, match="tilt it"):
        calibrate_by_target(target.points, seen, SIZES, {THERMAL: RIG.thermal, VISIBLE: RIG.visible})


def test_views_at_one_place_are_refused() -> None:
    target, seen = exact_views(30)
    with pytest.raises(CalibrationError, match="near the borders"):
        calibrate_by_target(target.points * 0.2, [seen[0]] * 10, {THERMAL: (1600, 1200), VISIBLE: (3200, 1800)})


def test_views_that_disagree_are_refused() -> None:
    target, seen = exact_views(30)
    mixed = [TargetView(a.thermal, b.visible) for a, b in zip(seen, [*seen[1:], seen[0]], strict=True)]
    with pytest.raises(CalibrationError, match="disagree"):
        calibrate_by_target(target.points, mixed, SIZES, {THERMAL: RIG.thermal, VISIBLE: RIG.visible})


def test_points_are_counted_from_the_same_end() -> None:
    pixels = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 1.0]])
    numbers = np.arange(3)
    upside_down = Sighting(numbers, pixels[::-1].copy())
    assert (counted_alike(upside_down, Sighting(numbers, pixels)).pixels == pixels).all()


def test_a_checkerboard_of_two_corners_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3x3"):
        TargetConfig("checkerboard", (2, 5))
