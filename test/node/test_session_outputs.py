"""FusionSession: what it publishes for whom, and compressed images either way."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from pictures import outlines, slope
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import CompressedImage
from session_rig import MS, NOW_NS, bgr, camera, gray
from std_msgs.msg import Bool

from hkdnet_ros.images.color import to_uint8
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.node.image_messages import encode_image, ns_to_stamp
from hkdnet_ros.perception.statistics import NO_SUBSCRIBER


def test_only_what_somebody_subscribes_to_is_published(make_session, engine):
    session = make_session()
    session.it.receive_camera_info("visible", camera(30, 20))
    session.images.subscribers, session.camera_infos.subscribers, session.compressed.subscribers = 0, 0, 1
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert (len(session.images), len(session.camera_infos), len(session.compressed)) == (0, 0, 1)
    session.compressed.subscribers = session.statuses.subscribers = 0
    session.pair(NOW_NS + 33 * MS)
    assert session.drops() == {NO_SUBSCRIBER: 1}
    assert len(engine.given) == 1


def test_the_overlay_is_drawn_for_who_looks_at_it_with_the_header_of_the_fused_image(make_session, engine):
    session = make_session()
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.overlays == []
    session.overlays.subscribers = 1
    session.pair(NOW_NS + 33 * MS)
    wait_for(lambda: len(session.statuses) == 2)
    (overlay,) = session.overlays
    assert overlay.header == session.images[-1].header
    assert (overlay.encoding, overlay.width, overlay.height) == ("bgr8", 60, 40)
    for output in (session.images, session.camera_infos, session.statuses):
        output.subscribers = 0
    session.pair(NOW_NS + 66 * MS)  # who looks at the overlay alone has it all the same
    wait_for(lambda: len(session.overlays) == 2)


def test_the_status_says_how_far_thermal_lies_off_once_the_scene_has_told(make_session):
    session, scene = make_session(), to_uint8(outlines(0, 150, 240))
    for number in range(20):
        stamp_ns = session.now_ns = NOW_NS + number * 500 * MS
        visible = np.roll(scene, 3, axis=1)
        session.pair(
            stamp_ns, encode_image(scene, "mono8", stamp_ns, "t"), encode_image(visible, "mono8", stamp_ns, "v")
        )
        wait_for(lambda count=number + 1: len(session.statuses) == count, what="the status")
    assert np.isnan(session.statuses[0].misalignment)
    assert session.statuses[-1].misalignment == pytest.approx(6, abs=0.4)  # of the output, which is twice as large


def test_the_preview_is_the_thermal_image_that_was_fused_with_its_own_size_and_header(make_session):
    session = make_session(grid=[60, 48], **{"thermal.range_high": 1000})
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.previews == []
    session.previews.subscribers = 1
    counts = np.linspace(0, 1000, 600).astype(np.uint16).reshape(20, 30)
    session.it.receive("thermal", encode_image(counts, "mono16", NOW_NS + 100 * MS, "thermal"))
    session.it.receive("visible", bgr(NOW_NS + 103 * MS))
    session.it.receive("thermal", gray(NOW_NS + 200 * MS))  # nothing nearer can come any more
    wait_for(lambda: session.previews)
    (preview,) = session.previews
    assert stamp_to_ns(preview.header.stamp) == NOW_NS + 100 * MS
    assert (preview.encoding, preview.width, preview.height, preview.header.frame_id) == ("mono8", 30, 20, "thermal")
    np.testing.assert_allclose(decode_message(preview).image, counts / 1000 * 255, atol=0.51)


def test_who_looks_at_the_preview_alone_has_nothing_fused(make_session, engine):
    session = make_session()
    for output in (session.images, session.camera_infos, session.statuses):
        output.subscribers = 0
    session.previews.subscribers = 1
    thermal = slope(20, 30)
    session.it.receive("thermal", encode_image(thermal, "mono8", NOW_NS, "thermal"))
    session.it.receive("visible", bgr(NOW_NS))
    wait_for(session.drops)
    np.testing.assert_array_equal(decode_message(session.previews[0]).image, thermal)
    assert engine.given == []
    assert session.drops() == {NO_SUBSCRIBER: 1}
    assert not session.it.health().is_wanted


def test_a_thermal_image_that_stands_for_another_is_not_shown_again(make_session):
    session = make_session()
    session.previews.subscribers = 1
    session.it.receive_shutter(Bool(data=False))
    session.stream(1)
    session.it.receive_shutter(Bool(data=True))
    count = len(session.previews)
    session.stream(1)
    assert session.statuses[-1].mode == "held"
    assert len(session.previews) == count


def test_the_compressed_output_is_the_image_as_jpeg_with_its_header(make_session):
    session = make_session(output="gray", jpeg_quality=95)
    session.compressed.subscribers = 1
    smooth = encode_image(np.tile(np.arange(30, dtype=np.uint8) * 8, (20, 1)), "mono8", NOW_NS, "visible")
    session.pair(NOW_NS, visible=smooth)
    wait_for(lambda: session.statuses)
    (image,), (compressed,) = session.images, session.compressed
    assert compressed.header == image.header == session.statuses[0].header
    difference = decode_message(image).image.astype(int) - decode_message(compressed).image
    assert np.abs(difference).max() < 12


def test_compressed_inputs_are_fused_as_raw_ones_are(make_session):
    session = make_session()
    counts = (np.arange(600).reshape(20, 30) * 50).astype(np.uint16)
    color = decode_message(bgr(NOW_NS)).image
    raw = make_session()
    raw.pair(NOW_NS, encode_image(counts, "mono16", NOW_NS, "thermal"), bgr(NOW_NS))
    session.pair(NOW_NS, png(counts), png(color))
    wait_for(lambda: session.statuses and raw.statuses)
    np.testing.assert_array_equal(decode_message(session.images[0]).image, decode_message(raw.images[0]).image)


def test_a_damaged_compressed_image_is_a_counted_drop(make_session):
    session = make_session()
    for data in (b"", b"GIF89a", bytes(png(np.zeros((20, 30), np.uint8)).data)[:40]):
        session.it.receive("thermal", CompressedImage(format="png", data=data))
    assert session.drops() == {"bad thermal image": 3}


def png(image):
    message = CompressedImage(format="png", data=array("B", cv2.imencode(".png", image)[1].tobytes()))
    message.header.stamp, message.header.frame_id = ns_to_stamp(NOW_NS), "camera"
    return message
