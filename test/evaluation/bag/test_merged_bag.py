"""The written bag with the recording merged: all its messages as they were, in the order of time, with their types."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from recordings import START_NS, BagWriter, assert_one_line, thermal_image, visible_image, write_folder
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.bag.folder import read_run
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.perception.incoming import Depth, Transform
from hkdnet_ros.sources.bags.bag_source import BagSource
from hkdnet_ros.sources.bags.mcap_file import McapFile

PERIOD_NS = 50_000_000
OWN = ["/fused/camera_info", "/fused/image", "/fused/status"]
LABEL = "uint8 kind\nstring text\n"


def transform(bag, x, child="t", w=1.0):
    types = bag.types
    vector, quaternion = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Quaternion"]
    pose = types["geometry_msgs/msg/Transform"](
        translation=vector(x=x, y=0.0, z=0.0), rotation=quaternion(x=0.0, y=0.0, z=0.0, w=w)
    )
    return types["geometry_msgs/msg/TransformStamped"](
        header=bag.header(START_NS, "base"), child_frame_id=child, transform=pose
    )


def transforms(bag, topic, found, at_ns):
    message = bag.types["tf2_msgs/msg/TFMessage"](transforms=found)
    bag.write(topic, "tf2_msgs/msg/TFMessage", message, at_ns)


def write_robot(path, storage, compression="none", count=24):
    """Write a bag with more in it than cameras, before, between and behind their images."""
    with BagWriter(path, storage, compression) as bag:
        if storage != "ros1":
            transforms(bag, "/tf_static", [transform(bag, 0.1)], START_NS - 10**9)
        else:
            bag.raw(bag.connect("/marks", "visualization_msgs/msg/Marker"), START_NS, b"")
        for stream, size in (("thermal", (64, 48)), ("visible", (96, 72))):
            bag.camera_info(f"/cam/{stream}/camera_info", size, 60.0, START_NS, stream)
        for index in range(count):
            at_ns = START_NS + index * PERIOD_NS
            bag.image(
                "/cam/visible/image_raw", visible_image(index, (96, 72)), "bgr8", at_ns, "v", recorded_ns=at_ns + 9
            )
            thermal = thermal_image(index, np.uint16, (64, 48))
            bag.image("/cam/thermal/image_raw", thermal, "mono16", at_ns + 4, "t", recorded_ns=at_ns + 12)
            if storage == "ros1":
                label = bag.connect("/labels", "robot_msgs/msg/Label", msgdef=LABEL, md5sum="0" * 32)
                bag.raw(label, at_ns + 10, b"\x07\x03\x00\x00\x00dog")
            else:
                bag.foreign("/labels", at_ns + 10, LABEL)
            bag.write("/fused/image", "std_msgs/msg/Bool", bag.types["std_msgs/msg/Bool"](data=True), at_ns + 11)
        for index in range(3):
            bag.shutter("/behind", bool(index % 2), START_NS + count * PERIOD_NS + index)
    return path


def raw(folder):
    """All messages as (time of recording, topic, bytes), in the order they are read, and definitions by topic."""
    with Reader(folder) as reader:
        definitions = {c.topic: c.msgdef.data for c in reader.connections}
        return [(at, c.topic, bytes(data)) for c, at, data in reader.messages()], definitions


@pytest.mark.parametrize(
    ("storage", "compression"),
    [("mcap", "none"), ("mcap", "storage"), ("sqlite3", "none"), ("sqlite3", "message"), ("sqlite3", "file")],
)
def test_all_messages_are_there_as_they_were_and_in_order(evaluated, tmp_path, storage, compression):
    path = write_robot(tmp_path / "robot", storage, compression)
    evaluated(path, tmp_path / "out", merge=True, video=False, every=100)
    before, languages = raw(path)
    after, definitions = raw(tmp_path / "out" / "fused")
    assert [at for at, _, _ in after] == sorted(at for at, _, _ in after)
    merged = [message for message in after if message[1] not in OWN]
    assert merged == [message for message in before if message[1] not in OWN]  # its own /fused/image gives way
    assert {definitions[topic] for topic in ("/labels", "/tf_static")} == {LABEL, languages["/tf_static"]}
    assert sum(topic == "/fused/image" for _, topic, _ in after) == 24
    (problem,) = read_run(tmp_path / "out")["found"]["problems"]
    assert "/fused/image is not merged" in problem


def test_the_metadata_says_what_every_rosbag2_from_humble_on_can_read(evaluated, tmp_path):
    path = write_robot(tmp_path / "robot", "mcap")
    evaluated(path, tmp_path / "out", merge=True, video=False, every=100)
    there = yaml.safe_load((tmp_path / "out" / "fused" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    messages, _ = raw(tmp_path / "out" / "fused")
    assert there["version"] == 8
    assert there["message_count"] == len(messages)
    assert there["starting_time"]["nanoseconds_since_epoch"] == messages[0][0]
    assert there["duration"]["nanoseconds"] == messages[-1][0] - messages[0][0]
    assert [file["path"] for file in there["files"]] == there["relative_file_paths"] == [
        "fused_0.mcap", "fused_1.mcap", "fused_2.mcap",
    ]  # fmt: skip
    assert sum(file["message_count"] for file in there["files"]) == len(messages)
    topics = {entry["topic_metadata"]["name"]: entry for entry in there["topics_with_message_count"]}
    for name, entry in topics.items():
        assert entry["message_count"] == sum(topic == name for _, topic, _ in messages)
        qos = entry["topic_metadata"]["offered_qos_profiles"]
        assert isinstance(qos, str)
        assert all(isinstance(one["reliability"], int) for one in yaml.safe_load(qos or "[]"))
    assert yaml.safe_load(topics["/labels"]["topic_metadata"]["offered_qos_profiles"])[0]["depth"] == 5


def test_a_merged_run_that_was_stopped_ends_as_if_it_had_not_been(evaluated, tmp_path):
    from test_evaluated_bag import Stopping

    asked = {"merge": True, "video": False, "every": 100, "part": 5}
    path = write_robot(tmp_path / "robot", "sqlite3", count=40)
    evaluated(path, tmp_path / "whole", **asked)
    with pytest.raises(KeyboardInterrupt):
        evaluated(path, tmp_path / "out", Stopping(38), **asked)
    evaluated(path, tmp_path / "out", **asked)
    assert read_run(tmp_path / "out")["found"]["begun_at"] >= 5
    for file in (tmp_path / "whole" / "fused").iterdir():
        assert (tmp_path / "out" / "fused" / file.name).read_bytes() == file.read_bytes()


def test_a_limit_ends_what_is_merged_too(evaluated, tmp_path):
    path = write_robot(tmp_path / "robot", "mcap")
    evaluated(path, tmp_path / "out", merge=True, video=False, every=100, limit=4)
    messages, _ = raw(tmp_path / "out" / "fused")
    assert messages[-1][1] in OWN
    assert sum(topic == "/cam/visible/image_raw" for _, topic, _ in messages) in (4, 5)


def test_a_bag_of_ros_1_is_merged_as_messages_of_ros_2(evaluated, tmp_path):
    path = tmp_path / "robot.bag"
    write_robot(path, "ros1")  # with visualization_msgs/Marker on /marks, which has other fields in ROS 2
    evaluated(path, tmp_path / "out", merge=True, video=False, every=100)
    with AnyReader([tmp_path / "out" / "fused"], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        found = [(c.topic, c.msgtype, reader.deserialize(data, c.msgtype)) for c, _, data in reader.messages()]
    images = [message for topic, _, message in found if topic == "/cam/thermal/image_raw"]
    assert [(i.width, i.encoding, i.header.frame_id) for i in images] == [(64, "mono16", "t")] * 24
    labels = [(kind, message.kind, message.text) for topic, kind, message in found if topic == "/labels"]
    assert labels == [("robot_msgs/msg/Label", 7, "dog")] * 24
    assert any("/marks is not merged" in problem for problem in read_run(tmp_path / "out")["found"]["problems"])


def test_one_type_in_two_versions_keeps_the_definition_of_each_topic(evaluated, tmp_path):
    older = "uint8 kind\n"
    with BagWriter(tmp_path / "robot", "mcap") as bag:
        for index in range(3):
            at_ns = START_NS + index * PERIOD_NS
            hashed = {"rihs01": "RIHS01_" + "0" * 64}
            label = bag.connect("/front/status", "hkdnet_ros/msg/FusionStatus", msgdef=older, **hashed)
            bag.raw(label, at_ns, b"\x00\x01\x00\x00\x07")
            bag.image("/visible/image_raw", visible_image(index), "bgr8", at_ns, "v")
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", at_ns, "t")
    evaluated(tmp_path / "robot", tmp_path / "out", merge=True, video=False)
    written = McapFile(tmp_path / "out" / "fused" / "fused_0.mcap", pytest.fail)  # rosbags takes one for each type
    definitions = {connection.topic: connection.definition for connection in written.connections}
    assert definitions["/front/status"] == older
    assert "stage_latencies" in definitions["/fused/status"]


def test_what_is_no_bag_cannot_be_merged_and_leaves_nothing(evaluated, tmp_path):
    write_folder(tmp_path / "clip")
    with pytest.raises(SourceError) as caught:
        evaluated(tmp_path / "clip", tmp_path / "out", merge=True)
    assert_one_line(caught.value, "no bag", "--merge")
    assert not (tmp_path / "out").exists()


def test_two_bags_with_one_topic_for_both_cameras_cannot_be_merged(evaluated, tmp_path):
    for name, image in (("a", thermal_image), ("b", visible_image)):
        with BagWriter(tmp_path / name, "mcap") as bag:
            for index in range(4):
                encoding = "mono8" if name == "a" else "bgr8"
                bag.image("/image_raw", image(index), encoding, START_NS + index * PERIOD_NS, name)
    topics = {"thermal_topic": "/image_raw", "visible_topic": "/image_raw"}
    pair = f"{tmp_path / 'a'},{tmp_path / 'b'}"
    with pytest.raises(SourceError) as caught:
        evaluated(pair, tmp_path / "out", opening=topics, merge=True)
    assert_one_line(caught.value, "/image_raw", "--merge")
    assert not (tmp_path / "out").exists()


def test_temperature_and_validity_are_in_the_bag_where_there_are(evaluated, tmp_path):
    path = write_robot(tmp_path / "robot", "mcap")
    settings = {
        "temperature.source": "boson", "registration.mode": "homography",
        "registration.homography": (1.5, 0.0, 9.0, 0.0, 1.5, 0.0, 0.0, 0.0, 1.0),
    }  # fmt: skip
    evaluated(path, tmp_path / "out", parameters=settings, video=False, every=100)
    with AnyReader([tmp_path / "out" / "fused"], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        found = {c.topic: reader.deserialize(data, c.msgtype) for c, _, data in reader.messages()}
    fused, validity, temperature = (found[f"/fused/{name}"] for name in ("image", "validity", "temperature"))
    assert (validity.encoding, temperature.encoding) == ("mono8", "32FC1")
    shape = fused.height, fused.width
    assert validity.header == temperature.header == fused.header
    seen = validity.data.reshape(shape)
    assert set(np.unique(seen)) == {0, 255}
    assert (seen[:, 0] == 0).all()  # which only the visible camera sees
    kelvin = temperature.data.view(np.float32).reshape(shape)
    assert np.isnan(kelvin[:, 0]).all()
    assert 100 < np.nanmax(kelvin) < 660


def test_transforms_and_depth_of_a_bag_arrive_as_they_do_at_the_node(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(3):
            at_ns = START_NS + index * PERIOD_NS
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", at_ns, "t")
            bag.image("/visible/image_raw", visible_image(index), "bgr8", at_ns, "v")
            bag.image("/depth/image_raw", np.full((4, 6), 1500, np.uint16), "16UC1", at_ns, "v")
        poses = [transform(bag, 0.25), transform(bag, 0.5, "broken", w=7.0), transform(bag, 0.5, "v")]
        transforms(bag, "/tf_static", poses, START_NS + PERIOD_NS)
    source = BagSource([tmp_path / "bag"], None, None, depth_topic="depth/image_raw")
    arrivals = list(source.arrivals())
    first = [(one.parent, one.child, one.child_to_parent) for one in arrivals[:2]]
    assert first == [("base", name, RigidTransform(translation=(x, 0.0, 0.0))) for name, x in (("t", 0.25), ("v", 0.5))]
    assert not [one for one in arrivals[2:] if isinstance(one, Transform)]
    depths = [one.image.decode().image for one in arrivals if isinstance(one, Depth)]
    assert [(image.shape, image[0, 0]) for image in depths] == [((4, 6), 1500)] * 3
    with pytest.raises(SourceError, match="no depth images on topic range"):
        BagSource([tmp_path / "bag"], None, None, depth_topic="range")


def test_registration_by_lenses_goes_by_the_transforms_of_the_bag(evaluated, tmp_path):
    path = write_robot(tmp_path / "robot", "mcap")
    with pytest.raises(SourceError, match="not registered"):  # visible's frame is not in the tree
        evaluated(path, tmp_path / "none", parameters={"registration.mode": "rectify"}, video=False)
    with BagWriter(tmp_path / "known", "mcap") as bag:
        for stream, size in (("thermal", (64, 48)), ("visible", (96, 72))):
            bag.camera_info(f"/cam/{stream}/camera_info", size, 60.0, START_NS, stream)
        for index in range(4):
            at_ns = START_NS + index * PERIOD_NS
            bag.image("/cam/visible/image_raw", visible_image(index, (96, 72)), "bgr8", at_ns, "visible")
            bag.image("/cam/thermal/image_raw", thermal_image(index, np.uint16, (64, 48)), "mono16", at_ns, "thermal")
        poses = [transform(bag, 0.0, "visible"), transform(bag, 0.1, "thermal")]
        transforms(bag, "/tf_static", poses, START_NS + 10**9)
    evaluated(tmp_path / "known", tmp_path / "out", parameters={"registration.mode": "rectify"}, video=False, every=100)
    assert read_run(tmp_path / "out")["found"]["both"] == 4
