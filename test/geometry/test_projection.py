"""Pixels to rays and back, against the formulas of the lens models as sensor_msgs writes them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lenses import EQUIDISTANT, NARROW, RATIONAL, WIDE, formula

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.projection import check_lens, image_model, project, rays, rectified_model

PLAIN = dataclasses.replace(NARROW, d=())
LENSES = [PLAIN, NARROW, WIDE, RATIONAL, EQUIDISTANT]
IDS = ["no distortion", "narrow", "wide", "rational", "equidistant"]


def pixels_of(model, step=8):
    x, y = np.meshgrid(np.arange(0, model.width, step), np.arange(0, model.height, step))
    return np.stack([x, y], axis=-1).astype(np.float64)


@pytest.mark.parametrize("model", LENSES, ids=IDS)
def test_points_project_where_the_formula_says(model):
    points = np.random.default_rng(3).uniform((-0.4, -0.3, 0.9), (0.4, 0.3, 1.4), (200, 3)) * 7
    np.testing.assert_allclose(project(points, model), formula(points, model), atol=1e-6)


@pytest.mark.parametrize("model", LENSES, ids=IDS)
def test_a_ray_leads_back_to_its_pixel(model):
    pixels = pixels_of(model)
    found = rays(pixels, model)
    assert found.shape == (*pixels.shape[:-1], 3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(formula(found * 3, model), pixels, atol=0.01)


def test_what_lies_behind_or_beyond_the_turn_of_the_polynomial_is_not_seen():
    # Without the limit a strong barrel distortion folds rays from far outside back into the image.
    barrel = dataclasses.replace(NARROW, d=(-0.35, 0.0, 0.0, 0.0, 0.0))
    folded = np.array([[1.6, 0.0, 1.0]])
    x, _ = formula(folded, barrel)[0]
    assert 0 <= x < barrel.width
    assert np.isnan(project(folded, barrel)).all()
    for model in LENSES:
        assert np.isnan(project(np.array([[0.1, 0.1, -1.0], [0.1, 0.0, 0.0], [np.nan, 0.0, 1.0]]), model)).all()


def test_corners_that_a_fisheye_does_not_reach_have_no_ray():
    # 180 degrees in 400 pixels: the corners of the image are dark.
    k = (400 / np.pi, 0.0, 299.5, 0.0, 400 / np.pi, 299.5, 0.0, 0.0, 1.0)
    fisheye = dataclasses.replace(EQUIDISTANT, width=600, height=600, k=k, d=(0.0,) * 4)
    found = rays(np.array([[0.0, 0.0], [299.5, 299.5], [299.5, 105.0]]), fisheye)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(np.arctan(found[2, 1]), -194.5 * np.pi / 400, atol=1e-6)


def test_the_model_of_the_image_has_window_and_binning_in_it():
    window = dataclasses.replace(
        NARROW, binning_x=2, binning_y=2, roi_x_offset=40, roi_y_offset=20, roi_width=400, roi_height=300
    )
    sent = image_model(window)
    assert (sent.width, sent.height) == (200, 150)
    point = np.array([[0.05, 0.02, 1.0]])
    np.testing.assert_allclose(
        project(point, sent) + 0.5, (project(point, NARROW) + 0.5 - (40, 20)) / 2, atol=1e-9
    )  # fmt: skip


def test_the_rectified_model_goes_by_the_projection_matrix():
    p = (300.0, 0.0, 310.0, 0.0, 0.0, 300.0, 250.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    model = rectified_model(dataclasses.replace(EQUIDISTANT, p=p))
    np.testing.assert_allclose(project(np.array([[0.5, -0.2, 2.0]]), model), [[385.0, 220.0]])
    with pytest.raises(ConfigError, match="projection matrix P is zero"):
        rectified_model(NARROW)


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        ({"k": (0.0,) * 9}, "thermal is not calibrated"),
        ({"k": (-1.0, *NARROW.k[1:])}, "focal lengths of -1"),
        ({"k": (0.0, *NARROW.k[1:])}, "focal length of 0 pixels"),
        ({"k": tuple(np.reshape(NARROW.k, (3, 3)).T.ravel())}, "last row is .*row by row"),
        ({"k": (14.0, 0.0, 5.4, 0.0, 14.0, 4.3, 0.0, 0.0, 1.0)}, "focal lengths of 14 and 14 .* not in millimetres"),
        ({"k": (770.0, 0.0, 322.5, 0.0, 77.0, 250.1, 0.0, 0.0, 1.0)}, "770 and 77 .* about alike"),
        ({"k": (770.0, 0.0, 3225.0, 0.0, 772.0, 250.1, 0.0, 0.0, 1.0)}, r"centre at \(3225, 250.1\)"),
        ({"d": (np.nan,) * 5}, "NaN"),
        ({"distortion_model": "omni"}, "distortion model 'omni'; expected one of plumb_bob"),
        ({"d": (0.1,) * 3}, "3 coefficients of plumb_bob; expected 4 or 5"),
        ({"d": (-5.0, 0.0, 0.0, 0.0, 0.0)}, "by which its lens shows something in .*% of its image; expected 50%"),
        ({"distortion_model": "equidistant", "d": ()}, "0 coefficients of equidistant; expected 4"),
    ],
)
def test_a_lens_that_cannot_be_computed_with_is_refused_by_name(wrong, fact):
    with pytest.raises(ConfigError, match=fact):
        check_lens(dataclasses.replace(NARROW, **wrong), "thermal")
