"""What the node's tests are made with: a stand-in for the network, spun nodes, two cameras and a viewer."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np

from hkdnet_ros.inference.sizes import Sizes

TIMEOUT_S = 20.0


def wait_for(condition, timeout_s=TIMEOUT_S, what="the condition"):
    """Wait until ``condition()`` is true and return its value; fail the test after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come about within {timeout_s} s"
        time.sleep(0.005)
    return value


class FakeEngine:
    """Averages the two images and repeats each pixel; can be held, and can fail."""

    model_name = "fake"
    backend = "fake"
    device = "cpu"
    precision = "fp32"
    memory = None
    takes_raw = False

    def __init__(self, scale=2):
        self.scale = scale
        self.timings = {}
        self.given = []  # height and width of every call's images
        self.warmed_up = []
        self.closed = False
        self.error = None
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    @property
    def sizes(self):
        return Sizes(thermal=self.scale, visible=self.scale)

    def choose(self, thermal, visible):
        return self

    def warm_up(self, height, width):
        self.warmed_up.append((height, width))
        return 0.25

    def fuse(self, thermal, visible):
        self.entered.set()
        self.go_on.wait()
        if self.error is not None:
            raise self.error
        self.given.append(thermal.shape)
        thermal, visible = (image / np.float32(255 if image.dtype == np.uint8 else 1) for image in (thermal, visible))
        self.timings = {"upload": 0.0, "network": 1.0, "download": 0.0}
        return np.kron((thermal + visible) / 2, np.ones((self.scale, self.scale))).astype(np.float32)

    def close(self):
        self.closed = True


class Logger:
    """Keeps what is logged, and refuses as rclpy's does a line of code that logs with changing severity."""

    def __init__(self):
        self.lines = []
        self._severities = {}

    def _keep(self, message, severity):
        caller = sys._getframe(2)
        place = caller.f_code, caller.f_lineno
        assert self._severities.setdefault(place, severity) == severity, "severity changed between calls"
        self.lines.append(message)

    def info(self, message):
        self._keep(message, "info")

    def warning(self, message):
        self._keep(message, "warning")

    def error(self, message):
        self._keep(message, "error")


def kept_log(node, monkeypatch):
    """Return the list that the node's log lines go to from now on."""
    lines = []

    class Kept:
        def __getattr__(self, severity):
            return lambda message, **_: lines.append(f"{severity}: {message}")

    monkeypatch.setattr(node, "get_logger", Kept)
    return lines


class Spun:
    """A context of its own with nodes spinning in it, each in a thread."""

    def __init__(self):
        import rclpy

        self._rclpy = rclpy
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self._spinning = []

    def add(self, node, threads=1):
        """Spin ``node`` until the end of the test."""
        from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor

        executor = (
            SingleThreadedExecutor(context=self.context)
            if threads == 1
            else MultiThreadedExecutor(threads, context=self.context)
        )
        executor.add_node(node)
        ending = threading.Event()

        def spin():
            while not ending.is_set():
                executor.spin_once(timeout_sec=0.2)

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        self._spinning.append((node, executor, ending, thread))
        return node

    def close(self):
        for _, executor, ending, thread in self._spinning:
            ending.set()
            executor.wake()
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()
        for node, executor, _, _ in self._spinning:
            executor.shutdown()
            node.destroy_node()
        self._rclpy.shutdown(context=self.context)


class Rig:
    """Two cameras and a viewer: publishes what the fusion node subscribes and keeps what it publishes."""

    def __init__(self, spun, reliability="RELIABLE"):
        import rclpy
        from hkdnet_ros.msg import FusionStatus
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import CameraInfo, Image

        self.node = rclpy.create_node("rig", context=spun.context)
        qos = QoSProfile(depth=20, reliability=ReliabilityPolicy[reliability])
        self.thermal = self.node.create_publisher(Image, "thermal/image_raw", qos)
        self.visible = self.node.create_publisher(Image, "visible/image_raw", qos)
        self.camera_info = self.node.create_publisher(CameraInfo, "visible/camera_info", 5)
        self.images, self.camera_infos, self.statuses = [], [], []
        self.node.create_subscription(Image, "fused/image", self.images.append, 50)
        self.node.create_subscription(CameraInfo, "fused/camera_info", self.camera_infos.append, 50)
        self.node.create_subscription(FusionStatus, "fused/status", self.statuses.append, 50)
        spun.add(self.node)

    def wait_for_node(self):
        """Wait until the fusion node listens to both cameras and is heard here."""
        for publisher in (self.thermal, self.visible, self.camera_info):
            wait_for(publisher.get_subscription_count, what=f"a subscription of {publisher.topic_name}")
        for topic in ("fused/image", "fused/camera_info", "fused/status"):
            wait_for(lambda topic=topic: self.node.count_publishers(topic), what=f"a publisher of {topic}")
        # The node has to have matched this side's endpoints, too, which nothing here can see.
        time.sleep(0.3)

    def publish_pair(self, thermal, visible, stamp_ns, encodings=("mono8", "bgr8")):
        """Publish one image on each camera topic."""
        from hkdnet_ros.node.image_messages import encode_image

        self.thermal.publish(encode_image(thermal, encodings[0], stamp_ns, "thermal_optical"))
        self.visible.publish(encode_image(visible, encodings[1], stamp_ns, "visible_optical"))
