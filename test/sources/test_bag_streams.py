"""What cameras and recorders really leave in a bag: several connections, late and odd order, clocks of their own."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import START_NS, BagWriter, assert_one_line, frames_of, images_of, thermal_image, visible_image

from hkdnet_ros.errors import SourceError
from hkdnet_ros.sources.camera_source import matches
from hkdnet_ros.sources.opening import open_source

MS, S = 1_000_000, 1_000_000_000


def record(path, images, storage="mcap"):
    """Write images, (stream, stamp, recorded), the index of each counted within its stream."""
    counts = {"thermal": 0, "visible": 0}
    with BagWriter(path, storage) as bag:
        for stream, stamp_ns, recorded_ns in images:
            index = counts[stream]
            counts[stream] += 1
            image, encoding = (thermal_image(index), "mono8") if stream == "thermal" else (visible_image(index), "bgr8")
            bag.image(f"/{stream}/image_raw", image, encoding, stamp_ns, stream, recorded_ns=recorded_ns)
    return open_source(str(path))


@pytest.mark.parametrize("storage", ["sqlite3", "mcap", "ros1"])
def test_every_connection_of_a_topic_is_read(tmp_path, storage):
    with BagWriter(tmp_path / "bag.bag", storage) as bag:
        for index in range(30):
            stamp = START_NS + index * 50 * MS
            writer = 0 if index < 5 else 1  # the driver was started again
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", stamp, "t", writer=writer)
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v", writer=index % 2)
    source = open_source(str(tmp_path / "bag.bag"))
    thermal, visible = frames_of(source)
    assert len(source) == len(thermal) == len(visible) == 30
    for index in range(30):
        np.testing.assert_array_equal(thermal[index].image, thermal_image(index))
        np.testing.assert_array_equal(visible[index].image, visible_image(index))
    assert len(images_of(source)) == 60


def test_topic_may_hold_raw_and_compressed_images(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(4):
            stamp = START_NS + index * 50 * MS
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v")
            if index < 2:
                bag.image("/thermal/image_raw", thermal_image(index), "mono8", stamp, "t")
            else:
                bag.compressed("/thermal/image_raw", thermal_image(index), "png", ".png", stamp, "t")
    thermal, _ = frames_of(open_source(str(tmp_path / "bag")))
    assert len(thermal) == 4
    np.testing.assert_array_equal(thermal[3].image, thermal_image(3))


def test_topic_without_messages_gives_way_to_its_compressed_form_or_is_named(tmp_path):
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.connect("/thermal/image_raw", "sensor_msgs/msg/Image")
        bag.connect("/visible/image_raw", "sensor_msgs/msg/Image")
        bag.compressed("/thermal/image_raw/compressed", thermal_image(0), "png", ".png", START_NS, "t")
        bag.image("/rgb", visible_image(0), "bgr8", START_NS, "v")
    (thermal,), _ = frames_of(open_source(str(tmp_path / "bag"), visible_topic="rgb"))
    np.testing.assert_array_equal(thermal.image, thermal_image(0))
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "bag"))
    assert_one_line(caught.value, "nothing was recorded on the visible topic /visible/image_raw", "QoS")


def test_topic_of_another_type_is_named_with_it(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        bag.image("/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
        bag.foreign("/thermal/image_raw", START_NS, "uint8 x")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "bag"))
    assert_one_line(caught.value, "holds robot_msgs/msg/Label, which is not read", "/visible/image_raw")


def test_packets_below_the_topic_are_named(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        bag.foreign("/front/thermal/image_raw/ffmpeg", START_NS, "uint8[] data\n")
        bag.image("/front/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "bag"))
    assert_one_line(caught.value, "/front/thermal/image_raw/ffmpeg holds robot_msgs/msg/Label, which is not read")


def test_stream_recorded_much_later_pairs_as_it_was_stamped(tmp_path):
    images = [("thermal", START_NS + round(i * S / 60), START_NS + round(i * S / 60) + MS) for i in range(240)]
    images += [("visible", START_NS + round(i * S / 30), START_NS + round(i * S / 30) + 600 * MS) for i in range(120)]
    source = record(tmp_path / "bag", sorted(images, key=lambda image: image[2]))
    _, visible = frames_of(source)
    assert [frame.stamp_ns for frame in visible] == [round(index * S / 30) for index in range(120)]
    found = list(matches(source))
    assert len(found) == 120
    assert all(match.skew_ns == 0 for match in found)


def test_recording_in_an_odd_order_over_seconds_comes_in_order(tmp_path):
    rng = np.random.default_rng(3)
    late = rng.uniform(0, 1.9, 80)
    images = [
        (stream, START_NS + i * 100 * MS, START_NS + i * 100 * MS + round(late[i] * S))
        for i in range(80)
        for stream in ("thermal", "visible")
    ]
    thermal, visible = frames_of(record(tmp_path / "bag", sorted(images, key=lambda image: image[2])))
    assert [frame.stamp_ns for frame in thermal] == [index * 100 * MS for index in range(80)]
    assert [frame.stamp_ns for frame in visible] == [index * 100 * MS for index in range(80)]


@pytest.mark.parametrize("boot", [("thermal", "visible"), ("thermal",), ("visible",)])
def test_stamps_from_boot_time_keep_their_pace(tmp_path, boot, caplog):
    images = [
        (stream, START_NS + i * 50 * MS - (START_NS - 5 * S if stream in boot else 0), START_NS + i * 50 * MS + 2 * MS)
        for i in range(40)
        for stream in ("thermal", "visible")
    ]
    source = record(tmp_path / "bag", images)
    thermal, visible = frames_of(source)
    assert [frame.stamp_ns for frame in thermal] == [frame.stamp_ns for frame in visible]
    assert thermal[-1].stamp_ns == 39 * 50 * MS
    assert len(list(matches(source))) == 40
    if len(boot) == 1:
        assert caplog.text.count("count from different moments") == 1
        sign = 1 if boot[0] == "thermal" else -1
        assert f"sync.thermal_offset: {sign * (START_NS - 5 * S) / 1e9:.3f}" in caplog.text
    else:
        assert not caplog.records
    # As a robot receives them, nothing is put right.
    assert {incoming.stamp_ns < 100 * S for incoming in images_of(source) if incoming.stream == boot[0]} == {True}


def test_stamps_that_are_all_zero_are_said_once(tmp_path, caplog):
    images = [(stream, 0, START_NS + i * 50 * MS) for i in range(10) for stream in ("thermal", "visible")]
    source = record(tmp_path / "bag", images)
    assert [frame.stamp_ns for frame in frames_of(source)[0]] == [index * 50 * MS for index in range(10)]
    frames_of(source)
    assert caplog.text.count("the thermal images bear no stamps") == 1
    assert caplog.text.count("the visible images bear no stamps") == 1


def test_simulation_that_starts_again_plays_on_and_pairs(tmp_path):
    images = [
        (stream, S + (i % 50) * 100 * MS + (4 * MS if stream == "thermal" else 0), START_NS + i * 100 * MS + late)
        for i in range(100)
        for stream, late in (("visible", 3 * MS), ("thermal", 11 * MS))
    ]
    source = record(tmp_path / "bag", images)
    assert len(frames_of(source)[0]) == 100
    found = list(matches(source))
    assert len(found) == 100
    assert {match.skew_ns for match in found} == {4 * MS}
