"""The examples run as their first line says, with what a user would give them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import slope
from recordings import BagWriter, thermal_image, visible_image
from rigging import wait_for

import hkdnet_ros

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = (48, 36)  # width, height


def run(name, *arguments):
    """Run an example to its end and return what it printed."""
    pytest.importorskip("torch")
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_image_files_are_fused(tmp_path, dtype):
    thermal, visible = thermal_image(3, dtype, SIZE), visible_image(3, (96, 72))
    cv2.imwrite(str(tmp_path / "t.png"), thermal)
    cv2.imwrite(str(tmp_path / "v.png"), visible)
    out = run("fuse_images.py", tmp_path / "t.png", tmp_path / "v.png", tmp_path / "f.png")
    assert "96x72" in out
    fused = cv2.imread(str(tmp_path / "f.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(fused, hkdnet_ros.fuse(thermal, visible))


def test_a_missing_image_is_named(tmp_path):
    command = [sys.executable, EXAMPLES / "fuse_images.py", tmp_path / "none.png", tmp_path / "none.png", "f.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("none.png: not a readable image")


def test_a_bag_is_judged_by_the_core(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for index in range(6):
            stamp = 10**9 + index * 50_000_000
            bag.image("/t/image_raw", thermal_image(index, size=SIZE), "mono8", stamp, "t")
            if index != 2:
                bag.image("/v/image_raw", visible_image(index, SIZE), "bgr8", stamp + 1_000_000, "v")
    lines = run("evaluate_bag.py", tmp_path / "bag", "/t/image_raw", "/v/image_raw").splitlines()
    assert [line.split(maxsplit=1) for line in lines[:2]] == [["5", "frames fused"], ["1", "dropped: unpaired"]]
    assert [line.split()[1] for line in lines[2:]] == ["MI", "VIFp", "Qabf", "SSIM"]
    assert all(float(line.split()[0]) > 0.1 for line in lines[2:])


def test_images_are_heard_with_their_status(tmp_path, make_node, rig):
    make_node()
    rig.wait_for_node()
    log = tmp_path / "log"
    with log.open("w") as stream:
        listener = subprocess.Popen(
            [sys.executable, EXAMPLES / "subscribe_fused.py"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "RCUTILS_LOGGING_BUFFERED_STREAM": "0"},
        )
    try:
        wait_for(lambda: rig.node.count_subscribers("fused/status") == 2, what="the listener")
        for index in range(1, 100):
            rig.publish_pair(slope(24, 32, 0, 160), np.dstack([slope(24, 32, 0, 160)] * 3), index * 10**8)
            wait_for(lambda: len(rig.statuses) >= index, what="a status")  # noqa: B023
            if "fused 64x48" in log.read_text():
                break
        time.sleep(0.3)  # rclpy itself may stumble over a SIGINT in the middle of a message
        listener.send_signal(signal.SIGINT)
        assert listener.wait(10) == 0, log.read_text()
    finally:
        listener.kill()
        listener.wait()
    text = log.read_text()
    assert "fused 64x48, mean 80" in text
    assert "Traceback" not in text
