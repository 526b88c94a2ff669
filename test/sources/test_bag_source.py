"""Bags as camera sources: topics, encodings, stamps, and one clear line for what is broken."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from raw_images import LAYOUTS, assert_pixels, samples
from recordings import (
    START_NS,
    THERMAL_SIZE,
    VISIBLE_SIZE,
    BagWriter,
    assert_one_line,
    frames_of,
    thermal_image,
    visible_image,
    write_bag,
)

from hkdnet_ros.errors import SourceError
from hkdnet_ros.sources.camera_source import repeated
from hkdnet_ros.sources.opening import open_source


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize("as_file", [False, True])
def test_bag_gives_its_images_stamps_and_cameras(tmp_path, storage, as_file):
    path = write_bag(tmp_path / "bag", storage)
    spec = next(file for file in path.iterdir() if file.suffix in (".db3", ".mcap")) if as_file else path
    source = open_source(str(spec))
    thermal, visible = frames_of(source)
    assert len(source) == len(thermal) == len(visible) == 5
    for index in range(5):
        np.testing.assert_array_equal(thermal[index].image, thermal_image(index, np.uint16))
        np.testing.assert_array_equal(visible[index].image, visible_image(index))
        assert thermal[index].stamp_ns == index * 50_000_000 + 4_000_000
        assert visible[index].stamp_ns == index * 50_000_000
    assert (thermal[0].encoding, thermal[0].frame_id) == ("mono16", "thermal_optical")
    assert (visible[0].encoding, visible[0].frame_id) == ("bgr8", "visible_optical")
    model = source.camera_model("thermal")
    assert (model.width, model.height, model.k[0], model.frame_id) == (*THERMAL_SIZE, 40.0, "thermal_optical")
    assert source.camera_model("visible").k[2] == (VISIBLE_SIZE[0] - 1) / 2
    assert frames_of(source)[1][4].stamp_ns == visible[4].stamp_ns  # it can be read again
    source.close()
    source.close()


def test_bag_topics_are_found_in_a_namespace_or_by_name(tmp_path):
    path = write_bag(tmp_path / "bag", namespace="/robot")
    assert len(frames_of(open_source(str(path)))[0]) == 5
    source = open_source(str(path), thermal_topic="/robot/thermal/image_raw", visible_topic="robot/visible/image_raw")
    assert len(frames_of(source)[1]) == 5
    assert source.camera_model("thermal") is not None


def test_bag_without_the_topic_lists_what_is_there(tmp_path):
    path = write_bag(tmp_path / "bag")
    with pytest.raises(SourceError) as caught:
        open_source(str(path), thermal_topic="ir/image")
    assert_one_line(caught.value, "ir/image", "/thermal/image_raw, /visible/image_raw")
    with pytest.raises(SourceError, match="both thermal and visible"):
        open_source(str(path), thermal_topic="visible/image_raw")


def test_bag_with_two_cameras_of_one_name_asks_which(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for side in ("left", "right"):
            bag.image(f"/{side}/thermal/image_raw", thermal_image(0), "mono8", START_NS, "t")
        bag.image("/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
    with pytest.raises(SourceError, match=r"/left/thermal/image_raw, /right/thermal/image_raw"):
        open_source(str(tmp_path / "bag"))


def test_bag_images_honour_step_byte_order_and_alpha(tmp_path):
    rgba = np.dstack([visible_image(0), np.full(VISIBLE_SIZE[::-1], 9, np.uint8)])
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.image("/thermal/image_raw", thermal_image(0, np.uint16), "mono16", START_NS, "t", padding=6, big=True)
        bag.image("/visible/image_raw", rgba, "rgba8", START_NS, "v", padding=4)
    (thermal,), (visible,) = frames_of(open_source(str(tmp_path / "bag")))
    np.testing.assert_array_equal(thermal.image, thermal_image(0, np.uint16))
    np.testing.assert_array_equal(visible.image, visible_image(0))
    assert visible.encoding == "rgb8"


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_bag_images_of_any_encoding_give_their_pixels(tmp_path, encoding):
    scalars = samples(encoding)
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        bag.image("/thermal/image_raw", scalars, encoding, START_NS, "t", padding=3, big=True, height=12)
        bag.image("/visible/image_raw", scalars, encoding, START_NS, "v", height=12)
    for (frame,) in frames_of(open_source(str(tmp_path / "bag"))):
        assert_pixels(frame.image, encoding, scalars)


def test_bag_of_compressed_images_is_decoded(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(3):
            stamp = START_NS + index * 10_000_000
            topic = "/thermal/image_raw/compressed"
            bag.compressed(topic, thermal_image(index, np.uint16), "mono16; png compressed ", ".png", stamp, "t")
            bag.compressed(
                "/visible/image_raw/compressed", visible_image(index), "bgr8; jpeg compressed bgr8", ".jpg", stamp, "v"
            )
        bag.camera_info("/thermal/camera_info", THERMAL_SIZE, 33.0, START_NS, "t")
    source = open_source(str(tmp_path / "bag"))
    thermal, visible = frames_of(source)
    for index in range(3):
        np.testing.assert_array_equal(thermal[index].image, thermal_image(index, np.uint16))
        assert np.abs(visible[index].image.astype(int) - visible_image(index)).mean() < 4
    assert (thermal[0].encoding, visible[0].encoding) == ("mono16", "bgr8")
    assert source.camera_model("thermal").k[0] == 33.0
    assert source.camera_model("visible") is None


def test_bag_of_compressed_images_skips_what_the_node_refuses(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (36, 48, 3)).astype(np.uint16)
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        topic = "/thermal/image_raw/compressed"
        bag.compressed(topic, thermal_image(0, np.uint16), "16UC1; compressedDepth png", ".png", START_NS, "t")
        bag.compressed(topic, thermal_image(0), "webp", ".webp", START_NS + 1, "t")
        bag.compressed(topic, thermal_image(1), "webp", ".webp", START_NS + 2, "t")
        bag.compressed(topic, thermal_image(0), "png", ".png", START_NS + 3, "t")
        kelvin = 280 + thermal_image(1).astype(np.float32)
        bag.compressed(topic, kelvin, "32FC1; tiff compressed ", ".tiff", START_NS + 4, "t")
        bag.compressed("/visible/image_raw/compressed", deep, "png", ".png", START_NS, "v")
    source = open_source(str(tmp_path / "bag"))
    thermal, (visible,) = frames_of(source)
    assert [frame.encoding for frame in thermal] == ["mono8", "32FC1"]
    np.testing.assert_array_equal(thermal[1].image, kelvin)
    assert sorted(source.skipped.values()) == [1, 2]
    for fact in ("compressedDepth", "neither JPEG nor PNG"):
        assert fact in " ".join(source.skipped)
    np.testing.assert_array_equal(visible.image, np.rint(deep / 257.0))


def test_bag_recorded_out_of_order_comes_in_stamp_order(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(8):  # thermal images take 120 ms to the recorder
            stamp = START_NS + index * 50_000_000
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v", recorded_ns=stamp + 1_000_000)
            bag.image(
                "/thermal/image_raw",
                thermal_image(index),
                "mono8",
                stamp - 3_000_000,
                "t",
                recorded_ns=stamp + 120_000_000,
            )
    thermal, visible = frames_of(open_source(str(tmp_path / "bag")))
    assert [frame.stamp_ns for frame in visible] == [3_000_000 + index * 50_000_000 for index in range(8)]
    np.testing.assert_array_equal(thermal[5].image, thermal_image(5))


def test_bag_images_with_a_stamp_of_zero_bear_the_time_of_recording(tmp_path):
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        for index in range(3):
            now = START_NS + index * 40_000_000
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", 0, "t", recorded_ns=now)
            bag.image("/visible/image_raw", visible_image(index), "bgr8", 0, "v", recorded_ns=now + 5_000_000)
    thermal, visible = frames_of(open_source(str(tmp_path / "bag")))
    assert [frame.stamp_ns for frame in thermal] == [0, 40_000_000, 80_000_000]
    assert [frame.stamp_ns for frame in visible] == [5_000_000, 45_000_000, 85_000_000]


def test_bag_skips_and_counts_images_that_cannot_be_used(tmp_path, caplog):
    good = visible_image(0)
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        for index in range(6):
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", START_NS + index, "t")
        bag.image("/visible/image_raw", good, "bgr8", START_NS, "v")
        bag.image("/visible/image_raw", good, "bgr8", START_NS + 1, "v", step=3)
        bag.image("/visible/image_raw", good, "bgr8", START_NS + 2, "v", data=np.zeros(7, np.uint8))
        bag.image("/visible/image_raw", good, "plasma8", START_NS + 3, "v")
        bag.image("/visible/image_raw", good, "bgr8", START_NS + 4, "v", height=0)
        message = bag.types["sensor_msgs/msg/Image"](
            bag.header(START_NS + 5, "v"), *good.shape[:2], "bgr8", 0, good.shape[1] * 3, good.ravel()
        )
        bag.write("/visible/image_raw", "Image", message, START_NS + 5, cut=40)
    source = open_source(str(tmp_path / "bag"))
    thermal, visible = frames_of(source)
    assert (len(thermal), len(visible)) == (6, 1)
    assert sum(source.skipped.values()) == 5
    reasons = " ".join(source.skipped)
    for fact in ("step of 3", "truncated", "'plasma8'", "0 pixels", "damaged message of 40 bytes"):
        assert fact in reasons
    assert caplog.text.count("skipped an image on /visible/image_raw") == 5


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize("keep", [0, 8, 1000, 9000])
def test_damaged_bag_is_one_clear_line(tmp_path, storage, keep):
    path = write_bag(tmp_path / "bag", storage)
    file = next(file for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SourceError) as caught:
        list(repeated(open_source(str(path)), loop=False))
    assert_one_line(caught.value, path)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_bag_with_scrambled_bytes_never_ends_in_another_error(tmp_path, storage):
    path = write_bag(tmp_path / "bag", storage, count=3)
    file = next(file for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    whole = file.read_bytes()
    rng = np.random.default_rng(7)
    outcomes = set()
    for _ in range(25):
        scrambled = bytearray(whole)
        for position in rng.integers(0, len(whole), 40):
            scrambled[position] = rng.integers(256)
        file.write_bytes(scrambled)
        try:
            for _, frame in repeated(open_source(str(path)), loop=False):
                assert frame.image.size
            outcomes.add("read")
        except SourceError as error:
            assert_one_line(error, path)
            outcomes.add("refused")
    assert "refused" in outcomes


def test_bag_folder_with_broken_metadata_is_read_and_the_tool_that_mends_it_named(tmp_path, caplog):
    path = write_bag(tmp_path / "bag")
    for text in ("", "rosbag2_bagfile_information: 3", "{", "rosbag2_bagfile_information:\n  version: 99"):
        (path / "metadata.yaml").write_text(text)
        caplog.clear()
        assert len(frames_of(open_source(str(path)))[0]) == 5
        (record,) = caplog.records
        assert "metadata.yaml that cannot be read" in record.message
        assert "`ros2 bag reindex bag`" in record.message


def test_calibrations_and_the_shutter_flag_arrive_as_they_were_recorded(tmp_path):
    path = tmp_path / "bag"
    with BagWriter(path, "mcap") as bag:
        bag.image("/robot/thermal/image_raw", thermal_image(0), "mono8", START_NS, "t")
        bag.shutter("/robot/thermal/shutter", True, START_NS + 1)
        bag.shutter("/robot/other/shutter", False, START_NS + 2)
        bag.camera_info("/robot/visible/camera_info", VISIBLE_SIZE, 40.0, START_NS + 3, "v")
        bag.image("/robot/visible/image_raw", visible_image(0), "bgr8", START_NS + 4, "v")
    with contextlib.closing(open_source(str(path), size=(24, 18))) as source:
        image, flag, calibration, _ = source.arrivals()
    assert image.stream == "thermal"
    assert (flag.is_closed, flag.arrived_ns) == (True, START_NS + 1)
    assert (calibration.stream, calibration.stamp_ns, calibration.arrived_ns) == ("visible", START_NS + 3, START_NS + 3)
    assert (calibration.model.width, calibration.model.height) == (24, 18)  # resized with its images
