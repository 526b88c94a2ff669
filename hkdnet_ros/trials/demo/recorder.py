"""Keeps what goes over the topics while the node works, serialised as it came, and reads it afterwards.

To spend as little of the processor as can be, nothing is decoded but stamps until the stream has ended.
"""

from __future__ import annotations

import struct
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from hkdnet_ros.msg import FusionStatus

BUDGET_BYTES = 640 << 20
_RECENT_BYTES = 96 << 20  # of each camera's images, which wait for their fused image
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shot:
    """The serialised messages of one fused image; the visible one was the ``number``-th received, from 0."""

    number: int
    thermal: bytes
    visible: bytes
    fused: bytes

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self.thermal) + len(self.visible) + len(self.fused)


class ThinnedShots:
    """Shots spread evenly over a stream of any length, in bounded memory.

    Keeps every one as long as they fit into ``budget`` bytes; then drops every second and keeps every second from
    there on, and so forth.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._size = 0
        self._offered = 0
        self.stride = 1
        self.kept: list[Shot] = []

    def offer(self, shot: Shot) -> None:
        """Take the next shot of the stream, or leave it."""
        if self._offered % self.stride == 0:
            self.kept.append(shot)
            self._size += shot.size
        self._offered += 1
        while self._size > self._budget and len(self.kept) > 1:
            self.kept = self.kept[::2]
            self.stride *= 2
            self._size = sum(kept.size for kept in self.kept)


@dataclass(slots=True)
class _Recent:
    """The latest images of a camera by stamp, with the number of each."""

    images: OrderedDict[int, tuple[int, bytes]] = field(default_factory=OrderedDict)
    count: int = 0

    def add(self, message: bytes) -> None:
        self.images[stamp_of(message)] = self.count, message
        self.count += 1
        if len(self.images) * len(message) > _RECENT_BYTES:
            self.images.popitem(last=False)

    def nearest(self, stamp_ns: int) -> bytes | None:
        if not self.images:
            return None
        return self.images[min(self.images, key=lambda stamp: abs(stamp - stamp_ns))][1]


def stamp_of(message: bytes) -> int:
    """Return the stamp, in ns, of a serialised message that begins with a std_msgs/Header.

    After four bytes that tell the encoding, CDR has the fields in order: int32 sec, uint32 nanosec.
    """
    little_endian = message[1] & 1
    seconds, nanoseconds = struct.unpack_from("<iI" if little_endian else ">iI", message, 4)
    return int(seconds) * _NS + int(nanoseconds)


class DemoRecorder:
    """Subscribes both cameras and what the fusion node publishes. Callbacks run in one thread."""

    def __init__(self, node: Node) -> None:
        self.shots = ThinnedShots()
        self.statuses: list[bytes] = []
        self.published = 0
        self.first_s = 0.0  # time.monotonic() at the first fused image
        self.last_s = 0.0
        self._cameras = {"thermal": _Recent(), "visible": _Recent()}
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        for kind, topic, keep in (
            (Image, "thermal/image_raw", self._cameras["thermal"].add),
            (Image, "visible/image_raw", self._cameras["visible"].add),
            (Image, "fused/image", self._keep_fused),
            (FusionStatus, "fused/status", self._keep_status),
        ):
            node.create_subscription(kind, topic, keep, qos, raw=True)

    def received(self, stream: str) -> int:
        """Return the number of camera images of ``stream`` that came here."""
        return self._cameras[stream].count

    def _keep_status(self, message: bytes) -> None:
        if self.published:
            self.statuses.append(message)

    def _keep_fused(self, message: bytes) -> None:
        # At the very start this node may not hear the replay yet while the fusion node does: that counts for nothing,
        # or a short demo might end without a single image to show.
        if not all(camera.images for camera in self._cameras.values()):
            return
        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.published += 1
        stamp_ns = stamp_of(message)
        # The fused image has the visible one's stamp; the thermal one was taken for the nearest.
        visible = self._cameras["visible"].images.get(stamp_ns)
        thermal = self._cameras["thermal"].nearest(stamp_ns)
        if visible and thermal:
            self.shots.offer(Shot(visible[0], thermal, visible[1], message))
