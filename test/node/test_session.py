"""FusionSession: what goes in comes out fused, counted, and in order."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from session_rig import MS, NOW_NS, bgr, camera, gray, stream

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.frames import Pair
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.statistics import BAD_PAIR, INTERNAL_ERROR, SUPERSEDED


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
    assert status.stages[:2] == ["queue", "decode"]
    assert status.stages[-2:] == ["encode", "publish"]
    assert {"thermal", "registration", "network", "color"} < set(status.stages)
    assert len(status.stage_latencies) == len(status.stages)
    assert status.stage_latencies[status.stages.index("network")] == pytest.approx(1e-3)
    assert all(0 <= latency < 10 for latency in status.stage_latencies)
    assert dict(zip(status.drop_reasons, status.drop_counts, strict=True))["unpaired"] == 1
    assert (status.model, status.scale, status.device, status.precision) == ("fake", 2, "cpu", "fp32")


def test_counts_add_up(make_session):
    session = make_session()
    for index in range(5):
        session.pair(NOW_NS + index * 33 * MS)
        wait_for(lambda index=index: len(session.statuses) == index + 1)
    totals = session.it.totals()
    assert (totals.received["thermal"], totals.received["visible"]) == (5, 5)
    assert (totals.pairs, totals.published, sum(totals.drops.values())) == (5, 5, 0)
    assert [status.published for status in session.statuses] == [1, 2, 3, 4, 5]


def test_the_latest_pair_wins_while_the_engine_is_busy(make_session, engine):
    session = make_session()
    engine.go_on.clear()
    session.pair(NOW_NS)
    assert engine.entered.wait(5)
    for index in range(1, 5):
        session.pair(NOW_NS + index * 33 * MS)
    engine.go_on.set()
    wait_for(lambda: len(session.statuses) == 2)
    stamps = [stamp_to_ns(image.header.stamp) for image in session.images]
    assert stamps == [NOW_NS, NOW_NS + 4 * 33 * MS]
    assert session.drops() == {SUPERSEDED: 3}


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


def test_a_flood_of_malformed_images_is_logged_once_per_period(make_session):
    session = make_session()
    for index in range(200):
        session.it.receive("thermal", spoiled(gray(NOW_NS + index), encoding="junk"))
    assert session.drops() == {"bad thermal image": 200}
    assert len([line for line in session.logger.lines if "bad thermal" in line]) == 1


def test_a_stamp_of_zero_is_counted_and_logged(make_session):
    session = make_session()
    session.pair(0)
    assert session.drops() == {"zero stamp": 2}
    assert [line for line in session.logger.lines if line.startswith("thermal image has a stamp of 0 ns")]
    assert [line for line in session.logger.lines if line.startswith("visible image has a stamp of 0 ns")]


def test_nan_in_a_float_image_drops_the_pair_and_the_next_is_fused(make_session):
    session = make_session()
    kelvin = np.linspace(280, 320, 600, dtype=np.float32).reshape(20, 30)
    broken = kelvin.copy()
    broken[3, 4] = np.nan
    session.pair(NOW_NS, thermal=encode_image(broken, "32FC1", NOW_NS, "thermal"))
    wait_for(lambda: session.drops() == {BAD_PAIR: 1}, what="the drop")
    later = NOW_NS + 33 * MS
    session.pair(later, thermal=encode_image(kelvin, "32FC1", later, "thermal"))
    wait_for(lambda: session.statuses)
    assert len(session.images) == 1
    assert any("NaN" in line for line in session.logger.lines)


def test_a_size_that_changes_mid_stream_is_followed(make_session, engine):
    session = make_session()
    sizes = [(20, 30), (24, 32), (20, 30), (31, 17)]
    for index, (height, width) in enumerate(sizes):
        stamp_ns = NOW_NS + index * 33 * MS
        session.pair(stamp_ns, gray(stamp_ns, height, width), bgr(stamp_ns, 2 * height, 3 * width))
        wait_for(lambda index=index: len(session.statuses) == index + 1)
    assert [(image.height, image.width) for image in session.images] == [(2 * h, 2 * w) for h, w in sizes]
    assert engine.warmed_up == [(20, 30), (24, 32), (31, 17)]
    assert session.drops() == {}


def test_a_given_grid_decides_the_size_and_was_warmed_up_by_the_node(make_session, engine):
    session = make_session(grid=[32, 24])
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert (session.images[0].width, session.images[0].height) == (64, 48)
    assert engine.warmed_up == []


def test_an_error_of_the_engine_drops_the_pair_with_its_reason(make_session, engine):
    session = make_session()
    engine.error = ImageError("too small for this network; expected 16x16")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {BAD_PAIR: 1}, what="the drop")
    assert any("expected 16x16" in line for line in session.logger.lines)


def test_a_defect_is_logged_with_its_traceback_and_does_not_end_the_session(make_session, engine):
    session = make_session()
    engine.error = ZeroDivisionError("a defect")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {INTERNAL_ERROR: 1}, what="the drop")
    (line,) = [line for line in session.logger.lines if "internal error" in line]
    assert "Traceback" in line
    assert "ZeroDivisionError: a defect" in line
    engine.error = None
    session.pair(NOW_NS + 33 * MS)
    wait_for(lambda: session.statuses)


def test_nothing_is_published_after_the_stop(make_session):
    session = make_session()
    session.it.stop()
    session.pair(NOW_NS)
    assert session.images == []
    assert session.drops() == {SUPERSEDED: 1}


def test_the_calibration_is_scaled_to_the_output_with_the_half_pixel(make_session):
    session = make_session()
    session.it.receive_camera_info("visible", camera(30, 20))
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    (info,) = session.camera_infos
    assert info.header == session.images[0].header
    assert (info.width, info.height, info.distortion_model) == (60, 40, "plumb_bob")
    assert list(info.d) == [0.1, 0, 0, 0, 0]
    # A point seen at (u, v), pixel centres at integers, is seen at (2u + 0.5, 2v + 0.5) in an image twice the size.
    for matrix, columns in ((info.k, 3), (info.p, 4)):
        scaled = np.reshape(matrix, (3, columns))
        original = np.reshape(camera(30, 20).k if columns == 3 else camera(30, 20).p, (3, columns))
        point = np.array([0.3, -0.2, 2.0, 1.0])[:columns]
        u, v, w = original @ point
        np.testing.assert_allclose(scaled @ point / w, [2 * u / w + 0.5, 2 * v / w + 0.5, 1])


def test_without_calibration_none_is_published(make_session):
    session = make_session()
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.camera_infos == []


def test_the_thermal_image_alone_has_the_calibration_of_its_own_camera(make_session):
    session = make_session(**{"mode.without_visible": "thermal"})
    session.it.receive_camera_info("visible", camera(30, 20))
    thermal = camera(30, 20)
    thermal.k[0] = 21.0
    session.it.receive_camera_info("thermal", thermal)
    stream(session, 1)
    assert {info.k[0] for info in session.camera_infos} == {50.0}
    session.camera_infos.clear()
    stream(session, 2, visible=False)
    assert session.statuses[-1].mode == "thermal"
    assert session.camera_infos[-1].k[0] == 42.0
    assert session.camera_infos[-1].header.frame_id == "thermal"


def test_what_is_wrong_with_a_calibration_is_in_the_health(make_session):
    session = make_session()
    session.it.receive_camera_info("visible", camera(31, 20))
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.camera_infos == []
    found = session.it.health().camera_info
    assert (found.received, found.faults) == ({"visible": 1}, {"visible other size": 1})
    (line,) = [line for line in session.logger.lines if "camera_info" in line]
    assert found.current[0] in line


def test_the_status_says_the_skew_that_pairing_used(make_session):
    """A thermal clock that is 0.2 s behind, said so by the offset: the images are 4 ms apart and not 204."""
    session = make_session(**{"sync.thermal_offset": 0.2})
    session.pair(NOW_NS, gray(NOW_NS - 204 * MS), bgr(NOW_NS))
    session.it.receive("thermal", gray(NOW_NS + 100 * MS))
    wait_for(lambda: session.statuses)
    skew = session.statuses[0].skew
    assert (skew.sec, skew.nanosec) == (-1, 996 * MS)


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
