"""A FusionSession without topics: messages go in as calls and come out in lists."""

from __future__ import annotations

import numpy as np
from rigging import wait_for
from sensor_msgs.msg import CameraInfo

from hkdnet_ros.images.messages import NS_PER_S
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.node.schema import build
from hkdnet_ros.node.session import FusionSession, Outputs

NOW_NS = 1_000_000_000_000
MS = 1_000_000


def gray(stamp_ns, height=20, width=30, value=100):
    return encode_image(np.full((height, width), value, np.uint8), "mono8", stamp_ns, "thermal")


def bgr(stamp_ns, height=20, width=30, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return encode_image(image, "bgr8", stamp_ns, "visible")


class Kept(list):
    """A publisher that keeps what it is given."""

    subscribers = 1

    def publish(self, message):
        self.append(message)

    def get_subscription_count(self):
        return self.subscribers


class Session:
    """A session with its outputs."""

    def __init__(self, engine, logger, **parameters):
        self.images, self.compressed, self.camera_infos, self.statuses = Kept(), Kept(), Kept(), Kept()
        self.previews, self.validities, self.temperatures, self.overlays = Kept(), Kept(), Kept(), Kept()
        for kept in (self.compressed, self.previews, self.validities, self.temperatures, self.overlays):
            kept.subscribers = 0
        self.logger = logger
        self.now_ns, self.devices_lost = NOW_NS + 50 * MS, []
        outputs = Outputs(
            image=self.images,
            compressed=self.compressed,
            camera_info=self.camera_infos,
            status=self.statuses,
            validity=self.validities,
            temperature=self.temperatures,
            overlay=self.overlays,
            preview=self.previews,
            now_ns=lambda: self.now_ns,
            device_lost=lambda: self.devices_lost.append(True),
        )
        self.it = FusionSession(build(parameters), engine, outputs, logger)

    def pair(self, stamp_ns, thermal=None, visible=None):
        self.it.receive("thermal", thermal or gray(stamp_ns))
        self.it.receive("visible", visible or bgr(stamp_ns))

    def stream(self, seconds, rate=10):
        """Let both cameras send for some time, and the node's timer run."""
        for _ in range(round(seconds * rate)):
            self.now_ns += NS_PER_S // rate
            self.pair(self.now_ns, noisy(self.now_ns))
            self.it.tick()
            wait_for(self.is_done, what="the status of the pair")  # so that nothing is superseded

    def is_done(self):
        """Whether every pair was published, status and all."""
        totals = self.it.totals()
        return totals.pairs == totals.published == len(self.statuses)

    def drops(self):
        return dict(self.it.totals().drops)


def noisy(stamp_ns):
    image = np.random.default_rng(stamp_ns % 1000003).integers(0, 256, (20, 30)).astype(np.uint8)
    return encode_image(image, "mono8", stamp_ns, "thermal")


def camera(width, height):
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0, 0.0])
    message.k = [25.0, 0.0, 14.5, 0.0, 26.0, 9.5, 0.0, 0.0, 1.0]
    message.p = [25.0, 0.0, 14.5, -2.5, 0.0, 26.0, 9.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.header.frame_id = "elsewhere"
    return message
