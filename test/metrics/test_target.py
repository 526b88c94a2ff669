from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.errors import ImageError
from hkdnet_ros.metrics.target import TARGET_KEYS, find_targets, target_metrics


def mask(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (80, 120)) -> np.ndarray:
    """True in the boxes (top, left, height, width)."""
    found = np.zeros(size, np.bool_)
    for top, left, height, width in boxes:
        found[top : top + height, left : left + width] = True
    return found


def test_contrast_is_in_gray_levels_and_signed_and_the_ratio_is_not() -> None:
    (target,) = find_targets(mask((30, 40, 20, 10)))
    rng = np.random.default_rng(0)
    for level in (190.0, 70.0):
        image = rng.normal(130, 20, (80, 120))
        image[target.inside] = level
        found = target_metrics(image, target)
        assert tuple(found) == TARGET_KEYS
        assert found["contrast"] == pytest.approx(level - image[target.around].mean())
        assert found["SCR"] == pytest.approx(60 / 20, rel=0.1)
        assert found["distinct"] == 1


def test_a_target_as_bright_as_its_surroundings_is_not_distinct() -> None:
    (target,) = find_targets(mask((30, 40, 20, 10)))
    image = np.full((80, 120), 200, np.uint8)
    assert target_metrics(image, target) == {"contrast": 0.0, "SCR": 0.0, "distinct": 0.0}
    image[target.inside] = 203
    assert target_metrics(image, target) == {"contrast": 3.0, "SCR": 3.0, "distinct": 1.0}  # flat: one gray level


def test_surroundings_end_near_the_target_and_hold_no_pixel_beside_its_outline() -> None:
    (target,) = find_targets(mask((30, 40, 16, 16)))
    rows, columns = np.nonzero(target.around)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30 - 10, 45 + 10, 40 - 10, 55 + 10)
    assert not target.around[28:48, 42:54].any()
    assert not (target.inside & target.around).any()


def test_each_target_is_measured_without_the_others() -> None:
    people = mask((20, 30, 30, 10), (20, 46, 30, 10), (5, 100, 3, 3))
    first, second = find_targets(people)  # the third is too small
    for target in (first, second):
        assert not (target.around & people).any()
    image = np.where(people, 200, 50).astype(np.uint8)
    assert target_metrics(image, first)["contrast"] == target_metrics(image, second)["contrast"] == 150


def test_targets_need_something_around_them() -> None:
    assert not list(find_targets(np.ones((40, 40), np.bool_)))
    assert not list(find_targets(np.zeros((40, 40), np.bool_)))


def test_an_image_of_another_size_is_refused() -> None:
    (target,) = find_targets(mask((30, 40, 20, 10)))
    with pytest.raises(ImageError, match="one grid"):
        target_metrics(np.zeros((40, 60), np.uint8), target)
