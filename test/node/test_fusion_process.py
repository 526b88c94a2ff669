"""The node as a process: it ends in order on signals, whenever they come and however often."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from rigging import TIMEOUT_S, Rig, wait_for
from struck_node import MOMENTS

pytest.importorskip("rclpy", reason="needs ROS 2")

from hkdnet_ros.node.image_messages import encode_image

HERE = Path(__file__).parents[1]


class Process:
    """A child process whose output is read as it comes."""

    def __init__(self, folder, command, **environment):
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.child = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **environment})

    def output(self):
        return self._out.read_text()

    def wait_for(self, text):
        try:
            wait_for(lambda: text in self.output() or self.child.poll() is not None, what=f"output of {text!r}")
        finally:  # pytest shows it where the test fails
            print(self.errors())
        assert self.child.poll() is None

    def errors(self):
        return self._err.read_text()

    def ended(self):
        return self.child.wait(TIMEOUT_S)


@pytest.fixture
def start(tmp_path):
    processes = []

    def start(*command, **environment):
        processes.append(Process(tmp_path, [sys.executable, *map(str, command)], **environment))
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.child.kill()
        process.child.wait()


def assert_clean(process):
    assert process.ended() == 0, process.errors()
    assert "Traceback" not in process.errors()
    assert "leaving anyhow" not in process.errors()


both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@both_signals
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_ends_an_active_node_in_order(start, number, times):
    process = start(HERE / "held_node.py", "nowhere")
    process.wait_for("now: active")
    for _ in range(times):
        process.child.send_signal(number)
        time.sleep(0.02)
    assert_clean(process)
    assert "stopped: 0 thermal" in process.errors()


@both_signals
def test_a_late_signal_does_not_spoil_an_end_in_order(start, number):
    process = start(HERE / "held_node.py", "finalizing")
    process.wait_for("now: active")
    process.child.send_signal(number)
    process.wait_for("now: finalizing")
    process.child.send_signal(number)
    assert_clean(process)


@both_signals
def test_a_signal_that_does_not_interrupt_the_wait_for_it_ends_the_node_all_the_same(start, number):
    """As one that comes a moment before that wait; here another thread gets it."""
    process = start(HERE / "held_node.py", "elsewhere")
    process.wait_for("now: active")
    process.child.send_signal(number)
    assert_clean(process)


@both_signals
@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
def test_a_signal_ends_a_node_that_is_not_active(start, state, number):
    process = start(HERE / "held_node.py", state)
    process.wait_for(f"now: staying {state}")
    process.child.send_signal(number)
    assert_clean(process)


@both_signals
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_while_the_model_loads_ends_the_node_without_it(start, number, times):
    process = start(HERE / "held_node.py", "configure")
    process.wait_for("now: configure")
    for _ in range(times):
        process.child.send_signal(number)
        time.sleep(0.02)
    assert_clean(process)
    assert "configure given up: the node is to end" in process.errors()
    assert "active" not in process.output()


@both_signals
@pytest.mark.parametrize("stream", ["visible", "thermal"])
def test_a_signal_ends_a_node_that_is_left_with_one_camera(start, spun, stream, number):
    rig = Rig(spun)
    process = start(HERE / "held_node.py", "nowhere")
    process.wait_for("now: active")
    rig.wait_for_node()
    camera = rig.visible if stream == "visible" else rig.thermal

    def is_alone():
        camera.publish(encode_image(np.zeros((16, 16), np.uint8), "mono8", time.time_ns(), stream))
        time.sleep(0.02)
        return rig.statuses and rig.statuses[-1].mode == stream

    wait_for(is_alone, what=f"mode {stream}")
    process.child.send_signal(number)
    assert_clean(process)


def start_fusing(start, spun, held_at):
    """Return a node that took a pair and is held at ``held_at`` of its processing."""
    rig = Rig(spun)
    process = start(HERE / "held_node.py", held_at)
    process.wait_for("now: active")
    rig.wait_for_node()
    # More than one, some time apart: the node may not have found both cameras when they have found it.
    stop, stamps = threading.Event(), itertools.count(10**9, 10**9)

    def send():
        while not stop.is_set():
            rig.publish_pair(np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8), next(stamps))
            stop.wait(1.0)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        process.wait_for(f"now: {held_at}")
    finally:
        stop.set()
        sending.join()
    return process


@both_signals
def test_a_signal_while_the_cpu_takes_over_ends_it_when_it_has(start, spun, number):
    process = start_fusing(start, spun, "fallback")
    process.child.send_signal(number)
    assert_clean(process)
    assert "going on with the CPU" in process.errors()


def test_two_signals_during_inference_end_it_after_that_pair(start, spun):
    process = start_fusing(start, spun, "fuse")
    for _ in range(2):
        process.child.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert_clean(process)
    assert " pairs, 1 fused" in process.errors()


@both_signals
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_of_the_start_ends_it_in_order(start, moment, number):
    process = start(HERE / "struck_node.py", moment, int(number))
    assert_clean(process)
    assert process.output().startswith(f"now: {moment}\n")


@both_signals
@pytest.mark.parametrize("delay_s", [0.0, 0.15, 0.3, 0.5, 1.0, 2.0])
def test_a_signal_ends_the_start_of_the_real_node_in_order(start, delay_s, number):
    process = start(
        "-c",
        "from hkdnet_ros.node import fusion_node, stop_switch\n"
        "obey = stop_switch.StopSwitch.obey_signals\n"
        "def say(self): obey(self); print('now: started', flush=True)\n"
        "stop_switch.StopSwitch.obey_signals = say\n"
        "raise SystemExit(fusion_node.main(['fusion_node']))",
    )
    process.wait_for("now: started")
    time.sleep(delay_s)
    process.child.send_signal(number)
    assert_clean(process)


def test_a_defect_in_a_callback_ends_the_process_with_its_traceback(start):
    process = start(HERE / "held_node.py", "defect")
    assert process.ended() == 1
    assert "ZeroDivisionError" in process.errors()


def test_opencv_computes_in_the_thread_that_calls_it(monkeypatch):
    from hkdnet_ros.node import fusion, fusion_node

    threads = cv2.getNumThreads()
    monkeypatch.setattr(fusion, "FusionNode", lambda **options: cv2.getNumThreads())
    cv2.setNumThreads(2)
    try:
        assert fusion_node.make_node(None) == 1
    finally:
        cv2.setNumThreads(threads)


def test_arguments_that_ros_refuses_are_named_without_a_traceback(start):
    process = start("-m", "hkdnet_ros.node.fusion_node", "--ros-args", "--params-file", "/nowhere.yaml")
    assert process.ended() == 2
    assert "/nowhere.yaml" in process.errors().splitlines()[-1]
    assert "Traceback" not in process.errors()


@pytest.mark.parametrize(("module", "remedy"), [("rclpy", "source a ROS 2"), ("hkdnet_ros.msg", "run `colcon build`")])
def test_what_is_not_installed_is_one_line_with_the_remedy(start, module, remedy):
    code = f"""
import sys
sys.modules["{module}"] = None
from hkdnet_ros.node.fusion_node import main
sys.exit(main(["x"]))
"""
    process = start("-c", code)
    assert process.ended() == 2
    (line,) = process.errors().splitlines()
    assert module in line
    assert remedy in line
