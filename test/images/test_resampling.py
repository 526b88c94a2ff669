"""Resampling to the grid: means over areas where it shrinks, edges on edges where it grows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hkdnet_ros.images.resampling import resample
from hkdnet_ros.perception.size_watch import widening


def area_weights(source: int, target: int) -> NDArray[np.float64]:
    """(target, source) matrix: the share of each source pixel in the area of each target pixel."""
    edges = np.arange(target + 1) * source / target
    starts = np.arange(source)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.clip(overlap, 0, None) * target / source


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1), st.integers(0, 9))
def test_shrinking_takes_the_mean_over_each_pixels_area(
    height: int, width: int, row_share: float, column_share: float, seed: int
) -> None:
    image = np.random.default_rng(seed).random((height, width), np.float32)
    rows, columns = max(1, round(row_share * height)), max(1, round(column_share * width))
    expected = area_weights(height, rows) @ image @ area_weights(width, columns).T
    resampled = resample(image, columns, rows)
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled, expected, atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(60, 40), (45, 33), (37, 20)])
def test_enlarging_keeps_the_edges_of_the_image_in_place(width: int, height: int) -> None:
    y, x = np.mgrid[:20, :30].astype(np.float32) / 40
    resampled = resample(x + y / 2, width, height)
    y, x = np.mgrid[:height, :width]
    expected = ((x + 0.5) * 30 / width - 0.5) / 40 + ((y + 0.5) * 20 / height - 0.5) / 80
    inner = np.s_[5:-5, 5:-5]  # away from the replicated border; OpenCV's cubics follow a plane to 0.07 pixels
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=0.1 / 40)


def test_one_axis_shrinks_and_the_other_grows() -> None:
    image = np.random.default_rng(0).random((40, 16), np.float32)
    expected = resample(resample(image, 16, 10), 32, 10)
    np.testing.assert_array_equal(resample(image, 32, 10), expected)
    np.testing.assert_allclose(resample(image, 16, 10), area_weights(40, 10) @ image, atol=1e-6)
    assert expected.shape == (10, 32)


def test_enlarging_does_not_leave_the_range_of_a_float_image() -> None:
    image = np.full((16, 16), 290.0, np.float32)
    image[8:, 4:] = 310.0
    enlarged = resample(image, 50, 50)
    assert enlarged.min() == 290.0
    assert enlarged.max() == 310.0


@pytest.mark.parametrize(("width", "height"), [(320, 256), (400, 300), (500, 333)])
def test_shrinking_does_not_leave_the_range_of_a_float_image(width: int, height: int) -> None:
    """OpenCV's own result passes 1 at 320x256 by a rounding error, and the engine refuses that."""
    assert resample(np.ones((480, 640), np.float32), width, height).max() == 1.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_do_not_wrap_around(dtype: type[np.generic]) -> None:
    image = np.zeros((16, 16), dtype)
    image[:, 8:] = np.iinfo(dtype).max
    enlarged = resample(image, 64, 64)
    assert (enlarged[:, :24] == 0).all()
    assert (enlarged[:, 40:] == np.iinfo(dtype).max).all()
    assert (np.diff(enlarged[0].astype(int)) >= 0).all()


def test_fitting_image_is_returned_itself() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    assert resample(image, 30, 20) is image


def test_read_only_padded_rows_are_accepted() -> None:
    data = np.random.default_rng(1).integers(0, 255, 20 * 100, np.uint8).tobytes()
    image = np.ndarray((20, 30, 3), np.uint8, buffer=data, strides=(100, 3, 1))
    np.testing.assert_array_equal(resample(image, 15, 40), resample(image.copy(), 15, 40))


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500), st.integers(1, 500))
def test_widening_is_the_ratio_of_the_scales_of_the_axes(
    width: int, height: int, new_width: int, new_height: int
) -> None:
    share = widening((width, height), (new_width, new_height))
    assert share == pytest.approx((new_width / width) / (new_height / height) - 1, abs=1e-9)
    assert widening((width, height), (3 * width, 3 * height)) == 0
