from __future__ import annotations

import math

import numpy as np
import pytest

from hkdnet_ros.errors import ImageError
from hkdnet_ros.metrics.flicker import FlickerMeter, FlickerReport


def measure(*frames: tuple[np.ndarray, np.ndarray, np.ndarray]) -> FlickerReport:
    meter = FlickerMeter()
    for frame in frames:
        meter.add(*frame)
    return meter.report()


def flat(value: float) -> np.ndarray:
    return np.full((4, 5), value, np.float32)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, 12, 16), np.uint8)


def test_weighing_and_choosing_the_sources_is_explained_whole() -> None:
    sources = noise(5)
    weights = np.random.default_rng(1).random((12, 16))
    weighed = measure(*[(t, v, weights * t + (1 - weights) * v) for t, v in sources])
    chosen = measure(*[(t, v, np.maximum(t, v)) for t, v in sources])
    assert weighed.change > 10
    assert weighed.unexplained == pytest.approx(0, abs=1e-5)
    assert chosen.unexplained == 0


def test_change_beyond_the_sources_is_counted_in_gray_levels() -> None:
    # sources step by +2 and +6, the fused image by +9 (3 too far); then by 0 and -4, fused by +1 (1 against them)
    report = measure((flat(10), flat(10), flat(10)), (flat(12), flat(16), flat(19)), (flat(12), flat(12), flat(20)))
    assert report.frames == 3
    assert report.change == pytest.approx((9 + 1) / 2)
    assert report.unexplained == pytest.approx((3 + 1) / 2)


def test_a_weight_that_jumps_is_flicker_of_the_fused_image_alone() -> None:
    report = measure(*[(flat(50), flat(90), flat(50 if index % 2 else 90)) for index in range(6)])
    assert (report.thermal, report.visible) == (0, 0)
    assert report.fused == report.unexplained == report.fused_brightness == 40


def test_steady_motion_and_fades_do_not_reverse() -> None:
    ramp = np.tile(np.arange(0, 60, 3.0), (8, 1))
    moving = [np.roll(ramp, shift, axis=1)[:, 6:] for shift in range(5)]
    report = measure(*[(frame, frame + 5 * index, frame) for index, frame in enumerate(moving)])
    assert report.thermal == report.visible == report.fused == 0
    assert report.change > 0


def test_the_part_that_turns_back_is_counted() -> None:
    report = measure(*[(flat(x), flat(0), flat(x)) for x in (10, 14, 11, 20)])  # +4 -3 +9: 3 and 3 turn back
    assert report.thermal == pytest.approx(3)
    assert report.thermal_brightness == pytest.approx((4 + 3 + 9) / 3)


def test_a_larger_fused_image_is_measured_on_the_sources_grid() -> None:
    sources = noise(4)
    same = measure(*[(t, v, t) for t, v in sources])
    doubled = measure(*[(t, v, np.kron(t, np.ones((2, 2), np.uint8))) for t, v in sources])
    assert doubled == same


def test_nothing_is_taken_across_a_restart() -> None:
    meter = FlickerMeter()
    meter.add(flat(0), flat(0), flat(0))
    meter.restart()
    meter.add(np.full((2, 2), 200), np.full((2, 2), 200), np.full((2, 2), 100))
    assert meter.report().frames == 2
    assert math.isnan(meter.report().change)


def test_too_few_frames_give_nan() -> None:
    two = measure((flat(0), flat(0), flat(0)), (flat(4), flat(0), flat(2)))
    assert two.change == 2
    assert math.isnan(two.fused)
    assert math.isnan(measure().unexplained)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ((flat(0), flat(0)[:3], flat(0)), "thermal and visible of one size"),
        ((flat(0), flat(0), np.zeros((4, 5, 3))), "expected gray images"),
        ((flat(0), flat(0), flat(np.nan)), "NaN"),
        ((flat(0).T, flat(0).T, flat(0).T), r"size changes from \(4, 5\) to \(5, 4\)"),
    ],
)
def test_unfit_frames_are_refused_and_leave_the_sums_alone(
    frame: tuple[np.ndarray, np.ndarray, np.ndarray], message: str
) -> None:
    meter = FlickerMeter()
    meter.add(flat(1), flat(1), flat(1))
    with pytest.raises(ImageError, match=message):
        meter.add(*frame)
    meter.add(flat(1), flat(2), flat(2))
    assert (meter.report().frames, meter.report().change) == (2, 1)
