"""Outlines of heat over the visible image."""

from __future__ import annotations

import numpy as np

from hkdnet_ros.calibration.overlay import overlay, table_of
from hkdnet_ros.geometry.calibration import PairCalibration

OUTLINE = (0, 140, 255)


def drawn(picture: np.ndarray) -> np.ndarray:
    return np.asarray((picture == OUTLINE).all(axis=-1))


def test_outlines_lie_where_the_calibration_has_them_and_the_border_is_none() -> None:
    thermal = np.full((60, 80), 0.4, np.float32)
    thermal[20:40, 30:50] = 0.9
    visible = np.full((240, 320), 0.5, np.float32)
    shift = PairCalibration(homography=(2.0, 0, 90.0, 0, 2.0, 70.0, 0, 0, 1.0))
    picture = overlay(thermal, visible, table_of(shift, (80, 60), (320, 240), 10.0))
    rows, columns = drawn(picture).nonzero()
    # the square's edges lie at 29.5 and 49.5 across, 19.5 and 39.5 down
    assert abs(columns.min() - 149) <= 3
    assert abs(columns.max() - 189) <= 3
    assert abs(rows.min() - 109) <= 3
    assert abs(rows.max() - 149) <= 3


def test_a_flat_image_has_no_outlines() -> None:
    flat = np.full((60, 80), 0.4, np.float32)
    assert not drawn(overlay(flat, flat, None)).any()
