"""Every kind of recording as a camera source: same pixels, right stamps, and one clear line for what is broken."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import (
    FPS,
    THERMAL_SIZE,
    VISIBLE_SIZE,
    assert_one_line,
    frames_of,
    thermal_image,
    visible_image,
    write_bag,
    write_folder,
    write_videos,
)

from hkdnet_ros.errors import ConfigError, SourceError
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame
from hkdnet_ros.images.resampling import resample
from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.sources.camera_source import in_stamp_order, repeated
from hkdnet_ros.sources.opening import open_source

STAIRS = Path(__file__).parents[3] / "shared" / "data" / "replay" / "stairs"


# Folders of images


@pytest.mark.parametrize(("dtype", "encoding"), [(np.uint8, "mono8"), (np.uint16, "mono16")])
def test_folder_gives_its_images_unchanged_at_the_nominal_rate(tmp_path, dtype, encoding):
    pairs = write_folder(tmp_path, count=4, dtype=dtype)
    source = open_source(str(tmp_path))
    thermal, visible = frames_of(source)
    assert len(source) == len(thermal) == len(visible) == 4
    for index, (expected_thermal, expected_visible) in enumerate(pairs):
        np.testing.assert_array_equal(thermal[index].image, expected_thermal)
        np.testing.assert_array_equal(visible[index].image, expected_visible)
        assert (thermal[index].encoding, visible[index].encoding) == (encoding, "bgr8")
        assert thermal[index].stamp_ns == visible[index].stamp_ns == round(index * 1e9 / 30)
    assert open_source(str(tmp_path), fps=10.0).events().__next__()[1].stamp_ns == 0


def test_folder_leaves_a_thermal_rendering_in_colour_and_makes_one_without_colour_gray(tmp_path):
    gray = thermal_image(0)
    for stream in ("thermal", "visible"):
        (tmp_path / stream).mkdir()
        cv2.imwrite(str(tmp_path / stream / "a.png"), cv2.applyColorMap(gray, cv2.COLORMAP_JET))
        cv2.imwrite(str(tmp_path / stream / "b.png"), np.repeat(gray[..., None], 3, axis=2))
    thermal, visible = frames_of(open_source(str(tmp_path)))
    assert [frame.encoding for frame in (*thermal, *visible)] == ["bgr8", "mono8", "bgr8", "bgr8"]
    np.testing.assert_array_equal(thermal[1].image, gray)


def test_folder_leaves_gray_visible(tmp_path):
    for stream, image in (("thermal", visible_image(0)), ("visible", thermal_image(0))):
        (tmp_path / stream).mkdir()
        cv2.imwrite(str(tmp_path / stream / "a.png"), image)
    (thermal,), (visible,) = frames_of(open_source(str(tmp_path)))
    np.testing.assert_array_equal(thermal.image, visible_image(0))
    np.testing.assert_array_equal(visible.image, thermal_image(0))
    assert (thermal.encoding, visible.encoding) == ("bgr8", "mono8")


def test_folder_drops_alpha_and_reads_jpeg(tmp_path):
    write_folder(tmp_path, count=1, suffixes=(".png", ".jpg"))
    rgba = np.dstack([visible_image(1), np.full(VISIBLE_SIZE[::-1], 77, np.uint8)])
    cv2.imwrite(str(tmp_path / "visible" / "other.png"), rgba)
    cv2.imwrite(str(tmp_path / "thermal" / "other.png"), thermal_image(1))
    _, visible = frames_of(open_source(str(tmp_path)))
    assert np.abs(visible[0].image.astype(int) - visible_image(0)).mean() < 4
    np.testing.assert_array_equal(visible[1].image, visible_image(1))


def test_a_folder_goes_on_without_what_is_damaged_or_alone_and_names_it(tmp_path, caplog):
    pairs = write_folder(tmp_path, count=4)
    bad = tmp_path / "visible" / "frame_001.png"
    bad.write_bytes(bad.read_bytes()[:60])
    (tmp_path / "thermal" / "frame_002.png").unlink()
    with caplog.at_level(logging.WARNING):
        source = open_source(str(tmp_path))
        for _ in range(2):  # a loop names nothing twice
            thermal, visible = frames_of(source)
    assert [frame.stamp_ns for frame in thermal] == [frame.stamp_ns for frame in visible] == [0, round(2e9 / 30)]
    np.testing.assert_array_equal(visible[1].image, pairs[3][1])
    alone = f"{tmp_path / 'visible'}: 1 image(s) without a partner of the same name: frame_002"
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0] == f"left out: {alone}"
    assert f"left out: {bad}: not a readable image (60 bytes)" in said[1]
    assert source.skipped == {alone: 1, "a pair of which a file cannot be read": 1}


def test_a_folder_of_which_nothing_can_be_read_says_why(tmp_path):
    write_folder(tmp_path, count=2)
    for path in (tmp_path / "visible").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"not one of 2 pairs can be read: .*frame_001.*0 bytes"):
        list(open_source(str(tmp_path)).events())


def test_a_folder_gives_gray_floats_as_they_are(tmp_path):
    write_folder(tmp_path, count=1)
    celsius = np.linspace(-20, 90, 24 * 32, dtype=np.float32).reshape(24, 32)
    (tmp_path / "thermal" / "frame_000.png").unlink()
    cv2.imwrite(str(tmp_path / "thermal" / "frame_000.tiff"), celsius)
    (thermal,), _ = frames_of(open_source(str(tmp_path)))
    assert thermal.encoding == "32FC1"
    np.testing.assert_array_equal(thermal.image, celsius)


def test_folder_takes_16_bits_as_the_node_does(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (36, 48, 3)).astype(np.uint16)
    for name, image in (("colour", deep), ("gray", deep[..., 0])):
        for stream in ("thermal", "visible"):
            (tmp_path / stream).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / stream / f"{name}.png"), image)
    thermal, visible = frames_of(open_source(str(tmp_path)))
    reduced = np.rint(deep / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(visible[0].image, reduced)
    np.testing.assert_array_equal(thermal[0].image, reduced)
    for gray in (thermal[1], visible[1]):
        np.testing.assert_array_equal(gray.image, deep[..., 0])
        assert gray.encoding == "mono16"


# Videos


def test_videos_give_gray_thermal_and_colour_visible_at_their_own_rates(tmp_path):
    write_videos(tmp_path, count=6, fps=(10.0, 20.0))
    source = open_source(f"{tmp_path / 'thermal.mp4'},{tmp_path / 'visible.mp4'}")
    thermal, visible = frames_of(source)
    assert len(source) == len(thermal) == len(visible) == 6
    assert [frame.stamp_ns for frame in thermal] == [index * 100_000_000 for index in range(6)]
    assert [frame.stamp_ns for frame in visible] == [index * 50_000_000 for index in range(6)]
    assert {frame.encoding for frame in thermal} == {"mono8"}
    assert {frame.encoding for frame in visible} == {"bgr8"}
    for index in range(6):
        assert np.abs(thermal[index].image.astype(int) - thermal_image(index)).mean() < 6
        assert np.abs(visible[index].image.astype(int) - visible_image(index)).mean() < 6


def test_folder_of_two_videos_is_found_by_their_names(tmp_path):
    write_videos(tmp_path)
    assert len(open_source(str(tmp_path))) == 6


def test_lossless_video_comes_back_exactly(tmp_path):
    images = {}
    for stream, make, size in (("thermal", thermal_image, THERMAL_SIZE), ("visible", visible_image, VISIBLE_SIZE)):
        images[stream] = [make(index) for index in range(4)]
        writer = cv2.VideoWriter(str(tmp_path / f"{stream}.avi"), cv2.VideoWriter.fourcc(*"HFYU"), FPS, size)
        for image in images[stream]:
            writer.write(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        writer.release()
    thermal, visible = frames_of(open_source(str(tmp_path)))
    for frame, image in zip(thermal + visible, images["thermal"] + images["visible"], strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_video_that_is_none_or_missing_says_so(tmp_path):
    write_videos(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SourceError) as caught:
        open_source(f"{tmp_path / 'text.mp4'},{tmp_path / 'visible.mp4'}")
    assert_one_line(caught.value, tmp_path / "text.mp4", "8 bytes")
    with pytest.raises(SourceError) as caught:
        open_source(f"{tmp_path / 'thermal.mp4'},{tmp_path / 'gone.mp4'}")
    assert_one_line(caught.value, tmp_path / "gone.mp4", "no such file")


def test_video_that_ends_early_gives_what_it_has_and_logs_it(tmp_path, caplog):
    write_videos(tmp_path, count=4)
    source = open_source(str(tmp_path))
    source._counts["thermal"] = 9  # as a file cut off by a crash announces
    thermal, visible = frames_of(source)
    assert (len(thermal), len(visible)) == (4, 4)
    assert "4 of the 9 frames" in caplog.text


@pytest.mark.skipif(not STAIRS.is_dir(), reason="the real recordings are not beside this checkout")
def test_real_recording_plays_at_its_rate():
    source = open_source(str(STAIRS), size=(160, 120))
    assert len(source) == 151
    events = source.events()
    pairs = [next(events) for _ in range(6)]
    events.close()
    assert [stream for stream, _ in pairs] == ["thermal", "visible"] * 3
    assert [frame.stamp_ns for _, frame in pairs[::2]] == [0, 33_333_333, 66_666_667]
    assert {frame.image.shape[:2] for _, frame in pairs} == {(120, 160)}


# The simulator


def test_simulator_is_a_source_without_end(tmp_path):
    source = open_source("simulator:night:3", size=(64, 48), fps=10.0)
    assert source.name == "simulator:night:3"
    events = source.events()
    (first, thermal), (second, visible), (_, later) = (next(events) for _ in range(3))
    assert (first, second) == ("thermal", "visible")
    assert thermal.image.shape == (48, 64)
    assert (thermal.encoding, visible.encoding) == ("mono16", "bgr8")
    assert later.stamp_ns == 100_000_000
    np.testing.assert_array_equal(later.image, source.simulator.render(1).thermal.image)
    assert source.camera_model("thermal").width == 64
    with pytest.raises(SourceError, match="no end"):
        len(source)


def test_the_simulators_cameras_may_differ_in_size():
    own = open_source("simulator").simulator.config
    assert (own.thermal_size, own.visible_size, own.truth_size) == ((160, 120), (640, 480), (640, 480))
    source = open_source("simulator", size=(64, 64), thermal_size=(32, 32))
    (_, thermal), (_, visible) = itertools.islice(source.events(), 2)
    assert (thermal.image.shape, visible.image.shape) == ((32, 32), (64, 64, 3))
    assert [source.camera_model(stream).width for stream in ("thermal", "visible")] == [32, 64]
    assert source.simulator.config.truth_size == (64, 64)
    assert open_source("simulator", size=(64, 64)).simulator.config.truth_size == (128, 128)


@pytest.mark.parametrize("spec", ["simulator:fog", "simulator:day:x", "simulator:day:-1"])
def test_simulator_of_no_known_scene_is_refused(spec):
    with pytest.raises(SourceError, match="day"):
        open_source(spec)


def test_simulator_of_an_impossible_size_is_refused():
    with pytest.raises(ConfigError, match="size"):
        open_source("simulator", size=(8, 8))


# Common to all


def test_size_resamples_images_and_cameras(tmp_path):
    source = open_source(str(write_bag(tmp_path / "bag")), size=(16, 18))
    thermal, visible = frames_of(source)
    np.testing.assert_array_equal(thermal[1].image, resample(thermal_image(1, np.uint16), 16, 18))
    np.testing.assert_array_equal(visible[1].image, resample(visible_image(1), 16, 18))
    model = source.camera_model("thermal")
    assert (model.width, model.height) == (16, 18)
    assert model.k[2] == pytest.approx(7.5)
    assert open_source(str(tmp_path / "bag"), size=(16, 18)).camera_model("visible").k[5] == pytest.approx(8.5)


@pytest.mark.parametrize("sizes", [{"size": (16, 18), "thermal_size": (8, 9)}, {"thermal_size": (8, 9)}])
def test_thermal_may_have_a_size_of_its_own(tmp_path, sizes):
    source = open_source(str(write_bag(tmp_path / "bag")), **sizes)
    thermal, visible = frames_of(source)
    width, height = sizes.get("size", VISIBLE_SIZE)
    np.testing.assert_array_equal(thermal[1].image, resample(thermal_image(1, np.uint16), 8, 9))
    np.testing.assert_array_equal(visible[1].image, resample(visible_image(1), width, height))
    images = [arrival for arrival in source.arrivals() if isinstance(arrival, Incoming)]
    arrived = {incoming.stream: incoming.decode().image.shape[:2] for incoming in images}
    assert arrived == {"thermal": (9, 8), "visible": (height, width)}
    assert [source.camera_model(stream).width for stream in ("thermal", "visible")] == [8, width]


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
@pytest.mark.parametrize("name", ["size", "thermal_size"])
def test_size_without_pixels_is_refused(tmp_path, name, size):
    write_folder(tmp_path)
    with pytest.raises(SourceError, match="no pixels"):
        open_source(str(tmp_path), **{name: size})


@pytest.mark.parametrize("name", ["gone", "a,b,c", "notes.txt", "empty", ""])
def test_what_is_no_recording_is_refused_with_the_forms_that_are(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        open_source(name)
    assert_one_line(caught.value, "rosbag2", "simulator")


class Listed:
    """A source of given stamps by stream."""

    name = "listed"

    def __init__(self, **stamps):
        self.skipped = {}
        self._stamps = stamps

    def events(self):
        image = np.zeros((2, 2), np.uint8)
        events = [(stream, Frame(image, s, "f", "mono8")) for stream, stamps in self._stamps.items() for s in stamps]
        yield from sorted(events, key=lambda event: event[1].stamp_ns)


def test_loop_goes_on_one_frame_interval_after_the_last_frame():
    source = Listed(thermal=[0, 100, 200], visible=[10, 60, 110, 160, 210])
    events = repeated(source, loop=True)
    stamps = defaultdict(list)
    for _ in range(16):
        stream, frame = next(events)
        stamps[stream].append(frame.stamp_ns)
    assert stamps["thermal"] == [0, 100, 200, 260, 360, 460]
    assert stamps["visible"] == [10, 60, 110, 160, 210, 270, 320, 370, 420, 470]


def test_loop_over_one_pair_takes_the_nominal_interval():
    events = repeated(Listed(thermal=[0], visible=[0]), loop=True)
    assert [next(events)[1].stamp_ns for _ in range(6)] == [0, 0, 33333333, 33333333, 66666666, 66666666]


def test_source_without_frames_is_an_error_and_no_endless_loop():
    with pytest.raises(SourceError, match="no frames"):
        list(repeated(Listed(), loop=True))


def test_stamp_order_holds_within_its_window():
    frame = Frame(np.zeros((1, 1), np.uint8), 0, "f", "mono8")
    stamps = [3, 0, 1, 7, 5, 2, 9, 8]
    ordered = in_stamp_order([("thermal", dataclasses.replace(frame, stamp_ns=stamp)) for stamp in stamps], window=4)
    assert [frame.stamp_ns for _, frame in ordered] == sorted(stamps)


def test_the_rig_is_a_source_whose_cameras_have_models_of_their_own() -> None:
    source = open_source("rig:night:3", thermal_size=(64, 48), size=(128, 96), fps=10.0)
    assert source.name == "rig:night:3"
    (first, thermal), (second, visible), (_, later) = itertools.islice(source.events(), 3)
    assert (first, second) == (THERMAL, VISIBLE)
    assert (thermal.image.shape, visible.image.shape) == ((48, 64), (96, 128, 3))
    assert later.stamp_ns == 100_000_000
    models = [source.camera_model(stream) for stream in (THERMAL, VISIBLE)]
    assert [model and (model.width, model.height) for model in models] == [(64, 48), (128, 96)]
    assert all(model and any(model.d) for model in models)
    with pytest.raises(SourceError, match="rig:dusk: no such scene"):
        open_source("rig:dusk")


def test_one_video_for_both_cameras_is_refused(tmp_path):
    write_videos(tmp_path)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "thermal.mp4")
    with pytest.raises(SourceError, match="one file for both cameras"):
        open_source(f"{tmp_path}/thermal.mp4,{tmp_path}/link.mp4")
