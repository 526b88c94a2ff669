"""The judge of published pairs: what is right, what is wrong, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.trials.soak.numbered import numbered_image
from hkdnet_ros.trials.soak.pair_check import PairCheck

MS = 10**6
THERMAL_NS, VISIBLE_NS = 1000 * MS, 1010 * MS
SKEW_NS = THERMAL_NS - VISIBLE_NS


def fused(thermal, visible, size=(80, 60)):
    """Return an image that shows both numbers."""
    upper, lower = numbered_image("thermal", thermal, *size), numbered_image("visible", visible, *size)
    return np.vstack([upper[: size[1] // 2], lower[size[1] // 2 :]])


@pytest.fixture
def check():
    check = PairCheck(slop_ns=50 * MS)
    check.add_camera("thermal", THERMAL_NS, 7, at=1.0)
    check.add_camera("visible", VISIBLE_NS, 9, at=1.5)
    return check


def publish(check, image, mode="fused", skew_ns=SKEW_NS, stamp_ns=VISIBLE_NS, at=2.0):
    check.add_image(stamp_ns, image)
    check.add_status(stamp_ns, mode, skew_ns, at)
    return dict(check.counts)


@pytest.mark.parametrize("mode", ["fused", "held"])
def test_the_pair_that_the_status_names_is_right(check, mode):
    assert publish(check, fused(7, 9), mode) == {"checked": 1}
    assert check.examples == []


@pytest.mark.parametrize("shown", [(8, 9), (7, 10)])
def test_another_image_of_either_camera_is_wrong(check, shown):
    assert publish(check, fused(*shown))["wrong"] == 1
    assert "expected {'visible': 9, 'thermal': 7}" in check.examples[0]


def test_a_pair_further_apart_than_the_slop_is_wrong_unless_it_is_held(check):
    check.add_camera("visible", VISIBLE_NS + 90 * MS, 10, at=1.6)
    later = {"skew_ns": SKEW_NS - 90 * MS, "stamp_ns": VISIBLE_NS + 90 * MS}
    assert publish(check, fused(7, 10), **later) == {"checked": 1, "wrong": 1}
    assert "100.0 ms apart" in check.examples[0]
    check.add_camera("visible", VISIBLE_NS + 200 * MS, 11, at=1.7)
    later = {"skew_ns": SKEW_NS - 200 * MS, "stamp_ns": VISIBLE_NS + 200 * MS}
    assert publish(check, fused(7, 11), "held", **later) == {"checked": 2, "wrong": 1}


def test_a_stream_alone_is_compared_with_itself(check):
    assert publish(check, numbered_image("visible", 9, 80, 60), "visible", 0) == {"checked": 1}
    thermal = numbered_image("thermal", 7, 80, 60)
    assert publish(check, thermal, "thermal", 0, THERMAL_NS) == {"checked": 2}
    assert check.modes == {"visible": 1, "thermal": 1}


def test_an_image_without_legible_numbers_is_illegible(check):
    assert publish(check, np.full((60, 80), 100, np.uint8)) == {"checked": 1, "illegible": 1}


def test_a_mode_that_nobody_knows_is_wrong(check):
    assert publish(check, fused(7, 9), "mixed")["wrong"] == 1


def test_a_stamp_that_is_published_twice_is_repeated(check):
    publish(check, fused(7, 9))
    check.add_image(VISIBLE_NS, fused(7, 9))
    assert check.counts["repeated"] == 1


def test_a_camera_image_may_come_by_after_what_was_made_of_it():
    check = PairCheck(slop_ns=50 * MS)
    assert publish(check, fused(7, 9)) == {}
    check.add_camera("visible", VISIBLE_NS, 9, at=2.1)
    check.add_camera("thermal", THERMAL_NS, 7, at=2.2)
    assert check.counts == {"checked": 1}


def test_what_was_made_of_images_that_never_came_by_is_unknown_and_not_kept_for_ever():
    check = PairCheck(slop_ns=50 * MS)
    for index in range(150):
        publish(check, fused(7, 9), stamp_ns=VISIBLE_NS + index)
    assert check.counts == {"unknown": 50}
    check.finish()
    assert check.counts == {"unknown": 150}


def test_the_way_back_is_measured_by_images_taken_after_the_fault(check):
    publish(check, fused(7, 9), at=2.0)
    assert check.first_camera("thermal", 0.5).at == 1.0
    assert check.first_camera("thermal", 1.2) is None
    assert check.first_fused(0.9) == 2.0
    assert check.first_fused(1.2) is None  # the thermal image came before that


def test_the_way_back_may_begin_with_images_of_a_revived_camera_that_did_not_come_by(check):
    publish(check, fused(8, 9), skew_ns=SKEW_NS + MS, at=2.0)
    assert check.first_fused(1.2) is None
    assert check.first_fused(1.2, revived=["visible"]) is None
    assert check.first_fused(1.2, revived=["thermal"]) == 2.0
    assert check.first_fused(1.6, revived=["thermal"]) is None  # the visible image came before that
