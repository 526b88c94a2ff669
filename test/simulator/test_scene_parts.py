"""Rays, boxes, clipping, filtered patterns and the thermal sensor against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.geometry import LEAST_HIT, NEAR, Box, View, hit_box
from hkdnet_ros.simulator.sensor import COUNTS_PER_KELVIN, ThermalSensor
from hkdnet_ros.simulator.sprites import Canvas
from hkdnet_ros.simulator.textures import NoiseBank, band, stripes

VIEW = View.looking(64, 48, fov=62.0, position=(1.4, 2.3, 0.0), yaw=-7.0, pitch=4.0)


def test_a_point_along_a_pixels_ray_projects_back_to_that_pixel() -> None:
    rays = VIEW.rays()
    pixels = VIEW.image_points(VIEW.camera_points(VIEW.position + rays * 7.5))
    rows, columns = np.mgrid[0:48, 0:64]
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1), atol=1e-3)


def test_the_view_looks_down_the_street_with_up_at_the_top() -> None:
    near, far, above = (
        VIEW.image_points(VIEW.camera_points(np.float32(p))) for p in ((0, 0, 8), (0, 0, 40), (0, 3, 8))
    )
    assert near[1] > far[1] > above[1]
    left, right = (VIEW.image_points(VIEW.camera_points(np.float32(p))) for p in ((-3, 0, 8), (3, 0, 8)))
    assert left[0] < right[0]


def test_scaling_a_view_keeps_pixel_areas_aligned() -> None:
    point = np.float32([0.7, 0.4, 9.0])
    small = VIEW.image_points(VIEW.camera_points(point))
    large = VIEW.scaled(3).image_points(VIEW.scaled(3).camera_points(point))
    np.testing.assert_allclose(large, 3 * small + 1, atol=1e-3)  # half pixel: x' = s*x + (s-1)/2


coordinate = st.floats(-6, 6, width=32)


@settings(max_examples=60, deadline=None)
@given(st.tuples(coordinate, coordinate, coordinate), st.tuples(coordinate, coordinate, coordinate))
def test_the_first_hit_of_a_box_is_where_marching_along_the_ray_enters_it(
    start: tuple[float, ...], towards: tuple[float, ...]
) -> None:
    origin, direction = np.float32(start), np.float32(towards)
    if np.abs(direction).min() < 0.05:
        return
    box = Box((1.0, -1.0, 0.5), (3.0, 2.0, 2.5))
    hit = float(hit_box(origin, direction[None], box)[0][0])
    steps = np.linspace(0.0, 200.0, 200_001)
    points = origin + steps[:, None] * direction
    inside = ((points >= box.low) & (points <= box.high)).all(axis=1)
    if inside[:3].any():  # begins inside, or so near that the hit may lie before LEAST_HIT, 1 step
        return
    if inside.sum() > 2:
        assert hit == pytest.approx(steps[inside.argmax()], abs=2e-3)
    elif not inside.any() and np.isfinite(hit):  # it may graze an edge between two steps
        entry = origin + hit * direction
        assert ((entry > np.float32(box.low) - 1e-3) & (entry < np.float32(box.high) + 1e-3)).all()


@pytest.mark.parametrize(
    ("distance", "expected"), [(0.5 * LEAST_HIT, np.inf), (2 * LEAST_HIT, 2 * LEAST_HIT), (-0.5, np.inf)]
)
def test_a_hit_just_after_the_start_counts_for_none(distance: float, expected: float) -> None:
    box = Box((1.0, -1.0, 0.5), (3.0, 2.0, 2.5))
    hit, _ = hit_box(np.float32((1.0 - distance, 0.5, 1.0)), np.float32([(1.0, 0.01, 0.01)]), box)
    assert hit[0] == pytest.approx(expected, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=3, max_size=6))
def test_clipped_polygons_lie_in_front_of_the_near_plane(points: list[tuple[float, float, float]]) -> None:
    view = View.looking(64, 48, fov=62.0, position=(0.0, 0.0, 0.0), yaw=0.0, pitch=0.0)
    polygon = np.float32(points)
    clipped = view.polygon(polygon)
    assert np.isfinite(clipped).all()
    if (polygon[:, 2] >= NEAR).all():
        np.testing.assert_allclose(clipped, view.image_points(view.camera_points(polygon)))
    if (polygon[:, 2] < NEAR).all():
        assert len(clipped) == 0
    limit = np.abs(polygon[:, :2]).max() / NEAR * view.focal * 1.001 + 33
    assert (np.abs(clipped) <= limit).all()


def test_noise_repeats_after_its_period_without_a_seam() -> None:
    bank = NoiseBank(3)
    u = np.linspace(0, 4, 400, dtype=np.float32)
    v = np.full_like(u, 1.3)
    np.testing.assert_allclose(bank.sample("rough", u, v, 4.0), bank.sample("rough", u + 4, v - 8, 4.0), atol=0.02)
    values = bank.sample("cloud", u, v, 4.0)
    assert np.abs(np.diff(np.append(values, values[0]))).max() < 0.3


def test_stripes_keep_their_mean_coverage_at_every_footprint() -> None:
    position = np.linspace(0, 40, 40_001, dtype=np.float32)
    for footprint in (0.01, 0.1, 0.5, 2.0, 20.0):
        coverage = stripes(position, 1.0, 0.25, np.full_like(position, footprint))
        assert coverage.mean() == pytest.approx(0.25, abs=0.1)
        assert coverage.min() >= 0.0
        assert coverage.max() <= 1.0
    far = stripes(position, 1.0, 0.25, np.full_like(position, 5.0))
    assert far.std() < 1e-6  # no flicker where the pattern cannot be resolved


def test_band_is_the_share_of_the_pixel_it_covers() -> None:
    footprint = np.float32([0.5])
    for distance, expected in ((0.0, 1.0), (0.75, 1.0), (1.0, 0.5), (1.25, 0.0), (2.0, 0.0)):
        assert band(np.float32([distance]), 1.0, footprint)[0] == pytest.approx(expected)


def test_a_canvas_blends_colour_and_temperature_by_the_covered_area() -> None:
    colour, temperature = np.full((20, 30, 3), 100, np.uint8), np.full((20, 30), 10.0, np.float32)
    canvas = Canvas((20.0, 10.0, 40.0, 30.0), (30, 20), 2)
    # Columns 10..20 and rows 5..15 of the truth, in pixels of twice the resolution, pixel centres at integers.
    square = np.float32([(19.5, 9.5), (39.5, 9.5), (39.5, 29.5), (19.5, 29.5)])
    canvas.polygon(square, np.float32([200, 0, 50]), 30.0)
    canvas.lay_over(colour, temperature)
    np.testing.assert_allclose(colour[7:13, 12:18], np.broadcast_to([200, 0, 50], (6, 6, 3)), atol=1)
    np.testing.assert_allclose(temperature[7:13, 12:18], 30.0, atol=0.3)
    np.testing.assert_array_equal(colour[:3], 100)
    np.testing.assert_array_equal(temperature[:, :8], 10.0)
    area = (temperature - 10.0).sum() / 20.0
    assert 100.0 <= area <= 121.0  # OpenCV's anti-aliasing adds a rim of less than half a pixel


def test_a_canvas_outside_the_image_is_empty_and_harmless() -> None:
    colour, temperature = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.float32)
    canvas = Canvas((500.0, 10.0, 600.0, 30.0), (30, 20), 2)
    assert canvas.empty
    canvas.lay_over(colour, temperature)
    assert not colour.any()


def test_thermal_noise_is_as_large_as_the_settings_say() -> None:
    scene = np.full((120, 160), 20.0, np.float32)
    config = SceneConfig.of_one_size((160, 120), netd=0.5, fixed_pattern=0.0, drift=0.0)
    frames = np.stack([ThermalSensor(config).read(scene, index) for index in range(6)]).astype(float)
    assert frames.std(axis=0).mean() / COUNTS_PER_KELVIN == pytest.approx(0.46, abs=0.06)  # 0.95 of sigma for 6 samples
    config = SceneConfig.of_one_size((160, 120), netd=0.0, fixed_pattern=0.5, drift=0.0)
    first, second = (ThermalSensor(config).read(scene, index).astype(float) for index in (0, 500))
    np.testing.assert_array_equal(first, second)
    assert first.std() / COUNTS_PER_KELVIN == pytest.approx(0.5, abs=0.07)


def test_drift_moves_slowly_within_its_amplitude() -> None:
    sensor = ThermalSensor(SceneConfig.of_one_size((64, 48), drift=2.0, fps=30.0))
    offsets = np.array([sensor.drift(index) for index in range(0, 9000)])
    assert np.abs(offsets).max() <= 2.0
    assert np.ptp(offsets) > 2.0
    assert np.abs(np.diff(offsets)).max() < 0.03
