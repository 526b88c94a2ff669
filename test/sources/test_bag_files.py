"""Files of bags: compressed, split, of ROS 1, with foreign types, broken off, with files missing or several in one."""

from __future__ import annotations

import shutil
import sqlite3

import numpy as np
import pytest
from recordings import (
    START_NS,
    BagWriter,
    assert_one_line,
    frames_of,
    images_of,
    thermal_image,
    visible_image,
    write_bag,
    write_folder,
)

from hkdnet_ros.errors import SourceError
from hkdnet_ros.sources.bags.recording import Recording
from hkdnet_ros.sources.bags.sqlite_file import SqliteFile
from hkdnet_ros.sources.opening import open_source

STORAGES = ["sqlite3", "mcap", "ros1"]


def only_file(folder):
    """Return the one file of messages in a bag's folder; a bag of ROS 1 is that file."""
    if folder.is_file():
        return folder
    (file,) = (file for file in folder.iterdir() if file.suffix in (".db3", ".mcap", ".zstd"))
    return file


def large_bag(path, storage, count=60, compression="none"):
    """Write a bag of several chunks, as one of cameras is, and return its path."""
    with BagWriter(path, storage, compression) as bag:
        for index in range(count):
            stamp = START_NS + index * 50_000_000
            bag.image("/visible/image_raw", visible_image(index, (160, 120)), "bgr8", stamp, "v")
            bag.image("/thermal/image_raw", thermal_image(index, np.uint16, (160, 120)), "mono16", stamp, "t")
    return path


def assert_first_frames(path, caplog, problem, *, least, most):
    """Check that what is whole of a large bag is read, in order and with its pixels, and that ``problem`` is said."""
    source = open_source(str(path))
    thermal, visible = frames_of(source)
    for frames in (thermal, visible):
        assert least <= len(frames) <= most
    for index in (0, len(thermal) - 1):
        np.testing.assert_array_equal(thermal[index].image, thermal_image(index, np.uint16, (160, 120)))
    assert thermal[-1].stamp_ns == (len(thermal) - 1) * 50_000_000
    assert problem in caplog.text
    assert any(problem in line for line in source.recording.problems)
    frames_of(source)
    assert caplog.text.count(problem) == 1  # said once, however often it is read


@pytest.mark.parametrize(
    ("storage", "compression"),
    [("sqlite3", "file"), ("sqlite3", "message"), ("mcap", "file"), ("mcap", "message"), ("mcap", "storage"),
     ("ros1", "none"), ("ros1", "bz2"), ("ros1", "lz4")],
)  # fmt: skip
def test_compressed_bags_and_those_of_ros_1_give_their_images(tmp_path, storage, compression, caplog):
    path = write_bag(tmp_path / "record.bag", storage, compression=compression)
    source = open_source(str(path))
    thermal, visible = frames_of(source)
    assert len(source) == len(thermal) == len(visible) == 5
    np.testing.assert_array_equal(thermal[3].image, thermal_image(3, np.uint16))
    np.testing.assert_array_equal(visible[3].image, visible_image(3))
    assert thermal[3].stamp_ns == 154_000_000
    assert (source.camera_model("thermal").k[0], thermal[0].frame_id) == (40.0, "thermal_optical")
    assert source.recording.problems == []
    assert not caplog.records
    source.close()
    if compression == "file":  # also on its own, without the folder that says how it was compressed
        assert len(frames_of(open_source(str(only_file(path))))[0]) == 5


@pytest.mark.parametrize("storage", STORAGES)
def test_a_foreign_type_that_cannot_be_parsed_does_not_matter(tmp_path, storage):
    with BagWriter(tmp_path / "mixed.bag", storage) as bag:
        bag.foreign("/label", START_NS, 'wstring NAME="caf\\u00e9"\nwstring<=3 name\nint32[<=x] broken')
        bag.image("/thermal/image_raw", thermal_image(0), "mono8", START_NS, "t")
        bag.image("/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
    source = open_source(str(tmp_path / "mixed.bag"))
    assert [len(frames) for frames in frames_of(source)] == [1, 1]
    assert {connection.msgtype for connection in source.recording.connections} > {"robot_msgs/msg/Label"}


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_in_big_endian_are_read(tmp_path, storage):
    with BagWriter(tmp_path / "big.bag", storage) as bag:
        bag.image("/thermal/image_raw", thermal_image(0, np.uint16), "mono16", START_NS, "t", little=storage == "ros1")
        bag.image("/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
    (thermal,), _ = frames_of(open_source(str(tmp_path / "big.bag")))
    np.testing.assert_array_equal(thermal.image, thermal_image(0, np.uint16))


def split_bag(folder, storage, parts=11, pairs=2):
    """Write a bag of so many ``pairs`` a file, and return its folder, which has no metadata.yaml."""
    folder.mkdir()
    for part in range(parts):
        written = write_bag(folder.parent / f"part_{part}.bag", storage, count=pairs, first=pairs * part)
        file = only_file(written)
        shutil.move(file, folder / f"drive_{part}{file.suffix}")
    return folder


@pytest.mark.parametrize("storage", STORAGES)
def test_split_bag_without_metadata_is_read_in_the_order_of_its_numbers(tmp_path, storage, caplog):
    folder = split_bag(tmp_path / "drive", storage)
    thermal, visible = frames_of(open_source(str(folder)))
    assert [frame.stamp_ns for frame in visible] == [index * 50_000_000 for index in range(22)]
    assert len(thermal) == 22
    assert ("`ros2 bag reindex drive`" in caplog.text) == (storage != "ros1")


def test_split_bag_opens_a_file_when_its_time_has_come(tmp_path, monkeypatch):
    source = open_source(str(split_bag(tmp_path / "drive", "sqlite3", pairs=20)))
    opened = []
    connect = SqliteFile._connected
    monkeypatch.setattr(SqliteFile, "_connected", lambda self, how: opened.append(self.path) or connect(self, how))
    events = source.events()
    next(events)
    assert 0 < len(set(opened)) < 11  # a look at the first images, and two seconds for the order
    list(events)
    assert len(set(opened)) == 11


def test_split_bag_with_a_file_missing_is_read_without_it(tmp_path, caplog):
    folder = split_bag(tmp_path / "drive", "mcap", parts=3)
    (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  relative_file_paths: [old/drive_0.mcap, drive_1.mcap, drive_2.mcap]\n"
    )
    assert len(frames_of(open_source(str(folder)))[0]) == 6
    assert not caplog.records
    (folder / "drive_1.mcap").unlink()
    assert len(frames_of(open_source(str(folder)))[0]) == 4
    assert "lacks drive_1.mcap, which its metadata.yaml lists" in caplog.text
    (folder / "drive_2.mcap").write_bytes(b"")
    assert len(frames_of(open_source(str(folder)))[0]) == 2
    assert "drive_2.mcap: is empty" in caplog.text


def test_file_beside_a_bag_that_its_metadata_does_not_list_is_said(tmp_path, caplog):
    path = write_bag(tmp_path / "bag", "mcap")
    shutil.copy(only_file(path), path / "bag_1.mcap")
    assert len(frames_of(open_source(str(path)))[0]) == 5
    assert "bag_1.mcap beside it is not listed" in caplog.text


def test_folder_of_several_recordings_asks_for_one(tmp_path):
    for name in ("morning", "evening"):
        write_bag(tmp_path / "bags" / name, "mcap")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "bags"))
    assert_one_line(caught.value, "holds 2 recordings", tmp_path / "bags" / "evening")
    (tmp_path / "bags" / "run.json").touch()  # as a result of an evaluation has
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "bags"))
    assert_one_line(caught.value, "holds a result", "the recording that it was made of", "hkdnet view")
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("morning", "evening"):
        shutil.copy(only_file(tmp_path / "bags" / name), flat / f"{name}.mcap")
    with pytest.raises(SourceError) as caught:
        open_source(str(flat))
    assert_one_line(caught.value, "several recordings: evening.mcap, morning.mcap", "A,B")


def test_folder_with_metadata_alone_is_one_clear_line(tmp_path):
    path = write_bag(tmp_path / "bag", "mcap")
    only_file(path).unlink()
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    assert_one_line(caught.value, "no file of a recording is in it, not even bag.mcap")


@pytest.mark.parametrize("second", STORAGES)
def test_cameras_in_two_bags_are_read_side_by_side(tmp_path, second):
    thermal = write_bag(tmp_path / "thermal", "mcap", streams=["thermal"])
    visible = write_bag(tmp_path / "visible.bag", second, streams=["visible"])
    source = open_source(f"{thermal},{visible}")
    assert [len(frames) for frames in frames_of(source)] == [5, 5]
    assert [incoming.stream for incoming in images_of(source)] == ["visible", "thermal"] * 5
    with pytest.raises(SourceError) as caught:
        open_source(f"{thermal},{tmp_path / 'gone'}")
    assert_one_line(caught.value, tmp_path / "gone", "no bag")


def test_cameras_in_two_bags_may_bear_one_topic(tmp_path):
    for name, image, encoding in (("a", thermal_image(0), "mono8"), ("b", visible_image(0), "bgr8")):
        with BagWriter(tmp_path / name, "mcap") as bag:
            bag.image("/camera/image_raw", image, encoding, START_NS, name)
    topics = {"thermal_topic": "camera/image_raw", "visible_topic": "/camera/image_raw"}
    (thermal,), (visible,) = frames_of(open_source(f"{tmp_path / 'a'},{tmp_path / 'b'}", **topics))
    assert (thermal.encoding, visible.encoding) == ("mono8", "bgr8")
    with pytest.raises(SourceError, match="both thermal and visible"):
        open_source(str(tmp_path / "a"), **topics)


@pytest.mark.parametrize(
    ("storage", "compression", "tool"),
    [("sqlite3", "none", ".recover | sqlite3"), ("mcap", "none", "`mcap recover`"),
     ("mcap", "storage", "`mcap recover`"), ("ros1", "none", "`rosbag reindex`"), ("ros1", "lz4", "`rosbag reindex`")],
)  # fmt: skip
def test_bag_broken_off_gives_what_is_whole_and_names_the_tool_that_mends_it(
    tmp_path, storage, compression, tool, caplog
):
    path = large_bag(tmp_path / "cut.bag", storage, compression=compression)
    file = only_file(path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.7)])
    assert_first_frames(path, caplog, tool, least=30, most=45)


def test_mcap_that_lost_power_and_ends_in_zeros_gives_what_is_whole(tmp_path, caplog):
    path = large_bag(tmp_path / "bag", "mcap")
    file = only_file(path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\x00"))
    assert_first_frames(path, caplog, "still being recorded, or broken off", least=20, most=30)


@pytest.mark.parametrize("storage", ["mcap", "ros1"])
def test_damaged_chunk_is_left_out_and_those_after_it_are_read(tmp_path, storage, caplog):
    path = large_bag(tmp_path / "bag.bag", storage, compression={"mcap": "storage", "ros1": "bz2"}[storage])
    file = only_file(path)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    file.write_bytes(content)
    thermal, visible = frames_of(open_source(str(path)))
    assert 40 <= len(thermal) < 60
    assert visible[-1].stamp_ns == 59 * 50_000_000
    assert "chunks are damaged and left out" in caplog.text


def test_compressed_file_broken_off_gives_what_could_be_unpacked(tmp_path, caplog):
    path = large_bag(tmp_path / "bag", "sqlite3", compression="file")
    file = only_file(path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.7)])
    assert_first_frames(path, caplog, "what could be unpacked of it is read", least=10, most=55)


def test_mcap_without_chunks_or_index_is_read(tmp_path, caplog):
    path = large_bag(tmp_path / "bag", "mcap")
    file = only_file(path)
    content = file.read_bytes()
    # The records inside of the first chunk, as a recorder without chunks writes them, and no end.
    start = content.index(b"\x06", 17)
    size = int.from_bytes(content[start + 9 + 16 : start + 9 + 24], "little")
    records = content[start + 9 + 40 : start + 9 + 40 + size]
    file.write_bytes(content[:start] + records)
    source = open_source(str(path))
    assert 5 <= len(frames_of(source)[0]) == len(source) <= 20
    assert "still being recorded, or broken off" in caplog.text


def test_sqlite_bag_still_being_recorded_gives_what_its_log_holds(tmp_path):
    path = large_bag(tmp_path / "bag", "sqlite3", count=20)
    file = only_file(path)
    recorder = sqlite3.connect(file)
    recorder.execute("PRAGMA journal_mode=WAL")
    rows = recorder.execute("SELECT topic_id, timestamp, data FROM messages").fetchall()
    recorder.executemany(
        "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)",
        [(topic, timestamp + 1_000_000_000, data) for topic, timestamp, data in rows],
    )
    recorder.commit()
    source = open_source(str(path))
    assert len(source) == 40
    assert len(images_of(source)) == 80
    recorder.close()


def test_images_beside_a_stray_bag_are_a_folder_of_images_still(tmp_path):
    write_folder(tmp_path, count=2)
    shutil.copy(only_file(write_bag(tmp_path / "bag", "mcap")), tmp_path / "stray.mcap")
    assert len(frames_of(open_source(str(tmp_path)))[0]) == 2


def test_mcap_with_messages_of_ros_1_is_read(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap", serialization="ros1") as bag:
        bag.image("/thermal/image_raw", thermal_image(0), "mono8", START_NS, "t")
        bag.image("/visible/image_raw", visible_image(0), "bgr8", START_NS, "v")
    (thermal,), (visible,) = frames_of(open_source(str(tmp_path / "bag")))
    np.testing.assert_array_equal(thermal.image, thermal_image(0))
    np.testing.assert_array_equal(visible.image, visible_image(0))


@pytest.mark.parametrize("content", [b"", b"#ROSBAG V1.2\nrubbish", b"\x89MCAP0\r\n", b"SQLite format 3\x00", b"hello"])
@pytest.mark.parametrize("suffix", [".db3", ".mcap", ".bag"])
def test_file_that_is_no_bag_is_one_clear_line(tmp_path, content, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    assert_one_line(caught.value, path, "cannot be opened as a recording")


def test_recording_gives_other_topics_too(tmp_path):
    recording = Recording([write_bag(tmp_path / "bag", "mcap")])
    infos = [connection for connection in recording.connections if connection.topic == "/thermal/camera_info"]
    (message,) = recording.messages(infos)
    assert recording.deserialized(message).k[0] == 40.0
    assert message.recorded_ns == START_NS
    recording.close()
