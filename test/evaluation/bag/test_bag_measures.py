"""What is measured of recordings, against what is known: clocks, features, flicker, objects."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from hkdnet_ros.evaluation.bag.clock_offset import clock_offset
from hkdnet_ros.evaluation.bag.downstream.features import corners, homography, matched
from hkdnet_ros.evaluation.bag.downstream.objects import counts, found_again
from hkdnet_ros.evaluation.bag.findings import Pace, pace
from hkdnet_ros.evaluation.bag.lumas import Lumas
from hkdnet_ros.evaluation.bag.measures import InARow, Look, is_looked_at, is_measured
from hkdnet_ros.evaluation.bag.reading import Result, Stream
from hkdnet_ros.evaluation.bag.run import every_for
from hkdnet_ros.evaluation.boxes import Objects
from hkdnet_ros.evaluation.detection import Search
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.metrics.flicker import FlickerMeter


def scene(seed=0, size=(240, 320)):
    """Smooth blobs, dark and bright."""
    noise = np.random.default_rng(seed).normal(128, 90, size).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 4) * 4 - 384, 0, 255).astype(np.uint8)


def moving(times, rng):
    """Motion at times: bursts now and then, as people walk by."""
    bursts = np.random.default_rng(7).uniform(0, 60, 80)
    return sum(np.exp(-(((times - burst) / 0.15) ** 2)) for burst in bursts) + rng.normal(0, 0.02, len(times))


@pytest.mark.parametrize("offset", [0.0, 0.037, -0.12])
def test_an_offset_of_clocks_is_found_from_what_moves(offset):
    rng = np.random.default_rng(1)
    visible = np.arange(0, 60, 1 / 30)
    thermal = np.arange(0.011, 60, 1 / 27)
    # Motion at an image is its change since the one before: of the time half an interval ago.
    found = clock_offset((thermal + offset, moving(thermal - 1 / 54, rng)), (visible, moving(visible - 1 / 60, rng)))
    assert found.offset_s == pytest.approx(offset, abs=0.004)
    assert found.low_s - 0.003 <= offset <= found.high_s + 0.003
    assert found.windows >= 4


def test_where_nothing_moves_no_offset_is_told():
    rng = np.random.default_rng(1)
    times = np.arange(0, 60, 1 / 30)
    assert clock_offset((times, rng.normal(1, 0.1, len(times))), (times, rng.normal(1, 0.1, len(times)))) is None
    assert clock_offset((times[:5], times[:5]), (times, times)) is None


def test_corners_are_found_again_where_the_camera_moved_and_not_in_another_scene():
    before = scene(size=(480, 640))
    after = np.roll(before, (4, 7), (0, 1))
    old, new = matched(corners(before), corners(after))
    model, inliers = homography(old, new)
    assert inliers.sum() > 0.8 * len(old) > 100
    middle = model @ (320, 240, 1)
    assert middle[:2] / middle[2] == pytest.approx((327, 244), abs=0.5)
    _, others = homography(*matched(corners(before), corners(scene(9, (480, 640)))))
    assert others.sum() < 0.2 * inliers.sum()
    flat = corners(np.zeros((64, 64), np.uint8))
    assert homography(*matched(flat, flat)) is None


def test_measured_are_frames_with_two_before_them():
    assert [number for number in range(20) if is_measured(number, 6)] == [2, 8, 14]
    assert [number for number in range(10) if is_looked_at(number, 6)] == [0, 1, 2, 6, 7, 8]
    assert all(is_looked_at(number, 1) for number in range(5))
    assert [every_for(count) for count in (3, 399, 400, 6000, 10**6)] == [1, 1, 2, 30, 60]


def look(number, seed, model=None):
    images = [scene(seed + place, (96, 128)) for place in range(3)]
    return Look(number, Lumas(*images), model, {name: corners(image) for name, image in
                zip(("thermal", "visible", "fused"), images, strict=True)}, None, {"Qabf.fused": 0.5})  # fmt: skip


def test_flicker_of_three_in_a_row_is_the_meters_and_a_gap_begins_anew():
    looks = [look(number, 10 * number) for number in range(3)]
    row = InARow(4, None)
    values = [row.add(one) for one in looks]
    assert values[:2] == [{}, {}]
    meter = FlickerMeter()
    expected = [meter.add(one.lumas.fused, one.lumas.thermal, one.lumas.visible) for one in looks][-1]
    assert values[2]["flicker.fused"] == pytest.approx(expected["flicker"])
    assert values[2]["unexplained.fused"] == pytest.approx(expected["unexplained"])
    assert values[2]["Qabf.fused"] == 0.5
    assert "flicker.fused" not in row.add(look(6, 3))  # 3, 4 and 5 are not there
    row.add(look(5, 1))
    row.add(None)
    assert "flicker.fused" not in row.add(look(6, 3))


def objects(*boxes, score=0.9):
    return Objects(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), score, np.float32),
        np.zeros(len(boxes), np.int64),
    )


def test_objects_that_fused_keeps_loses_gains_and_makes_up_are_counted():
    left, middle, right, nowhere = (0, 0, 10, 20), (30, 0, 40, 20), (60, 0, 70, 20), (80, 50, 99, 90)
    found = {
        "thermal": objects(middle, right),
        "visible": objects(left, middle),
        "fused": objects(middle, right, nowhere),
    }
    search = Search(None, frozenset({0}))
    values = counts(found, search)
    assert values["objects.both"] == 3
    assert (values["objects.visible_kept"], values["objects.visible_lost"]) == (1, 1)
    assert (values["objects.thermal_alone"], values["objects.gained"]) == (1, 1)
    assert values["objects.fused_alone"] == 1
    again = found_again(found, {name: objects(middle, score=0.4) for name in found}, search)
    assert (again["sought_again.fused"], again["found_again.fused"]) == (3, 1)


def of_stamps(stamps):
    times = np.array(stamps, np.int64) * 1_000_000
    stream = Stream(times, np.arange(len(times)) * 50_000_000, np.zeros(len(times)))
    return Result(
        None, {}, {}, {"thermal": stream, "visible": stream}, times, times, np.zeros(0), (), np.zeros(0, np.int32), (),
        np.zeros(0, np.int64), {}, {}, (), (), (),
    )  # fmt: skip


def test_the_pace_of_a_stream_has_gaps_and_jumps_and_no_unset_stamps():
    own: Pace = pace(of_stamps([100, 150, 200, 0, 300, 600, 650, 640, 690]), "thermal")
    assert own.rate == pytest.approx(20)
    assert own.gaps == 2  # 200 to 300 and 300 to 600
    assert own.longest_s == pytest.approx(0.3)
    assert own.out_of_order == 1
    assert pace(of_stamps([5]), "visible") is None


def test_the_motion_of_a_camera_is_told_where_its_lens_is_known():
    lens = CameraModel(320, 240, "camera", k=(250.0, 0.0, 159.5, 0.0, 250.0, 119.5, 0.0, 0.0, 1.0))
    still = scene(1)
    seen = dict.fromkeys(("thermal", "visible", "fused"), corners(still))
    looks = [Look(number, Lumas(still, still, still), lens, seen, None, {}) for number in range(3)]
    row = InARow(4, None)
    values = [row.add(one) for one in looks][-1]
    assert values["pose_inliers.fused"] > 30
    assert (values["parallax.fused"], values["turn.fused"], values["turn_step.fused"]) == pytest.approx(
        (0, 0, 0), abs=1e-3
    )
    assert "move_x.fused" not in values
    unknown = dataclasses.replace(lens, d=(0.1, 0.2, 0.3), distortion_model="of another time")
    for model in (None, unknown, dataclasses.replace(lens, k=(0.0,) * 9)):
        row = InARow(4, None)
        values = [row.add(dataclasses.replace(one, model=model)) for one in looks][-1]
        assert values["inliers.fused"] > 30
        assert "pose_inliers.fused" not in values
