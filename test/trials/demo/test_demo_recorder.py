"""What the demo keeps of a stream."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from hkdnet_ros.images.messages import stamp_to_ns
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.trials.demo.recorder import DemoRecorder, Shot, ThinnedShots, stamp_of


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 9), max_size=60), st.integers(9, 60))
def test_shots_are_spread_evenly_and_never_exceed_the_budget(sizes, budget):
    shots = ThinnedShots(budget)
    for number, size in enumerate(sizes):
        shots.offer(Shot(number, b"", b"", bytes(size)))
        assert sum(shot.size for shot in shots.kept) <= budget
    assert [shot.number for shot in shots.kept] == list(range(0, len(sizes), shots.stride))
    assert (shots.stride == 1) == (sum(sizes) <= budget)


def test_the_first_shot_is_kept_even_beyond_the_budget():
    shots = ThinnedShots(2)
    for number in range(5):
        shots.offer(Shot(number, b"abc", b"", b""))
    assert [shot.number for shot in shots.kept] == [0]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31 * 10**9 - 1), st.text("ab", max_size=5))
def test_the_stamp_of_a_serialised_image_is_read(stamp_ns, frame_id):
    message = encode_image(np.zeros((2, 3), np.uint8), "mono8", stamp_ns, frame_id)
    assert stamp_of(serialize_message(message)) == stamp_ns


def test_the_stamp_of_a_big_endian_message_is_read():
    assert stamp_of(bytes([0, 0, 0, 0]) + struct.pack(">iI", 12, 34)) == 12 * 10**9 + 34


def test_each_fused_image_is_kept_with_the_two_it_was_made_of(spun):
    from hkdnet_ros.msg import FusionStatus

    node = rclpy.create_node("recorder", context=spun.context)
    recorder = DemoRecorder(node)
    spun.add(node)
    cameras = rclpy.create_node("cameras", context=spun.context)
    topics = ("thermal/image_raw", "visible/image_raw", "fused/image")
    thermal, visible, fused = (cameras.create_publisher(Image, topic, 10) for topic in topics)
    status = cameras.create_publisher(FusionStatus, "fused/status", 10)
    for publisher in (thermal, visible, fused, status):
        wait_for(publisher.get_subscription_count, what="the recorder")
        assert publisher.wait_for_all_acked()

    def image(value, stamp_ns):
        return encode_image(np.full((2, 2), value, np.uint8), "mono8", stamp_ns, "camera")

    for index in range(3):  # the thermal camera's stamps are 4 ms off
        thermal.publish(image(10 + index, (100 + 50 * index + 4) * 10**6))
        visible.publish(image(20 + index, (100 + 50 * index) * 10**6))
    wait_for(lambda: recorder.received("thermal") == recorder.received("visible") == 3, what="all camera images")
    fused.publish(image(99, 150 * 10**6))
    status.publish(FusionStatus(pairs=1))
    wait_for(lambda: recorder.published and recorder.statuses, what="the fused image and its status")

    (shot,) = recorder.shots.kept
    values = [deserialize_message(raw, Image).data[0] for raw in (shot.thermal, shot.visible, shot.fused)]
    assert (shot.number, values) == (1, [11, 21, 99])
    assert stamp_to_ns(deserialize_message(shot.fused, Image).header.stamp) == 150 * 10**6
    assert recorder.first_s == recorder.last_s > 0
