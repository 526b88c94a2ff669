from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.evaluation.baselines import average, baselines, laplacian_pyramid, maximum
from hkdnet_ros.evaluation.resampling import enlarge_bicubic
from hkdnet_ros.inference.sizes import Sizes


@pytest.fixture
def textures() -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 255, (2, 75, 101)).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_baseline_enlarges_by_the_scale_and_stays_in_range(scale: int) -> None:
    thermal, visible = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (2, 20, 31))
    for method in baselines(Sizes(thermal=scale, visible=scale)).values():
        fused = method(thermal, visible)
        assert fused.shape == (20 * scale, 31 * scale)
        assert fused.min() >= 0
        assert fused.max() <= 255


def test_a_visible_image_of_the_outputs_size_is_fused_as_it_is() -> None:
    random = np.random.default_rng(1)
    thermal, visible = random.integers(0, 256, (8, 12), np.uint8), random.integers(0, 256, (64, 96), np.uint8)
    large = enlarge_bicubic(thermal, 8)
    methods = baselines(Sizes(thermal=8, visible=1))
    np.testing.assert_array_equal(methods["bicubic>maximum"](thermal, visible), np.maximum(large, visible))
    np.testing.assert_allclose(methods["bicubic>average"](thermal, visible), (large + visible) / 2, atol=1e-4)
    exact = laplacian_pyramid(large, visible.astype(np.float32))
    np.testing.assert_array_equal(methods["bicubic>laplacian"](thermal, visible), exact)


def test_equal_sources_come_out_unchanged(textures: np.ndarray) -> None:
    for rule in (average, maximum, laplacian_pyramid):
        np.testing.assert_allclose(rule(textures[0], textures[0]), textures[0], atol=1e-3)


def test_a_pyramid_takes_detail_from_where_it_is_and_the_mean_of_the_ground(textures: np.ndarray) -> None:
    texture = textures[0] / 255 * 40 - 20
    textured_left, textured_right = np.full((2, 75, 101), 100, np.float32)
    textured_left[:, :50] += texture[:, :50]
    textured_right[:, 50:] += texture[:, 50:]
    textured_right += 20
    fused = laplacian_pyramid(textured_left, textured_right)
    for part in (slice(8, 42), slice(58, 93)):
        assert np.corrcoef(fused[8:-8, part].ravel(), texture[8:-8, part].ravel())[0, 1] > 0.98
    assert fused.mean() == pytest.approx(110, abs=2)


def test_a_pyramid_takes_the_smallest_images() -> None:
    small = np.array([[10, 20, 30]], np.float32)
    np.testing.assert_allclose(laplacian_pyramid(small, small + 10), small + 5)
