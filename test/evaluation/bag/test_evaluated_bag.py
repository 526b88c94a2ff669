"""A recording evaluated: all of it, the same in every run, gone on with after a stop, and one line where it cannot."""

from __future__ import annotations

import csv
import errno
import shutil
import signal
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from drives import PERIOD_NS, evaluate_with, write_drive
from recordings import START_NS, BagWriter, assert_one_line, thermal_image, visible_image, write_folder, write_videos
from rigging import FakeEngine
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from hkdnet_ros.errors import ConfigError, DeviceError, SourceError
from hkdnet_ros.evaluation.bag import evaluate, fused_bag, run
from hkdnet_ros.evaluation.bag.folder import ResultFolder, read_run
from hkdnet_ros.evaluation.bag.movie import Movie, _Row
from hkdnet_ros.evaluation.bag.panes import jpeg
from hkdnet_ros.evaluation.bag.reading import read_panes, read_result
from hkdnet_ros.evaluation.bag.status_message import FUSION_STATUS
from hkdnet_ros.sources.bags.bag_source import BagSource

DIFFERING = {"timings.csv", "log.csv", "report.html", "run.json"}
"""What has times of this machine in it."""


def frames(out):
    with (out / "frames.csv").open() as file:
        return list(csv.DictReader(file))


def messages(folder):
    with AnyReader([folder], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        return [(c.topic, at, reader.deserialize(data, c.msgtype)) for c, at, data in reader.messages()]


def contents(out):
    """The files of a result by name, but for those that differ from run to run."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in DIFFERING
    }


def test_the_bag_holds_what_the_node_would_have_published(result):
    rows = frames(result)
    found = messages(result / "fused")
    images = [(at, message) for topic, at, message in found if topic == "/fused/image"]
    infos = [message for topic, _, message in found if topic == "/fused/camera_info"]
    statuses = [message for topic, _, message in found if topic == "/fused/status"]
    assert len(rows) == len(images) == len(infos) == len(statuses) == 56  # of 60, three lack thermal and one a stamp
    for row, (at, image), info, status in zip(rows, images, infos, statuses, strict=True):
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        assert stamp == int(row["stamp_ns"]) == int(row["visible_stamp_ns"])
        assert at == int(row["recorded_ns"])
        assert (image.width, image.height, image.encoding) == (128, 96, "bgr8")
        assert f"{zlib.crc32(image.data):08x}" == row["crc32"]
        assert image.header == info.header == status.header
        assert (info.width, info.k[0]) == (128, pytest.approx(90.0 * 128 / 96))
        assert status.mode == row["mode"] == "fused"
        assert status.skew.nanosec == int(row["skew_ns"]) == 4_000_000
    assert statuses[-1].published == 56
    assert dict(zip(statuses[-1].drop_reasons, statuses[-1].drop_counts, strict=True))["zero stamp"] == 1


def test_figures_pictures_and_the_video_show_the_same_frames(result):
    rows = frames(result)
    measured = [row for row in rows if row["Qabf.fused"]]
    assert [int(row["frame"]) for row in measured] == list(range(2, 56, 4))
    assert all(0 < float(row["Qabf.fused"]) < 1 and row["flicker.fused"] for row in measured)
    whole = read_result(result)
    assert whole.mean("Qabf.fused") == pytest.approx(np.mean([float(row["Qabf.fused"]) for row in measured]))
    panes = read_panes(result, 20, 16)
    assert {name: image.shape[:2] for name, image in panes.items()} == {
        "thermal": (48, 64), "visible": (72, 96), "fused": (96, 128),
    }  # fmt: skip
    video = cv2.VideoCapture(str(result / "side_by_side.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 56
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(20, rel=0.1)


def test_parquet_says_what_csv_says(result):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    table = parquet.read_table(result / "frames.parquet").to_pydict()
    assert table["crc32"] == [row["crc32"] for row in frames(result)]
    rows = frames(result)
    assert table["stamp_ns"] == [int(row["stamp_ns"]) for row in rows]
    assert table["Qabf.fused"] == [float(row["Qabf.fused"]) if row["Qabf.fused"] else None for row in rows]


def test_every_run_gives_the_same_files(result, drive, evaluated, tmp_path):
    evaluated(drive, tmp_path / "again")
    first, second = contents(result), contents(tmp_path / "again")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


class Stopping(FakeEngine):
    """Stops at a call, as Ctrl-C does."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def fuse(self, thermal, visible):
        if len(self.given) == self.at:
            raise KeyboardInterrupt
        return super().fuse(thermal, visible)


def test_a_run_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(result, drive, evaluated, tmp_path):
    out = tmp_path / "stopped"
    for at in (50, 10):  # the second stops before another part is done
        with pytest.raises(KeyboardInterrupt):
            evaluated(drive, out, Stopping(at))
        assert not read_run(out)["found"]
        assert not (out / "report.html").exists()
    engine = FakeEngine()
    evaluated(drive, out, engine)
    there = read_run(out)["found"]["begun_at"]
    assert there in (16, 32, 48)  # up to 32 frames were under way
    assert len(engine.given) == 56 - there + 2  # the two frames before are seen again
    first, second = contents(result), contents(out)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_run_does_not_go_on_by_another_back_end(drive, evaluated, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        evaluated(drive, tmp_path / "out", Stopping(50))
    engine = FakeEngine()
    engine.backend = "other"
    with pytest.raises(ConfigError) as caught:
        evaluated(drive, tmp_path / "out", engine)
    assert_one_line(caught.value, "fp32 on cpu by other", "fp32 on cpu by fake", "-p backend")
    evaluated(drive, tmp_path / "out")
    assert read_run(tmp_path / "out")["found"]["begun_at"] >= 16


def test_a_finished_result_is_left_as_it_is(result, drive, evaluated):
    before = (result / "report.html").stat().st_mtime_ns
    engine = FakeEngine()
    assert evaluated(drive, result, engine) == result / "report.html"
    assert (result / "report.html").stat().st_mtime_ns == before
    assert engine.given == []


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(drive, evaluated, tmp_path, monkeypatch):
    written = []
    write = fused_bag.BagPart.write

    def full(part, messages):
        written.append(part)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(part, messages)

    monkeypatch.setattr(fused_bag.BagPart, "write", full)
    with pytest.raises(SourceError) as caught:
        evaluated(drive, tmp_path / "out")
    assert_one_line(caught.value, tmp_path / "out", "disk is full", "same command again")
    assert list((tmp_path / "out").rglob("*.partial")) == []
    monkeypatch.undo()
    evaluated(drive, tmp_path / "out")
    assert read_run(tmp_path / "out")["found"]["begun_at"] == 16


def test_a_recording_that_breaks_off_gives_what_came_before(drive, evaluated, tmp_path, monkeypatch):
    arrivals = BagSource.arrivals

    def broken(source):
        for number, arrival in enumerate(arrivals(source)):
            if number == 60:
                raise SourceError("drive: damaged, cannot be read on")
            yield arrival

    monkeypatch.setattr(BagSource, "arrivals", broken)
    report = evaluated(drive, tmp_path / "out")
    assert 20 < len(frames(tmp_path / "out")) < 35
    assert "damaged, cannot be read on" in report.read_text()


def test_a_recording_that_grows_while_it_is_read_is_told(drive, evaluated, tmp_path, monkeypatch):
    sizes = iter(range(9))
    monkeypatch.setattr(evaluate, "fingerprint", lambda files: {"bytes": next(sizes)})
    report = evaluated(drive, tmp_path / "out")
    assert "grew while it was read" in report.read_text()


@pytest.mark.parametrize("write", [write_folder, write_videos])
def test_folders_and_videos_are_evaluated_too(evaluated, tmp_path, write):
    write(tmp_path / "clip", count=6)
    evaluated(tmp_path / "clip", tmp_path / "out", every=1)
    assert len(frames(tmp_path / "out")) == 6
    assert not [topic for topic, _, _ in messages(tmp_path / "out" / "fused") if topic == "/fused/camera_info"]


def test_the_simulator_is_evaluated_as_far_as_asked(evaluated, tmp_path):
    evaluated("simulator:day", tmp_path / "out", limit=4, every=1)
    assert len(frames(tmp_path / "out")) == 4
    with pytest.raises(SourceError) as caught:
        evaluated("simulator:day", tmp_path / "endless", every=None)
    assert_one_line(caught.value, "no end")


def test_a_source_without_end_of_which_nothing_is_fused_ends(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_IN_VAIN", 20)
    with pytest.raises(SourceError) as caught:
        evaluated("rig:day", tmp_path / "out", parameters={"registration.mode": "depth"}, limit=2, video=False)
    assert_one_line(caught.value, "no two could be fused", "10 not registered", "/tf_static")


def test_settings_are_the_nodes(drive, evaluated, tmp_path):
    evaluated(drive, tmp_path / "out", parameters={"sync.slop": 0.001, "sync.thermal_offset": -0.004})
    assert {row["skew_ns"] for row in frames(tmp_path / "out")} == {"0"}
    with pytest.raises(ConfigError) as caught:
        evaluated(drive, tmp_path / "other", parameters={"sync.policy": "exact"})
    assert_one_line(caught.value, "sync.policy", "nearest")


def recording(path, streams, shift_ns=0):
    with BagWriter(path, "mcap") as bag:
        for index in range(8):
            stamp = START_NS + index * 50_000_000
            if "thermal" in streams:
                bag.image("/thermal/image_raw", thermal_image(index), "mono8", stamp + shift_ns, "t", recorded_ns=stamp)
            if "visible" in streams:
                bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v")
            bag.shutter("/other", False, stamp)
    return path


def test_streams_that_do_not_overlap_are_one_line_with_the_offset_and_leave_nothing(evaluated, tmp_path):
    path = recording(tmp_path / "bag", ("thermal", "visible"), shift_ns=-3_600_000_000_000)
    with pytest.raises(SourceError) as caught:
        evaluated(path, tmp_path / "out")
    assert_one_line(caught.value, "do not overlap", "-p sync.thermal_offset:=3600.000")
    assert not (tmp_path / "out").exists()
    evaluated(path, tmp_path / "out", parameters={"sync.thermal_offset": 3600.0})
    assert len(frames(tmp_path / "out")) == 8


def test_where_frames_of_one_camera_alone_are_all_there_is_nothing_is_left_either(evaluated, tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(60):
            stamp = START_NS + index * 50_000_000
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v")
        bag.image("/thermal/image_raw", thermal_image(0), "mono8", START_NS - 2 * 10**9, "t", recorded_ns=START_NS)
    with pytest.raises(SourceError) as caught:
        evaluated(tmp_path / "bag", tmp_path / "out")
    assert_one_line(caught.value, "no two could be fused", "do not overlap")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stream", ["thermal", "visible"])
def test_one_stream_alone_is_one_line(evaluated, tmp_path, stream):
    other = {"thermal": "visible", "visible": "thermal"}[stream]
    with pytest.raises(SourceError) as caught:
        evaluated(recording(tmp_path / "bag", (stream,)), tmp_path / "out")
    assert_one_line(caught.value, f"--{other}-topic")
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_lost_ends_the_run(drive, evaluated, tmp_path):
    engine = FakeEngine()
    engine.error = DeviceError("gone")
    with pytest.raises(DeviceError) as caught:
        evaluated(drive, tmp_path / "out", engine)
    assert_one_line(caught.value, "same command goes on")


def test_a_report_that_is_gone_is_written_again(result, drive, evaluated, tmp_path):
    shutil.copytree(result, tmp_path / "copy")
    (tmp_path / "copy" / "report.html").unlink()
    engine = FakeEngine()
    report = evaluated(drive, tmp_path / "copy", engine)
    assert report.read_text() == (result / "report.html").read_text()
    assert engine.given == []


def test_two_processes_do_not_write_into_one_folder(drive, evaluated, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        evaluated(drive, tmp_path / "out", Stopping(5))
    folder = ResultFolder(tmp_path / "out", read_run(tmp_path / "out")["asked"])
    with pytest.raises(SourceError) as caught:
        evaluated(drive, tmp_path / "out")
    assert_one_line(caught.value, tmp_path / "out", "another process")
    folder.close()
    evaluated(drive, tmp_path / "out")


def test_the_folder_of_another_run_is_left_alone(result, drive, evaluated, tmp_path):
    before = contents(result)
    with pytest.raises(SourceError) as caught:
        evaluated(drive, result, every=3)
    assert_one_line(caught.value, result, "another run", "every was 4, now 3", "--out")
    with pytest.raises(SourceError) as caught:
        evaluated(drive, result, parameters={"sync.slop": 0.02})
    assert_one_line(caught.value, "sync.slop was 0.05, now 0.02")
    with pytest.raises(SourceError) as caught:
        evaluated(drive, result, opening={"size": (48, 36)})
    assert_one_line(caught.value, "opening.size was None, now [48, 36]")
    assert contents(result) == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(SourceError) as caught:
        evaluated(drive, tmp_path / "notes")
    assert_one_line(caught.value, tmp_path / "notes", "no result of an evaluation", "--out")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]


def test_a_file_that_a_setting_names_is_another_request_once_it_changed(evaluated, drive, tmp_path):
    mask = tmp_path / "bad.png"
    cv2.imwrite(str(mask), np.zeros((48, 64), np.uint8))
    asked = {"parameters": {"thermal.bad_pixels": str(mask)}, "limit": 3, "video": False}
    evaluated(drive, tmp_path / "out", **asked)
    evaluated(drive, tmp_path / "out", **asked)
    cv2.imwrite(str(mask), np.eye(48, 64, dtype=np.uint8) * 255)
    with pytest.raises(SourceError) as caught:
        evaluated(drive, tmp_path / "out", **asked)
    assert_one_line(caught.value, "another run", "files.thermal.bad_pixels was", "--out")


def test_the_status_of_the_bag_is_the_nodes_message():
    lines = (Path(__file__).resolve().parents[3] / "msg" / "FusionStatus.msg").read_text().splitlines()
    fields = [" ".join(line.partition("#")[0].split()) for line in lines]
    assert FUSION_STATUS.splitlines() == [field for field in fields if field]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_damaged_bag_gives_what_can_be_read_and_the_report_says_what_could_not(evaluated, tmp_path, storage):
    path = write_drive(tmp_path / "drive", storage)
    (file,) = (file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    data = bytearray(file.read_bytes())
    if storage == "mcap":
        del data[len(data) * 2 // 3 :]
    else:
        middle = len(data) // 2 // 4096 * 4096
        data[middle : middle + 8 * 4096] = b"\xff" * (8 * 4096)
    file.write_bytes(data)
    report = evaluated(path, tmp_path / "out")
    assert 10 < len(frames(tmp_path / "out")) < 56
    assert "Not all could be read" in report.read_text()


def test_a_bag_of_ros_1_and_of_compressed_images_is_evaluated(evaluated, tmp_path):
    path = write_drive(tmp_path / "drive.bag", "ros1")
    evaluated(path, tmp_path / "out")
    assert len(frames(tmp_path / "out")) == 56
    with BagWriter(tmp_path / "compressed", "mcap") as bag:
        for index in range(6):
            stamp = START_NS + index * 50_000_000
            bag.compressed("/flir/image_raw/compressed", thermal_image(index), "mono8; jpeg compressed mono8", ".jpg",
                           stamp, "t")  # fmt: skip
            bag.compressed("/front/image_raw/compressed", visible_image(index), "jpeg", ".png", stamp, "v")
    evaluated(tmp_path / "compressed", tmp_path / "out2")
    assert len(frames(tmp_path / "out2")) == 6


def test_the_bag_that_was_written_can_be_evaluated_beside_its_inputs(drive, result, evaluated, tmp_path):
    """The fused bag and the recording side by side are one recording again; the fused image is no camera's."""
    evaluated(f"{drive},{result / 'fused'}", tmp_path / "out")
    assert [row["crc32"] for row in frames(tmp_path / "out")] == [row["crc32"] for row in frames(result)]


def test_the_video_shows_black_where_there_is_no_image():
    row = _Row((40, 30))
    grays = {name: np.full((30, 40, 3), level, np.uint8) for level, name in ((50, "thermal"), (90, "fused"))}
    sheet = row.showing({**grays, "visible": np.full((15, 20, 3), 70, np.uint8)}).copy()
    assert sheet.shape == (58, 3 * 40 + 2 * 4, 3)
    for left, level in ((0, 50), (44, 70), (88, 90)):
        assert (sheet[28:, left : left + 40] == level).all()
    without = row.showing(grays)
    assert (without[28:, 44:84] == 0).all()
    assert (without[28:, :40] == 50).all()
    assert (without[:28, 44:84] != sheet[:28, 44:84]).any()  # the caption says so


def test_the_video_keeps_its_rate_where_stamps_go_back(tmp_path):
    panes = {name: jpeg(np.full((24, 32, 3), 90, np.uint8)) for name in ("thermal", "visible", "fused")}
    movie = Movie(tmp_path, tmp_path / "panes")
    for index in range(32):
        movie.show(START_NS + index * PERIOD_NS - (10 * 10**9 if index >= 16 else 0), panes)
    movie.finish()
    assert cv2.VideoCapture(str(tmp_path / "side_by_side.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(20)


def test_ctrl_c_while_the_network_is_loaded_waits_for_that(drive, tmp_path, monkeypatch):
    done = []

    def load(config):
        signal.raise_signal(signal.SIGINT)  # as within a callback of a library, which would abort the process
        done.append(True)
        return FakeEngine()

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(evaluate, "load_engine", load)
    with pytest.raises(KeyboardInterrupt):
        evaluate_with(drive, tmp_path / "out")
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_result_does_not_go_into_the_recording(evaluated, tmp_path):
    path = recording(tmp_path / "bag", ("thermal", "visible"))
    there = sorted(path.rglob("*"))
    with pytest.raises(SourceError) as caught:
        evaluated(path, path / "results" / "out")
    assert_one_line(caught.value, "lies in the recording", "--out")
    assert sorted(path.rglob("*")) == there


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"stamp": lambda at_ns: 0}, ("zero stamp", "-p sync.thermal_stamps:=arrival -p sync.visible_stamps:=arrival")),
        (
            {"data": np.zeros(0, np.uint8)},
            ("30 bad thermal image", "what was wrong first", "data of 0 bytes is truncated"),
        ),
    ],
    ids=["stamps of zero", "images without a pixel"],
)
def test_images_of_no_use_are_one_line_with_the_reason(evaluated, tmp_path, changed, words):
    stamp = changed.pop("stamp", lambda at_ns: at_ns)
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(30):
            at_ns = START_NS + index * 50_000_000
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp(at_ns), "v", recorded_ns=at_ns)
            bag.image(
                "/thermal/image_raw", thermal_image(index), "mono8", stamp(at_ns), "t", recorded_ns=at_ns, **changed
            )
    with pytest.raises(SourceError) as caught:
        evaluated(tmp_path / "bag", tmp_path / "out")
    assert_one_line(caught.value, *words)
    assert not (tmp_path / "out").exists()
