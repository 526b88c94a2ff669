"""Error in pixels by mode and depth, of two lenses whose formulas are written out apart (lenses.py)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lenses import EQUIDISTANT, NARROW, RATIONAL, WIDE, formula, turn

from hkdnet_ros.geometry.correspondence import homography_trace, plane_trace
from hkdnet_ros.geometry.rigid_transform import RigidTransform

BASELINE = 0.1
THERMAL_TO_VISIBLE = RigidTransform.of(turn(2, -1.5, 1), (BASELINE, -0.02, 0.01))


def seen_points(reference, depth):
    """Return pixels of a reference and the points (N, 3) in its axes, ``depth`` ahead, by search with the formula."""
    side = np.tan(np.radians(30)) * depth
    x, y = np.meshgrid(np.linspace(-side, side, 25), np.linspace(-side, side, 25))
    points = np.stack([x, y, np.full_like(x, depth)], axis=-1).reshape(-1, 3)
    return formula(points, reference), points


def errors(trace, reference, source, transform, depth):
    """Return how far (px) a trace is from the truth where the source sees the point."""
    pixels, points = seen_points(reference, depth)
    truth = formula(transform.apply(points), source)
    found = trace(pixels)
    inside = (np.abs(truth - (source.width / 2, source.height / 2)) < (source.width / 2, source.height / 2)).all(axis=1)
    assert inside.sum() > 50
    return np.linalg.norm(found - truth, axis=1)[inside]


@pytest.mark.parametrize(
    ("thermal", "visible"),
    [(NARROW, WIDE), (NARROW, EQUIDISTANT), (EQUIDISTANT, RATIONAL)],
    ids=["plumb bob", "fisheye visible", "fisheye thermal"],
)
@pytest.mark.parametrize("depth", [2.0, 5.0, 10.0, 50.0])
def test_rectify_is_exact_at_its_distance_and_off_by_the_parallax_elsewhere(thermal, visible, depth):
    visible_to_thermal = THERMAL_TO_VISIBLE.inverse
    exact = errors(
        plane_trace(visible, thermal, visible_to_thermal, depth), visible, thermal, visible_to_thermal, depth
    )
    assert exact.max() < 0.02
    ten = errors(plane_trace(visible, thermal, visible_to_thermal, 10.0), visible, thermal, visible_to_thermal, depth)
    # Lenses stretch the middle and the rim differently, and a baseline has parts along the axis.
    expected = thermal.k[0] * np.hypot(BASELINE, 0.02) * abs(1 / depth - 1 / 10)
    assert np.median(ten) == pytest.approx(expected, rel=0.3, abs=0.03)


@pytest.mark.parametrize("depth", [2.0, 10.0, 50.0])
def test_rectify_works_the_other_way_round(depth):
    trace = plane_trace(NARROW, WIDE, THERMAL_TO_VISIBLE, depth)
    assert errors(trace, NARROW, WIDE, THERMAL_TO_VISIBLE, depth).max() < 0.02


def test_a_homography_of_undistorted_lenses_is_right_for_its_plane():
    thermal, visible = (dataclasses.replace(model, d=()) for model in (NARROW, WIDE))
    visible_to_thermal = THERMAL_TO_VISIBLE.inverse
    k = [np.reshape(model.k, (3, 3)) for model in (visible, thermal)]
    whole = visible_to_thermal.matrix
    plane = whole[:3, :3] + np.outer(whole[:3, 3], (0, 0, 1 / 5.0))  # n^T X = d
    trace = homography_trace(k[1] @ plane @ np.linalg.inv(k[0]))
    assert errors(trace, visible, thermal, visible_to_thermal, 5.0).max() < 0.01
    assert np.median(errors(trace, visible, thermal, visible_to_thermal, 2.0)) > 15
