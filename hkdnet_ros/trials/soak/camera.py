"""A camera of the soak, a process of its own: numbered images, and faults set as parameters while it runs."""

from __future__ import annotations

import random
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...images.frames import THERMAL, VISIBLE
from ...node.process import run_node
from ...options import check_options, option
from ...schema import Schema
from .numbered import SMALLEST, numbered_image

if TYPE_CHECKING:
    from rclpy.node import Node
    from sensor_msgs.msg import Image


@dataclass(frozen=True, slots=True)
class SoakCameraConfig:
    """A camera and its faults; parameters of the process by the same names. Faults and size may change at any time.

    Raises :class:`~hkdnet_ros.errors.ConfigError` for a value out of range.
    """

    stream: str = option(THERMAL, "This is the thermal or the visible camera.", choices=(THERMAL, VISIBLE))
    rate: float = option(15.0, "The camera sends this many images per second.", unit="Hz", low=1.0, high=200.0)
    reliability: str = option(
        "reliable", "Images are published with this reliability.", choices=("reliable", "best_effort")
    )
    seed: int = option(0, "Noise and random faults follow from this number.", low=0)
    first: int = option(0, "The first image has this number.", low=0)
    width: int = option(80, "Images are this wide.", unit="px", low=SMALLEST, live=True)
    height: int = option(60, "Images are this high.", unit="px", low=SMALLEST, live=True)
    frozen: bool = option(False, "The camera sends the same image again and again, with new stamps.", live=True)
    malformed: int = option(
        0, "The camera sends this many malformed images after each good one.", low=0, high=100, live=True
    )
    drop: float = option(0.0, "An image is lost with this probability.", low=0.0, high=1.0, live=True)
    delay: float = option(
        0.0, "Images arrive this much later, their stamps unchanged.", unit="s", low=0.0, high=60.0, live=True
    )
    jitter: float = option(
        0.0, "Stamps are wrong by a random amount of up to this, to either side.", unit="s", low=0.0, live=True
    )
    offset: float = option(0.0, "Stamps are wrong by this.", unit="s", live=True)

    def __post_init__(self) -> None:
        check_options(self)


def malformed_image(chance: random.Random, stamp_ns: int = 0) -> Image:
    """Return an image whose header contradicts itself or its data, in one way of many."""
    from sensor_msgs.msg import Image

    from ...node.image_messages import ns_to_stamp

    message = Image(
        height=chance.choice([0, 1, 24, 2**32 - 1]),
        width=chance.choice([0, 1, 32, 2**32 - 1]),
        encoding=chance.choice(["", "mono8", "mono17", "32FC1", "bayer_rggb8", "rgb8", "16UC1"]),
        step=chance.choice([0, 7, 32, 2**32 - 1]),
        is_bigendian=chance.randrange(256),
        data=array("B", b"12345"),
    )
    message.header.stamp = ns_to_stamp(stamp_ns)
    return message


class FaultyCamera:
    """What a camera with faults sends at each tick; time comes in, messages go out, no topic here."""

    def __init__(self, config: SoakCameraConfig) -> None:
        self._random = random.Random(f"{config.seed} {config.stream}")
        self._next = config.first
        self._shown: int | None = None
        self._late: deque[tuple[float, list[Image]]] = deque()

    def tick(self, config: SoakCameraConfig, now_ns: int, steady_s: float) -> list[Image]:
        """Return what is to be sent now, at ``now_ns`` by the wall clock and ``steady_s`` by the steady one."""
        number, self._next = self._next, self._next + 1
        self._shown = self._shown if config.frozen and self._shown is not None else number
        stamp_ns = now_ns + round((config.offset + config.jitter * self._random.uniform(-1.0, 1.0)) * 1e9)
        if self._random.random() >= config.drop:
            messages = [self._image(config, self._shown, stamp_ns)]
            messages += [malformed_image(self._random, stamp_ns) for _ in range(config.malformed)]
            self._late.append((steady_s + config.delay, messages))
        due: list[Image] = []
        while self._late and self._late[0][0] <= steady_s:
            due += self._late.popleft()[1]
        return due

    @staticmethod
    def _image(config: SoakCameraConfig, number: int, stamp_ns: int) -> Image:
        from ...node.image_messages import encode_image

        image: NDArray[Any] = numbered_image(config.stream, number, config.width, config.height, config.seed)
        encoding = "mono8"
        if config.stream == VISIBLE:
            image, encoding = np.repeat(image[..., None], 3, axis=2), "rgb8"
        return encode_image(image, encoding, stamp_ns, f"{config.stream}_optical")


def _make_node() -> Node:
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    from ...node.parameters import NodeParameters
    from ...replay.player import TOPICS

    node = Node("camera")
    parameters = NodeParameters(node, Schema(SoakCameraConfig), lambda: True)
    begun = parameters.config()
    camera = FaultyCamera(begun)
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[begun.reliability.upper()])
    publisher = node.create_publisher(Image, f"{TOPICS[begun.stream]}/image_raw", qos)

    def send() -> None:
        for message in camera.tick(parameters.config(), time.time_ns(), time.monotonic()):
            publisher.publish(message)

    # In the callback group of the parameter services, so that a set of several holds from one image on.
    node.create_timer(1.0 / begun.rate, send)
    return node


def main(argv: Sequence[str] | None = None) -> int:
    """Send until a signal; return the exit status."""
    return run_node(lambda loader: _make_node(), argv)


if __name__ == "__main__":
    sys.exit(main())
