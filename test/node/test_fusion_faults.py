"""Faults over real topics: no crash, no wrong pair, and back to fused within 2 s of the fault's end.

Every image bears its number in its pixels and the stand-in for the network shows both numbers side by side, so that
each published pair is checked.
"""

from __future__ import annotations

import gc
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque

import numpy as np
import pytest
from rigging import FakeEngine, Rig, Spun, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from hkdnet_ros.images.messages import stamp_to_ns
from hkdnet_ros.node.diagnostics import resident_bytes
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.trials.soak.camera import malformed_image
from hkdnet_ros.trials.soak.faults import STORM_HZ, storm_of_sets
from hkdnet_ros.trials.soak.run import STALLED_SUBSCRIBER

MS = 10**6
PERIOD_S = 0.04
SLOP_NS = 20 * MS
CODES = 251  # numbers in the pixels begin again after this

# Short, so that a test takes 3 s; what is compared does not depend on it. Levels as they are: noise would be held down.
LIMITS = {
    "thermal.range_high": 255.0,
    "sync.slop": SLOP_NS / 1e9,
    "mode.limit": 0.4,
    "mode.return_time": 0.3,
    "mode.frozen_limit": 0.6,
    "shutter.frozen_time": 0.1,
}


class Showing(FakeEngine):
    """Shows the thermal image on the left of the visible one."""

    def fuse(self, thermal, visible):
        self.timings = {}
        both = [
            np.kron(image / (255 if image.dtype == np.uint8 else 1), np.ones((2, 2))) for image in (thermal, visible)
        ]
        half = both[0].shape[1] // 2
        return np.hstack([both[0][:, :half], both[1][:, half:]]).astype(np.float32)


def numbered(code, size):
    """Return a noisy image, as uniform ones are taken for a closed shutter, whose first row is ``code``."""
    image = np.random.default_rng(code).integers(0, 256, size).astype(np.uint8)
    image[0] = code
    return image


class Cameras:
    """Two cameras that send numbered images until closed, with faults as attributes that may change at any time."""

    def __init__(self, rig):
        self._rig = rig
        self.stamps = {"thermal": {}, "visible": {}}  # stamp -> code
        self.silent, self.frozen = set(), False
        self.drop = self.jitter_s = self.delay_s = self.offset_s = 0.0
        self.size = (24, 32)
        self._late = deque()
        self._random = random.Random(0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._ending.set()
        self._thread.join()

    def _run(self):
        frozen = 0
        for number in itertools.count():
            if self._ending.wait(PERIOD_S):
                return
            now_ns = time.time_ns() + round(self.offset_s * 1e9)
            code = number % CODES
            frozen = frozen if self.frozen else code
            self._send("visible", code, now_ns)
            self._late.append((time.monotonic() + self.delay_s, frozen, now_ns))
            while self._late and self._late[0][0] <= time.monotonic():
                _, code, stamp_ns = self._late.popleft()
                self._send("thermal", code, stamp_ns)

    def _send(self, stream, code, stamp_ns):
        if stream in self.silent or self._random.random() < self.drop:
            return
        stamp_ns += round(self._random.uniform(-1, 1) * self.jitter_s * 1e9)
        self.stamps[stream][stamp_ns] = code
        publisher = self._rig.thermal if stream == "thermal" else self._rig.visible
        publisher.publish(encode_image(numbered(code, self.size), "mono8", stamp_ns, stream))


class Scene:
    """A node and its cameras, sending."""

    def __init__(self, node, rig, cameras):
        self.node, self.rig, self.cameras = node, rig, cameras

    def mode(self):
        return self.node._session.mode

    def wait_for_mode(self, mode, timeout_s=10.0):
        wait_for(lambda: self.mode() == mode, timeout_s, what=f"mode {mode}")

    def wait_for_fused(self, count, timeout_s=10.0):
        """Wait for ``count`` more images of live pairs."""
        begin = len(self.rig.statuses)
        wait_for(
            lambda: sum(status.mode == "fused" for status in self.rig.statuses[begin:]) >= count,
            timeout_s,
            what=f"{count} fused images",
        )

    def assert_back(self):
        """Fused again within 2 s, and every image of the whole time is of its own pair, and came once."""
        self.wait_for_fused(3, timeout_s=2.0)
        modes = {stamp_to_ns(status.header.stamp): status.mode for status in list(self.rig.statuses)}
        images = {stamp_to_ns(image.header.stamp): image for image in list(self.rig.images)}
        assert len(images) == len(self.rig.images)
        for stamp_ns in modes.keys() & images.keys():
            left, right = shown(images[stamp_ns])
            assert right == self.cameras.stamps["visible"][stamp_ns]
            if modes[stamp_ns] == "fused":
                near = [
                    code for at, code in list(self.cameras.stamps["thermal"].items()) if abs(at - stamp_ns) <= SLOP_NS
                ]
                assert left in near
            elif modes[stamp_ns] == "visible":
                assert left == right
        drops = self.node._session.totals().drops
        assert not {"internal error", "bad pair"} & set(drops)


def shown(image):
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width)
    return int(pixels[0, 0]), int(pixels[0, -1])


@pytest.fixture
def scene(make_node, rig):
    engine = Showing()
    node = make_node(lambda config: engine, **LIMITS)
    rig.wait_for_node()
    cameras = Cameras(rig)
    scene = Scene(node, rig, cameras)
    scene.wait_for_fused(35)  # 30 images that differ: from then on a repeated one is known to be frozen
    yield scene
    cameras.close()


def test_a_thermal_camera_that_dies_and_comes_back(scene):
    scene.cameras.silent = {"thermal"}
    scene.wait_for_mode("visible")
    scene.cameras.silent = set()
    scene.assert_back()


def test_a_visible_camera_that_dies_and_comes_back(scene):
    scene.cameras.silent = {"visible"}
    scene.wait_for_mode("stopped")
    scene.cameras.silent = set()
    scene.assert_back()


def test_both_cameras_that_die_and_come_back(scene):
    scene.cameras.silent = {"thermal", "visible"}
    scene.wait_for_mode("stopped")
    scene.cameras.silent = set()
    scene.assert_back()


def test_a_thermal_camera_that_freezes_is_held_then_left_out(scene):
    scene.cameras.frozen = True
    wait_for(lambda: any(status.mode == "held" for status in scene.rig.statuses), what="a held image")
    scene.wait_for_mode("visible")
    scene.cameras.frozen = False
    scene.assert_back()


def test_sizes_that_change(scene):
    for size in ((32, 24), (16, 40)):
        scene.cameras.size = size
        scene.wait_for_fused(5)
    assert (scene.rig.images[-1].height, scene.rig.images[-1].width) == (32, 80)
    scene.assert_back()


@pytest.mark.parametrize(
    ("fault", "amount"),
    [
        pytest.param("drop", 0.5, id="half of all images lost"),
        pytest.param("delay_s", 0.3, id="a stream that comes late"),
        pytest.param("jitter_s", 0.03, id="jitter of the stamps"),
    ],
)
def test_a_fault_of_the_streams(scene, fault, amount):
    setattr(scene.cameras, fault, amount)
    scene.wait_for_fused(8)
    setattr(scene.cameras, fault, 0.0)
    scene.assert_back()


def test_a_recording_that_loops(scene):
    for offset_s in (-100.0, -200.0):
        scene.cameras.offset_s = offset_s
        scene.wait_for_fused(5)
    scene.assert_back()


def test_a_storm_of_parameters(scene):
    """100 sets per second through the service: live ones, wrong ones, and ones of fixed parameters."""
    client = scene.rig.node.create_client(SetParameters, "fusion/set_parameters")
    wait_for(client.service_is_ready, what="the parameter service")
    published = len(scene.rig.statuses)
    expected, futures = [], []
    for name, value, succeeds in itertools.islice(storm_of_sets(), 300):
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        expected.append((name, succeeds))
        futures.append(client.call_async(SetParameters.Request(parameters=parameters)))
        time.sleep(1 / STORM_HZ)
    wait_for(lambda: all(future.done() for future in futures), what="all answers")
    answers = [future.result().results[0].successful for future in futures]
    assert list(zip([name for name, _ in expected], answers, strict=True)) == expected
    assert len(scene.rig.statuses) > published + 30
    scene.assert_back()


def test_ten_thousand_malformed_images(scene):
    """Some over the topics; most handed to the node among its callbacks, as the topics' queues would lose many."""
    chance = random.Random(1)
    over_topics, in_all = 50, 10_000

    def refused():
        drops = scene.node._session.totals().drops
        return drops["bad thermal image"] + drops["bad visible image"]

    for index in range(over_topics):
        chance.choice([scene.rig.thermal, scene.rig.visible]).publish(malformed_image(chance))
        wait_for(lambda: refused() > index, what=f"drop {index}")  # noqa: B023
    left = [in_all - over_topics]
    resident = []

    def receive_some():
        if left[0] <= in_all - 1000 and not resident:
            gc.collect()
            resident.append(resident_bytes())
        for _ in range(min(left[0], 190)):
            left[0] -= 1
            scene.node._session.receive(chance.choice(["thermal", "visible"]), malformed_image(chance))

    scene.node.create_timer(0.001, receive_some, scene.node._receiving)
    wait_for(lambda: not left[0] and refused() >= in_all, what="all of them")
    assert refused() == in_all
    gc.collect()
    # The 9,000 since then are 10 MB and more where they are kept; what this test keeps of the images fused meanwhile,
    # and what allocators do, is less.
    assert resident_bytes() - resident[0] < 8 << 20
    scene.assert_back()


def test_a_subscriber_that_stalls_delays_nobody_else(scene):
    stalled = Spun()
    try:
        node = rclpy.create_node("stalled", context=stalled.context)
        node.create_subscription(Image, "fused/image", lambda image: time.sleep(1.5), 1)
        stalled.add(node)
        begun = time.monotonic()
        scene.wait_for_fused(25)
        assert time.monotonic() - begun < 4 * 25 * PERIOD_S
    finally:
        stalled.close()
    scene.assert_back()


def test_a_subscriber_whose_process_is_stopped_delays_nobody(scene):
    """It acknowledges nothing any more and stays in the graph."""
    stalled = subprocess.Popen([sys.executable, "-c", STALLED_SUBSCRIBER], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: scene.node._outputs["fused/image"].get_subscription_count() == 2, what="the subscriber")
        stalled.send_signal(signal.SIGSTOP)
        before = resident_bytes()
        begun = time.monotonic()
        scene.wait_for_fused(50)
        assert time.monotonic() - begun < 4 * 50 * PERIOD_S
        assert resident_bytes() - before < 8 << 20
    finally:
        stalled.kill()
        stalled.wait()
    scene.assert_back()


def test_cameras_under_two_namespaces_do_not_mix(spun):
    from hkdnet_ros.node.fusion import FusionNode

    def make(name):
        words = ["--ros-args", "-r", f"__ns:=/{name}", "-p", "thermal.range_high:=255.0"]
        return spun.add(FusionNode(lambda config: Showing(), context=spun.context, cli_args=words), threads=4)

    nodes = [make(name) for name in ("front", "rear")]
    for node in nodes:
        wait_for(lambda node=node: node._session is not None, what="the active state")
    rig = Rig(spun)
    images = []
    rig.node.create_subscription(Image, "/front/fused/image", images.append, 10)
    cameras = [rig.node.create_publisher(Image, f"/front/{topic}/image_raw", 10) for topic in ("thermal", "visible")]
    for camera in cameras:
        wait_for(camera.get_subscription_count, what="a subscription")
    wait_for(lambda: nodes[0]._outputs["fused/image"].get_subscription_count(), what="the viewer")
    for camera, code in zip(cameras, (3, 4), strict=True):
        camera.publish(encode_image(numbered(code, (24, 32)), "mono8", 10**9, "front"))
    wait_for(lambda: images, what="the image")
    assert shown(images[0]) == (3, 4)
    assert nodes[1]._session.totals().received == {}
