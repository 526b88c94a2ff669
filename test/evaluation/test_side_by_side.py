"""The three images in a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.errors import ImageError
from hkdnet_ros.evaluation.side_by_side import GAP, MOST_WIDTH, STRIP, Moment, evenly, panel_size, side_by_side, stacked


def flat(width, height, value):
    shape = (height, width) if isinstance(value, int) else (height, width, 3)
    return np.full(shape, value, np.uint8)


def test_the_three_images_stand_in_their_order_at_the_size_of_the_fused_one():
    row = side_by_side(Moment(flat(40, 30, 50), flat(60, 40, (200, 10, 20)), flat(80, 60, (1, 2, 240))))
    assert row.shape == (STRIP + 60, 3 * 80 + 2 * GAP, 3)
    panels = [row[STRIP:, start : start + 80] for start in (0, 80 + GAP, 2 * (80 + GAP))]
    for panel, colour in zip(panels, ((50, 50, 50), (200, 10, 20), (1, 2, 240)), strict=True):
        assert (panel == colour).all()


def test_what_has_the_size_of_the_fused_image_is_shown_pixel_for_pixel():
    """As it is where a visible camera guides: its detail is what there is to see."""
    visible = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    row = side_by_side(Moment(flat(32, 24, 50), visible, visible[::-1]))
    assert (row[STRIP:, :128] == 50).all()
    np.testing.assert_array_equal(row[STRIP:, 128 + GAP : 256 + GAP], visible)
    np.testing.assert_array_equal(row[STRIP:, -128:], visible[::-1])


def test_each_panel_has_a_caption_in_black_on_white():
    row = side_by_side(Moment(flat(40, 30, 50), flat(40, 30, 50), flat(160, 120, 50)))
    for start in (0, 160 + GAP, 2 * (160 + GAP)):
        strip = row[:STRIP, start : start + 160]
        assert strip.max() == 255
        assert strip.min() < 64


def test_a_large_image_is_shown_smaller_in_its_proportions():
    assert panel_size(flat(640, 480, 0)) == (640, 480)
    assert panel_size(flat(1280, 960, 0)) == (MOST_WIDTH, 480)
    assert panel_size(flat(5000, 2, 0)) == (MOST_WIDTH, 1)


def test_a_gray_fused_image_is_shown_gray():
    row = side_by_side(Moment(flat(40, 30, 1), flat(40, 30, 2), flat(80, 60, 3)))
    assert (row[STRIP:, -80:] == 3).all()


def test_rows_are_stacked_and_none_is_an_error():
    assert stacked([flat(8, 2, 1), flat(8, 3, 2)]).shape == (5, 8)
    with pytest.raises(ImageError, match="no image"):
        stacked([])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 1000), st.integers(1, 50))
def test_indices_are_spread_evenly_and_in_order(count, wanted):
    indices = evenly(count, wanted)
    assert len(indices) == min(count, wanted)
    assert all(0 <= index < count for index in indices)
    steps = np.diff([*indices])
    assert (steps >= 1).all()
    assert steps.size == 0 or steps.max() - steps.min() <= 1
