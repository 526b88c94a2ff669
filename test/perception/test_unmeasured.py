"""Pixels that were not measured: mended from what is around them, whatever their shape, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.errors import ImageError
from hkdnet_ros.perception.unmeasured import mend_unmeasured

HOLES = {
    "pixel": np.s_[30, 40],
    "corner": np.s_[0, 0],
    "row": np.s_[17, :],
    "columns at the edge": np.s_[:, :3],
    "block": np.s_[10:40, 20:55],
    "every other column": np.s_[:, 1::2],
    "half": np.s_[:30],
}


def ramp() -> NDArray[np.float32]:
    y, x = np.mgrid[:60, :80]
    return (280 + 0.1 * x + 0.2 * y).astype(np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES.keys())
def test_any_hole_is_filled_from_its_surroundings_and_the_rest_stays(hole: object, value: float) -> None:
    image = ramp()
    image[hole] = value  # type: ignore[call-overload]
    image.flags.writeable = False
    mended = mend_unmeasured(image)
    good = np.isfinite(image) & (image != 0)
    np.testing.assert_array_equal(mended[good], image[good])
    assert np.isfinite(mended).all()
    assert mended.dtype == np.float32
    assert image[good].min() - 1e-3 <= mended.min()
    assert mended.max() <= image[good].max() + 1e-3


def test_a_single_pixel_gets_the_mean_of_its_neighbours() -> None:
    image = np.random.default_rng(0).normal(300, 2, (20, 30)).astype(np.float32)
    expected = np.delete(image[4:7, 9:12].ravel().astype(float), 4).mean()
    image[5, 10] = np.nan
    assert mend_unmeasured(image)[5, 10] == pytest.approx(expected, abs=1e-4)


def test_an_image_of_numbers_is_returned_as_it_is() -> None:
    for image in (ramp(), np.zeros((20, 30), np.uint16), np.zeros((20, 30, 3), np.uint8)):
        assert mend_unmeasured(image) is image


@pytest.mark.parametrize("low", [-40.0, 0.5, 15.0])
def test_zero_is_a_value_among_celsius_and_small_ones(low: float) -> None:
    image = ramp() - 280 + low
    image[3:6, 7:20] = 0
    assert mend_unmeasured(image) is image


def test_an_image_of_zeros_is_left() -> None:
    image = ramp()
    image[:31] = 0
    assert mend_unmeasured(image) is image
    assert mend_unmeasured(np.zeros_like(image)).max() == 0


@pytest.mark.parametrize("good", [0, 1, 2399])
def test_more_than_half_without_numbers_is_no_image(good: int) -> None:
    image = np.full((60, 80), np.nan, np.float32)
    image.ravel()[:good] = 300
    with pytest.raises(ImageError, match=f"{4800 - good} NaN or infinite pixels of 4800"):
        mend_unmeasured(image)


def test_the_largest_floats_do_not_overflow() -> None:
    image = np.full((20, 30), 3e38, np.float32)
    image[5, 5] = np.nan
    assert np.isfinite(mend_unmeasured(image)).all()


@pytest.mark.parametrize(
    ("dtype", "scale", "value"),
    [
        (np.uint16, 100.0, 0),  # centikelvin, as a registration leaves its borders
        (np.uint8, 0.36, 0),  # 14 bits cut down to 8
        (np.float32, 1.0, -9999.0),
        (np.float32, 1.0, -273.15),
    ],
)
def test_a_number_far_from_all_others_stands_for_no_data(dtype: type, scale: float, value: float) -> None:
    image = (ramp() * scale).astype(dtype)
    measured = image.copy()
    image[:, :20] = value
    image[:9] = value
    image[40, 50] = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 4000  # a hot pixel changes nothing
    mended = mend_unmeasured(image)
    assert mended.dtype == dtype
    np.testing.assert_array_equal(mended[9:, 20:], image[9:, 20:])
    assert mended[:, :20].min() >= measured.min()
    assert mended[:9].max() <= measured.max()


def test_zero_among_celsius_is_no_data_where_it_is_far_from_all_others() -> None:
    image = ramp() - 255
    image[:, :20] = 0
    assert mend_unmeasured(image)[:, :20].min() >= 24


@pytest.mark.parametrize(
    "image",
    [
        np.tile(np.array([0, 180, 200, 255], np.uint8), (60, 20)),  # 8 bits that a camera conditioned: a cold sky
        np.tile(np.array([0, 3000, 9000, 14000], np.uint16), (60, 20)),
        np.tile(np.array([-8000, -300, 0, 9000], np.float32), (60, 20)),  # signed counts
    ],
)
def test_a_lowest_value_among_values_as_far_apart_stays(image: NDArray[np.generic]) -> None:
    assert mend_unmeasured(image) is image


def test_few_integers_at_zero_are_left_to_the_mending_of_bad_pixels() -> None:
    image = (ramp() * 100).astype(np.uint16)
    image[30, 40:45] = 0
    assert mend_unmeasured(image) is image
