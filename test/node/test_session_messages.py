"""FusionSession: messages in, messages out. Its rules are the core's (test/perception/test_session.py)."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from session_rig import MS, NOW_NS, bgr, camera, gray

from hkdnet_ros.images.frames import Pair
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.perception.pipeline import FusionPipeline


def test_the_published_pixels_are_those_of_the_pipeline(make_session, engine):
    session = make_session()
    thermal, visible = gray(NOW_NS), bgr(NOW_NS)
    session.pair(NOW_NS, thermal, visible)
    wait_for(lambda: session.statuses)
    expected = FusionPipeline(engine).process(Pair(decode_message(thermal), decode_message(visible)))
    (image,) = session.images
    assert image.encoding == "bgr8"
    np.testing.assert_array_equal(decode_message(image).image, expected.image)


def test_stamp_and_frame_are_those_of_the_visible_image(make_session):
    session = make_session()
    session.it.receive("thermal", gray(NOW_NS))
    session.it.receive("visible", bgr(NOW_NS + 3 * MS))
    session.it.receive("thermal", gray(NOW_NS + 100 * MS))  # nothing nearer can come any more
    wait_for(lambda: session.statuses)
    for message in (session.images[0], session.statuses[0]):
        assert stamp_to_ns(message.header.stamp) == NOW_NS + 3 * MS
        assert message.header.frame_id == "visible"


def test_a_gray_visible_image_gives_a_gray_fused_image(make_session):
    session = make_session()
    session.pair(NOW_NS, visible=gray(NOW_NS))
    wait_for(lambda: session.statuses)
    assert (session.images[0].encoding, session.images[0].height, session.images[0].width) == ("mono8", 40, 60)


def test_the_status_has_the_figures_of_its_image(make_session):
    session = make_session()
    session.it.receive("visible", bgr(NOW_NS - 100 * MS))  # never gets a partner
    session.it.receive("thermal", gray(NOW_NS - 5 * MS))
    session.it.receive("visible", bgr(NOW_NS))
    session.it.receive("thermal", gray(NOW_NS + 200 * MS))
    wait_for(lambda: session.statuses)
    status = session.statuses[0]
    assert status.mode == "fused"
    assert (status.skew.sec, status.skew.nanosec) == (-1, 995 * MS)
    assert (status.age.sec, status.age.nanosec) == (0, 50 * MS)
    assert status.stages[:3] == ["receive", "queue", "decode"]
    assert status.stages[-2:] == ["encode", "publish"]
    assert {"thermal", "registration", "network", "color"} < set(status.stages)
    assert len(status.stage_latencies) == len(status.stages)
    assert status.stage_latencies[status.stages.index("network")] == pytest.approx(1e-3)
    assert all(0 <= latency < 10 for latency in status.stage_latencies)
    assert dict(zip(status.drop_reasons, status.drop_counts, strict=True))["unpaired"] == 1
    assert (status.model, status.scale, status.device, status.precision) == ("fake", 2, "cpu", "fp32")


def spoiled(message, **fields):
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("stream", ["thermal", "visible"])
@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"encoding": "mono17"}, "encoding 'mono17' cannot be fused"),
        ({"step": 7}, "step of 7 bytes is too small"),
        ({"step": 200}, "truncated"),
        ({"height": 0}, "30x0 pixels"),
        ({"data": array("B", bytes(100))}, "100 bytes is truncated"),
    ],
)
def test_a_malformed_image_is_counted_and_logged_and_the_next_is_fused(make_session, stream, fields, fact):
    session = make_session()
    session.it.receive(stream, spoiled(gray(NOW_NS), **fields))
    session.pair(NOW_NS + 33 * MS)
    wait_for(lambda: session.statuses)
    assert session.drops() == {f"bad {stream} image": 1}
    (line,) = [line for line in session.logger.lines if "dropped" in line]
    assert line.startswith(f"bad {stream} image dropped (1 so far): ")
    assert fact in line
    assert "\n" not in line


def test_the_calibration_is_scaled_to_the_output_with_the_half_pixel(make_session):
    session = make_session()
    session.it.receive_camera_info("visible", camera(30, 20))
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    (info,) = session.camera_infos
    assert info.header == session.images[0].header
    assert (info.width, info.height, info.distortion_model) == (60, 40, "plumb_bob")
    assert list(info.d) == [0.1, 0, 0, 0, 0]
    assert (info.k[2], info.k[5]) == (2 * 14.5 + 0.5, 2 * 9.5 + 0.5)
    assert info.p[3] == -5.0


def test_a_simulated_clock_that_never_comes_is_said_once_per_period(make_session):
    session = make_session()
    session.now_ns = 0
    session.it.tick()  # /clock may be a moment late
    assert not [line for line in session.logger.lines if "/clock" in line]
    later = time.monotonic() + 6
    session.it._throttle._clock = lambda: later
    for _ in range(3):
        session.it.tick()
    assert len([line for line in session.logger.lines if "nothing comes on /clock" in line]) == 1
