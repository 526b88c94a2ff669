"""Which calibration the fused image gets, and what is counted and said where none fits."""

from __future__ import annotations

import numpy as np
import pytest
from rigging import Logger

from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.images.frames import Frame, FusedFrame
from hkdnet_ros.perception.output_calibration import OutputCalibration

S = 10**9
T = 100 * S


def info(width=32, height=24, stamp_ns=T, frame_id="visible", k=None, **fields):
    """Return a calibration and its stamp."""
    k = (30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0) if k is None else k
    return CameraModel(width, height, frame_id, k, p=(*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0), **fields), stamp_ns


def frame(frame_id="visible", stamp_ns=T, width=32, height=24):
    return Frame(np.zeros((height, width), np.uint8), stamp_ns, frame_id, "mono8")


def fused(stamp_ns=T, frame_id="visible"):
    return FusedFrame(np.zeros((48, 64), np.uint8), stamp_ns, frame_id)


@pytest.fixture
def calibration(logger):
    it = OutputCalibration(logger)
    it.lines = logger.lines

    def of(visible, *messages, thermal=None, wanted=True, stream="visible"):
        for model, stamp_ns in messages:
            it.update(stream, model, stamp_ns)
        return it.scaled_to(fused((visible or thermal).stamp_ns), thermal, visible, wanted)

    it.of = of
    return it


def test_the_message_with_the_stamp_of_the_image_is_taken(calibration):
    """A camera whose region of interest moves sends another calibration with each image."""
    messages = [info(64, 64, T + index, roi_x_offset=10 * index, roi_width=32, roi_height=24) for index in range(3)]
    result = calibration.of(frame(stamp_ns=T + 1), *messages)
    assert result.k[2] == 2 * (15.5 - 10) + 0.5
    assert calibration.of(frame(stamp_ns=T + 7)).k[2] == 2 * (15.5 - 20) + 0.5  # the latest
    assert calibration.lines == []


@pytest.mark.parametrize(
    ("message", "mismatch", "fact", "is_published"),
    [
        (info(31), "visible other size", "is for 31x24 pixels, but the visible image has 32x24", False),
        (info(frame_id="lens"), "visible other frame", "has frame 'lens', but the visible image 'visible'", True),
        (info(k=(0.0,) * 9), "visible uncalibrated", "uncalibrated camera (K is zero)", True),
        (info(0, 0, k=(0.0,) * 9), "visible uncalibrated", "uncalibrated camera (K is zero)", True),
        (info(k=(30.0, 0, float("nan"), 0, 30, 11.5, 0, 0, 1)), "visible invalid", "NaN or infinite", False),
        (info(d=(float("inf"),)), "visible invalid", "NaN or infinite", False),
        (info(k=(-30.0, 0, 15.5, 0, 30, 11.5, 0, 0, 1)), "visible invalid", "focal lengths of -30 and 30", False),
        (info(stamp_ns=T - 5 * S), "visible late", "is 5.0 s older than its image", True),
    ],
)
def test_what_does_not_fit_is_counted_per_image_and_said_once(calibration, message, mismatch, fact, is_published):
    results = [calibration.of(frame(), *([message] if index == 0 else [])) for index in range(3)]
    assert [result is not None for result in results] == [is_published] * 3
    assert calibration.health().mismatches == {mismatch: 3}
    (line,) = calibration.lines
    assert line.startswith("visible/camera_info ")
    assert fact in line
    assert ("fused/camera_info is not published" in line) == (not is_published)
    assert "\n" not in line


def test_a_region_that_reaches_beyond_the_sensor_is_invalid(calibration):
    assert calibration.of(frame(), info(40, 24, roi_x_offset=9, roi_width=32, roi_height=24)) is None
    assert "32x24 pixels at (9, 0), which reaches beyond its sensor's 40x24" in calibration.lines[0]


def test_an_uncalibrated_camera_gives_the_size_and_the_header_only(calibration):
    result = calibration.of(frame(), info(0, 0, k=(0.0,) * 9))
    assert (result.width, result.height, result.frame_id) == (64, 48, "visible")
    assert not any(result.k)
    assert not any(result.p)


def test_a_camera_that_gives_p_alone_has_it_scaled(calibration):
    """As a driver of rectified images may."""
    p = (30.0, 0.0, 15.5, -3.0, 0.0, 30.0, 11.5, 0.0, 0.0, 0.0, 1.0, 0.0)
    result = calibration.of(frame(), (CameraModel(32, 24, "visible", (0.0,) * 9, p=p), T))
    assert (result.p[0], result.p[2], result.p[3]) == (60.0, 31.5, -6.0)
    assert not any(result.k)
    assert calibration.lines == []


def test_a_calibration_without_a_stamp_holds_for_ever_and_an_old_one_is_no_mismatch_of_the_moment(calibration):
    assert calibration.of(frame(), info(stamp_ns=0)) is not None
    assert calibration.lines == []
    calibration.of(frame(), info(stamp_ns=S))
    assert calibration.health().mismatches == {"visible late": 1}
    assert calibration.health().current == ()


def test_a_mismatch_that_is_mended_is_no_mismatch_of_the_moment(calibration):
    calibration.of(frame(), info(31))
    assert len(calibration.health().current) == 1
    assert calibration.of(frame(stamp_ns=T + 1), info(stamp_ns=T + 1)) is not None
    assert calibration.health().current == ()
    assert calibration.health().mismatches == {"visible other size": 1}


def test_that_none_comes_is_said_after_a_while_and_only_where_it_is_wanted(calibration):
    for second in range(5):
        assert calibration.of(frame(stamp_ns=T + second * S), wanted=False) is None
    assert calibration.health().mismatches == {}
    for second in range(5):
        assert calibration.of(frame(stamp_ns=T + second * S)) is None
    assert calibration.health().mismatches == {"visible missing": 5}
    (line,) = calibration.lines
    assert "no message on visible/camera_info" in line
    assert "remap" in line


def test_it_may_come_after_the_first_images(calibration):
    calibration.of(frame())
    assert calibration.of(frame(stamp_ns=T + 1), info(stamp_ns=T + 1)) is not None
    assert calibration.lines == []


def test_the_thermal_cameras_is_taken_where_its_image_is_alone_and_checked_always(calibration):
    thermal = frame("thermal", width=16, height=12)
    calibration.of(frame(), info(frame_id="thermal"), thermal=thermal, stream="thermal")
    assert calibration.health().mismatches == {"thermal other size": 1, "visible missing": 1}
    assert "not published" not in calibration.lines[0]
    right = info(16, 12, frame_id="thermal")
    result = calibration.of(None, right, thermal=thermal, stream="thermal")
    assert (result.width, result.k[0]) == (64, 120.0)


def test_nothing_is_made_where_nobody_wants_it(calibration):
    assert calibration.of(frame(), info(), wanted=False) is None
    assert isinstance(calibration.of(frame()), CameraModel)


def test_a_logger_that_refuses_changing_severity_is_content(calibration):
    assert isinstance(calibration._log, Logger)
    calibration.of(frame(), info(31))
    calibration.of(frame(), info(frame_id="lens"))
    assert len(calibration.lines) == 2


def test_after_a_loop_one_may_come_after_the_first_images_again(calibration):
    calibration.of(frame(stamp_ns=T + 100 * S))
    calibration.begin_anew()
    calibration.of(frame())
    assert calibration.lines == []
    calibration.of(frame(stamp_ns=T + 2 * S))
    assert len(calibration.lines) == 1
