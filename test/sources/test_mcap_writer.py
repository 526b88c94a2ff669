"""What the MCAP writer writes is read by rosbags, strictly, and by our own reader, which checks every sum."""

from __future__ import annotations

import struct
import zlib

import pytest
from rosbags.rosbag2.storage_mcap import McapReader

from hkdnet_ros.sources.bags.mcap_file import McapFile
from hkdnet_ros.sources.bags.mcap_writer import McapWriter
from hkdnet_ros.sources.bags.ros1_file import LATCHED

BIG = bytes(range(256)) * 6000  # more than a chunk


def write(path):
    writer = McapWriter(path)
    schema = writer.add_schema("a_msgs/msg/A", "ros2msg", "uint8 a\n")
    first = writer.add_channel("/a", schema, "cdr", {"offered_qos_profiles": LATCHED, "topic_type_hash": "RIHS01_a"})
    writer.write(first, 20, 15, b"one")
    writer.write(first, 21, 16, memoryview(BIG))
    nameless = writer.add_schema("b_msgs/msg/B", "", "")
    second = writer.add_channel("/b", nameless, "cdr", {})
    writer.write(second, 22, 22, b"")
    writer.write(first, 19, 14, b"late")
    writer.finish()


def test_messages_topics_and_types_come_back(tmp_path):
    write(tmp_path / "a.mcap")
    problems = []
    file = McapFile(tmp_path / "a.mcap", problems.append)
    a, b = file.connections
    assert (a.topic, a.msgtype, a.definition_encoding, a.definition) == ("/a", "a_msgs/msg/A", "ros2msg", "uint8 a\n")
    assert (a.qos, a.type_hash, a.count, b.count) == (LATCHED, "RIHS01_a", 3, 1)
    assert (b.definition_encoding, b.definition) == ("", "")
    assert (file.start_ns, file.end_ns) == (19, 22)
    found = [(m.recorded_ns, m.sent_ns, m.connection.topic, m.data) for m in file.messages(file.connections)]
    assert sorted(found) == [
        (19, 14, "/a", b"late"), (20, 15, "/a", b"one"), (21, 16, "/a", BIG), (22, 22, "/b", b""),
    ]  # fmt: skip
    assert problems == []


def test_rosbags_reads_it_by_its_index(tmp_path):
    write(tmp_path / "a.mcap")
    reader = McapReader(tmp_path / "a.mcap")
    reader.open()
    assert reader.metadata.message_count == 4
    times = [at for _, at, _ in reader.messages(reader.connections)]
    assert sorted(times) == [19, 20, 21, 22]
    reader.close()


def test_each_chunk_bears_its_checksum_and_each_index_points_at_its_message(tmp_path):
    write(tmp_path / "a.mcap")
    data = (tmp_path / "a.mcap").read_bytes()
    position, chunk, checked = 8, b"", 0
    while position < len(data) - 8:
        op, length = struct.unpack_from("<BQ", data, position)
        content = data[position + 9 : position + 9 + length]
        if op == 0x06:
            _, _, size, checksum, named = struct.unpack_from("<QQQII", content)
            chunk = content[32 + named + 8 :]
            assert len(chunk) == size
            assert zlib.crc32(chunk) == checksum
        elif op == 0x07:
            channel, count = struct.unpack_from("<HI", content)
            for at_ns, offset in struct.iter_unpack("<QQ", content[6 : 6 + count]):
                assert struct.unpack_from("<BQHIQ", chunk, offset)[::2] == (0x05, channel, at_ns)
                checked += 1
        position += 9 + length
    assert position == len(data) - 8
    assert checked == 4


def test_a_file_without_a_message_is_whole_and_one_given_up_is_gone(tmp_path):
    writer = McapWriter(tmp_path / "empty.mcap")
    writer.add_schema("a_msgs/msg/A", "ros2msg", "uint8 a\n")
    writer.finish()
    assert McapFile(tmp_path / "empty.mcap", pytest.fail).connections == []
    McapWriter(tmp_path / "gone.mcap").abandon()
    assert not (tmp_path / "gone.mcap").exists()
