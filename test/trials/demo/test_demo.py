"""The demo as a user runs it: real processes, real topics, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import (
    START_NS,
    THERMAL_SIZE,
    VISIBLE_SIZE,
    BagWriter,
    thermal_image,
    visible_image,
    write_folder,
)
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

DEADLINE_S = 240.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small student with random weights."""
    import torch

    from hkdnet_ros.inference.checkpoint import save_checkpoint
    from hkdnet_ros.network.presets import preset
    from hkdnet_ros.network.student import Student

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_checkpoint(path, Student(preset("realtime", scale=2)), {})
    return path


class Demo:
    """A running demo."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "hkdnet_ros.cli", "demo", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def children(self):
        """Return the ids of the processes that it has started."""
        path = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        return [int(word) for word in path.read_text().split()] if path.exists() else []

    def finish(self):
        self.output, self.errors = self.child.communicate(timeout=DEADLINE_S)
        return self.child.returncode


@pytest.fixture
def demo():
    running = []

    def start(*arguments):
        running.append(Demo(*arguments))
        return running[-1]

    yield start
    for one in running:
        if one.child.poll() is None:
            one.child.terminate()
            one.finish()


def test_the_simulator_leaves_pictures_a_video_and_figures_that_agree(demo, model, tmp_path):
    run = demo("--out", tmp_path, "--size", "64x48", "--frames", 12, "--model", model, "--precision", "fp32")
    assert run.finish() == 0, run.errors
    assert str(tmp_path) in run.output
    figures = json.loads((tmp_path / "summary.json").read_text())
    assert (figures["source"], figures["fused_size"]) == ("simulator:night:0", "128x96")
    assert (figures["model"], figures["precision"]) == ("random", "fp32")
    assert figures["published"] >= 12
    waiting = figures["pairs"] - figures["published"] - figures["drops"].get("superseded", 0)
    assert waiting in (0, 1)  # a pair may come while the last image is published
    assert min(figures["received"].values()) >= figures["pairs"]
    assert figures["fps"] > 0
    assert {"queue", "decode", "network", "publish", "own cost", "age"} <= figures["latencies"].keys()
    assert figures["memory"]["most"] > 50
    assert figures["quality_frames"] == 12
    assert set(figures["quality"]) == {"fused", "bicubic>average", "bicubic>maximum"}

    frames = sorted((tmp_path / "frames").glob("*.png"))
    assert len(frames) == figures["kept"] >= 12
    assert cv2.imread(str(frames[0])).shape == (96, 128, 3)
    video = cv2.VideoCapture(str(tmp_path / "side_by_side.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == figures["kept"]
    assert cv2.imread(str(tmp_path / "overview.png")) is not None
    page = (tmp_path / "summary.md").read_text()
    assert f"{figures['published']} in" in page
    assert "stopped:" in (tmp_path / "fusion_node.log").read_text()


def test_by_default_a_sharper_visible_camera_guides_a_coarse_thermal_one(demo, tmp_path):
    run = demo("--out", tmp_path, "--frames", 3, "--fps", 5)
    assert run.finish() == 0, run.errors
    figures = json.loads((tmp_path / "summary.json").read_text())
    assert [figures[f"{name}_size"] for name in ("thermal", "visible", "fused")] == ["160x120", "640x480", "640x480"]
    assert figures["model"] == "guided"
    assert figures["quality_frames"] >= 3
    frame = next((tmp_path / "frames").glob("*.png"))
    assert cv2.imread(str(frame)).shape == (480, 640, 3)
    assert "thermal 160x120 and visible 640x480 to 640x480" in run.output


def test_a_recordings_images_are_reduced_each_by_its_own_width(tmp_path, capsys):
    from hkdnet_ros.sources.opening import open_source
    from hkdnet_ros.trials.demo.demo import _own_sizes

    write_folder(tmp_path / "small", count=1)
    assert _own_sizes(open_source(str(tmp_path / "small"))) == {"thermal": THERMAL_SIZE, "visible": VISIBLE_SIZE}
    assert not capsys.readouterr().out
    for stream, size in (("thermal", (640, 512)), ("visible", (1280, 720))):
        (tmp_path / "large" / stream).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "large" / stream / "a.png"), np.zeros(size[::-1], np.uint8))
    assert _own_sizes(open_source(str(tmp_path / "large"))) == {"thermal": (320, 256), "visible": (640, 360)}
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "The thermal images of 640x512 are reduced to 320x256", "The visible images of 1280x720 are reduced to 640x360"
    ]  # fmt: skip
    simulator = open_source("simulator", size=(700, 500))
    assert _own_sizes(simulator) == {"thermal": (700, 500), "visible": (700, 500)}


def test_the_topics_of_a_bag_may_have_any_name(demo, model, tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(20):
            stamp = START_NS + index * 100_000_000
            bag.image("/flir/image", thermal_image(index, np.uint16), "mono16", stamp, "t")
            bag.image("/rgb", visible_image(index), "bgr8", stamp, "v")
    topics = ("--thermal-topic", "/flir/image", "--visible-topic", "rgb")
    run = demo("--source", tmp_path / "bag", *topics, "--out", tmp_path / "out", "--model", model, "--size", "48x36")
    assert run.finish() == 0, run.errors
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["published"] >= 3
    run = demo("--source", tmp_path / "bag", "--out", tmp_path / "no")
    assert run.finish() == 1
    assert "image topics there: /flir/image, /rgb" in run.errors


def test_a_recording_without_pairs_is_refused_before_the_node_starts(demo, tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(20):
            stamp = START_NS + index * 100_000_000
            bag.image("/thermal/image_raw", thermal_image(index), "mono8", stamp, "t")
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp + 3_000_000_000, "v")
    run = demo("--source", tmp_path / "bag", "--out", tmp_path / "out")
    assert run.finish() == 1
    assert "the last thermal image was taken 1.100 s before the first visible one" in run.errors
    assert "Starting the fusion node" not in run.output


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on the path")
def test_make_hands_on_the_topics_that_it_is_given():
    def command(*words):
        done = subprocess.run(
            ["make", "--no-print-directory", "-n", "demo", *words],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        )
        return " ".join(done.stdout.split("hkdnet demo ")[-1].replace("\\\n", "").split())

    assert command() == "--source 'simulator' --out out/demo"
    assert command("SOURCE=my bag", "THERMAL_TOPIC=/flir/image") == (
        "--source 'my bag' --thermal-topic '/flir/image' --out out/demo"
    )


def test_a_recording_is_played_once(demo, model, tmp_path):
    for stream, channels in (("thermal", ()), ("visible", (3,))):
        folder = tmp_path / "recording" / stream
        folder.mkdir(parents=True)
        for index in range(20):
            image = np.full((40, 48, *channels), 10 * index, np.uint8)
            assert cv2.imwrite(str(folder / f"{index:03d}.png"), image)
    out = tmp_path / "out"
    run = demo("--source", tmp_path / "recording", "--out", out, "--model", model, "--fps", 10)
    assert run.finish() == 0, run.errors
    figures = json.loads((out / "summary.json").read_text())
    assert max(figures["received"].values()) <= 20
    assert figures["fused_size"] == "96x80"
    assert figures["quality"] == {}


def test_a_node_that_cannot_be_configured_ends_the_demo_with_its_reason(demo, tmp_path):
    run = demo("--out", tmp_path, "--size", "64x48", "--model", "nowhere.safetensors")
    wait_for(run.children, DEADLINE_S, what="the node")
    started = run.children()
    assert run.finish() == 1
    assert run.errors.splitlines()[-1].startswith("hkdnet: the fusion node did not configure: nowhere.safetensors is")
    assert "configure failed" in run.errors
    assert "Traceback" not in run.errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_all_it_started(demo, model, tmp_path, number):
    run = demo("--out", tmp_path, "--size", "64x48", "--model", model)
    replay_log = tmp_path / "replay.log"
    wait_for(lambda: replay_log.exists() and "playing" in replay_log.read_text(), DEADLINE_S, what="the stream")
    started = run.children()
    assert len(started) == 2
    for _ in range(2):
        run.child.send_signal(number)
        time.sleep(0.1)
    assert run.finish() == 130
    assert "Traceback" not in run.errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert "leaving anyhow" not in (tmp_path / "fusion_node.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "{tmp}/file"], "file: cannot be written"),
        (["--out", "{tmp}/out", "--source", "nothing"], "nothing: no such file or folder"),
        (["--out", "{tmp}/out", "--seconds", "0"], "--seconds is 0; it must be more than 0"),
        (["--out", "{tmp}/out", "--precision", "fp8"], "precision is 'fp8'"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_starts(capsys, tmp_path, arguments, message):
    from hkdnet_ros.cli import main

    (tmp_path / "file").touch()
    assert main(["demo", *(word.format(tmp=tmp_path) for word in arguments)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.glob("**/*.log"))


def test_the_demo_keeps_to_this_machine_unless_told_otherwise(monkeypatch):
    from hkdnet_ros.trials.children import keep_to_this_machine

    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    keep_to_this_machine()
    assert 1 <= int(os.environ["ROS_DOMAIN_ID"]) <= 100
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    os.environ.update(ROS_DOMAIN_ID="7", ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    keep_to_this_machine()
    assert (os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]) == ("7", "SUBNET")
