"""The camera's motion from matches, against motion that is known: through space, on the spot, before a wall."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.evaluation.bag.downstream.features import corners, matched
from hkdnet_ros.evaluation.bag.downstream.pose import MOVED, PLANE, TURNED, Motion, angle_of, motion, turn_between
from hkdnet_ros.geometry.projection import project, rays
from hkdnet_ros.images.camera_model import CameraModel

LENS = CameraModel(
    640, 480, "camera", k=(520.0, 0.0, 322.0, 0.0, 520.0, 238.0, 0.0, 0.0, 1.0), d=(-0.2, 0.05, 0.001, -0.001, 0.0)
)  # fmt: skip
STEP = (0.3, 0.0, 0.1)


def rotation(*degrees):
    return cv2.Rodrigues(np.radians(np.array(degrees, np.float64)))[0]


def seen_twice(turn, step, depth, model=LENS, outliers=0.2, count=300, seed=0):
    """Pixels (N, 2) of points before and after the camera's motion, off by 0.7 pixels, a share of them by anything."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform((5, 5), (634, 474), (count, 2))
    ahead = rays(pixels, LENS)
    points = ahead * depth(ahead, rng)[:, None]
    pair = [project(points, LENS), project(points @ turn.T + np.array(step), LENS)]
    known = np.isfinite(pair).all(axis=(0, 2))
    old, new = (view[known] + rng.normal(0, 0.7, (known.sum(), 2)) for view in pair)
    wrong = int(outliers * len(new))
    new[:wrong] = rng.uniform((0, 0), (640, 480), (wrong, 2))
    if model is not LENS:  # the same view by an image of another size
        scale = model.width / LENS.width
        old, new = (scale * pixels + (scale - 1) / 2 for pixels in (old, new))
    return old.astype(np.float32), new.astype(np.float32)


def scattered(ahead, rng):
    return rng.uniform(3, 30, len(ahead))


def wall(ahead, rng):
    return 8 / (1 + 0.2 * ahead[:, 0] + 0.1 * ahead[:, 1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", [LENS, LENS.resized(1280, 960)], ids=["whole", "doubled"])
def test_a_motion_with_parallax_is_told_with_its_direction(model, seed):
    turn = rotation(0.5, 1.0, 0.3)
    found = motion(*seen_twice(turn, STEP, scattered, model, seed=seed), model)
    assert found.kind == MOVED
    assert found.inliers > 200
    again = motion(*seen_twice(turn, STEP, scattered, model, seed=seed), model)
    assert (again.rotation == found.rotation).all()  # to the bit, though the fit draws samples
    assert angle_of(found.rotation @ turn.T) < 0.4
    assert np.degrees(np.arccos(found.direction @ STEP / np.linalg.norm(STEP))) < 8


@pytest.mark.parametrize(
    ("degrees", "step"), [((1, 2, 0.5), (0, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((0, 0.2, 0), (0.02, 0, 0))]
)
def test_without_parallax_the_homography_wins_and_the_turn_is_told(degrees, step):
    turn = rotation(*degrees)
    found = motion(*seen_twice(turn, step, scattered), LENS)
    assert (found.kind, found.direction) == (TURNED, None)
    assert angle_of(found.rotation @ turn.T) < 0.12
    assert found.angle == pytest.approx(angle_of(turn), abs=0.12)


def test_before_a_wall_nothing_is_told_but_what_agrees():
    found = motion(*seen_twice(rotation(0.5, 0.5, 0), (0.6, 0, 0.2), wall), LENS)
    assert (found.kind, found.rotation, found.direction) == (PLANE, None, None)
    assert found.inliers > 200
    assert np.isnan(found.angle)


def test_matches_of_chance_and_too_few_tell_no_motion():
    assert motion(*seen_twice(rotation(0, 1, 0), STEP, scattered, outliers=1.0), LENS) is None
    assert motion(*seen_twice(rotation(0, 1, 0), STEP, scattered, outliers=0, count=9), LENS) is None
    nothing = np.zeros((0, 2), np.float32)
    assert motion(nothing, nothing, LENS) is None


def test_two_turns_differ_by_what_one_has_more():
    slow, fast = (Motion(TURNED, 99, rotation(0, degrees, 0)) for degrees in (1.0, 1.25))
    assert turn_between(slow, fast) == pytest.approx(0.25, abs=1e-9)
    assert np.isnan(turn_between(slow, Motion(PLANE, 99)))


def scene_between_two_depths(turn, step, model):
    """A textured pane at 4 m before a wall at 20 m, as the camera sees them after its motion, by homographies."""
    rng = np.random.default_rng(3)
    k = np.reshape(model.k, (3, 3))
    image = np.zeros((model.height, model.width), np.uint8)
    for depth, inside in ((20.0, None), (4.0, (200, 120, 440, 360))):
        texture = cv2.GaussianBlur(rng.normal(128, 90, (480, 640)).astype(np.float32), (0, 0), 2) * 3 - 256
        plane = k @ (turn + np.outer(step, (0, 0, 1)) / depth) @ np.linalg.inv(k)
        warped = cv2.warpPerspective(np.clip(texture, 0, 255).astype(np.uint8), plane, (640, 480))
        mask = np.full((480, 640), 255, np.uint8)
        if inside is not None:
            left, top, right, bottom = inside
            mask[:] = 0
            mask[top:bottom, left:right] = 255
        shown = cv2.warpPerspective(mask, plane, (640, 480)) > 127
        image[shown] = warped[shown]
    return image


def test_the_motion_between_two_images_is_found_by_their_corners():
    pinhole = CameraModel(640, 480, "camera", k=LENS.k)
    turn, step = rotation(0.3, -0.8, 0.2), np.array((0.25, 0.05, 0.1))
    views = [scene_between_two_depths(*pose, pinhole) for pose in ((np.eye(3), np.zeros(3)), (turn, step))]
    found = motion(*matched(*map(corners, views)), pinhole)
    assert found.kind == MOVED
    assert angle_of(found.rotation @ turn.T) < 0.4
    assert np.degrees(np.arccos(found.direction @ step / np.linalg.norm(step))) < 10
    on_the_spot = [views[0], scene_between_two_depths(turn, np.zeros(3), pinhole)]
    assert motion(*matched(*map(corners, on_the_spot)), pinhole).kind == TURNED
