"""Two cameras in a process of their own that cost as little as a process can: a few noisy images, in turn.

Run as ``python -m hkdnet_ros.trials.benchmark.cameras THERMAL VISIBLE RATE SECONDS --ros-args -r __ns:=...``, sizes as
WxH. It waits until both topics have a subscriber, and publishes pairs of one stamp, the moment they are sent. SIGUSR1
says that the node is warm: from then on it publishes for SECONDS more, and prints how many pairs those were.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

QOS = QoSProfile(depth=5)
"""Reliable: what best effort loses of large images (docs/large_images.md) is not what is measured."""

WAIT_S = 60.0
IMAGES = 4  # one alone would be a frozen camera
_STAMP_AT = 4  # behind the CDR header of a serialised message: seconds, then nanoseconds, 4 bytes each


def parse(size: str) -> tuple[int, int]:
    """Return (width, height) of "WxH"."""
    width, height = size.split("x")
    return int(width), int(height)


def image_message(size: tuple[int, int], encoding: str, seed: int) -> Image:
    """Return a noisy ramp of ``size`` (width, height), mono16 or bgr8."""
    random = np.random.default_rng(seed)
    width, height = size
    ramp = np.linspace(0.2, 0.8, width) + 0.05 * random.standard_normal((height, width))
    if encoding == "mono16":
        pixels = (28000 + 4000 * ramp).astype("<u2")  # centikelvin
    else:
        pixels = np.repeat((255 * ramp.clip(0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)
    message = Image(height=height, width=width, encoding=encoding, step=pixels.nbytes // height)
    message.header.frame_id = "camera"
    message.data.frombytes(pixels.tobytes())
    return message


def stamped(serialised: bytearray, now_ns: int) -> bytes:
    """Return a serialised message that begins with a header, with ``now_ns`` as its stamp."""
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    stamp = seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little")
    serialised[_STAMP_AT : _STAMP_AT + 8] = stamp
    return bytes(serialised)


def publish(
    node: Node, images: Mapping[str, Sequence[bytearray]], rate: float, seconds: float, warm: threading.Event
) -> int:
    """Publish the serialised ``images`` of each stream in turn, ``rate`` pairs a second.

    Ends ``seconds`` after ``warm`` is set; returns how many pairs it has published in these.
    """
    publishers = [
        (node.create_publisher(Image, f"{name}/image_raw", QOS), messages) for name, messages in images.items()
    ]
    deadline = time.monotonic() + WAIT_S
    while not all(publisher.get_subscription_count() for publisher, _ in publishers):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody subscribed to both images within {WAIT_S:.0f} s")
        time.sleep(0.05)
    time.sleep(0.5)  # discovery is done on the other side, too
    begun, sent, counts = time.monotonic(), 0, False
    while not counts or sent < rate * seconds:
        if warm.is_set() and not counts:
            begun, sent, counts = time.monotonic(), 0, True
        time.sleep(max(begun + sent / rate - time.monotonic(), 0.0))
        now_ns = time.time_ns()
        for publisher, messages in publishers:
            publisher.publish(stamped(messages[sent % len(messages)], now_ns))
        sent += 1
    return sent


def main() -> int:
    """Publish as the command line says; return the exit status."""
    own, rate, seconds = sys.argv[1:3], float(sys.argv[3]), float(sys.argv[4])
    thermal, visible = (parse(word) for word in own)
    warm = threading.Event()
    signal.signal(signal.SIGUSR1, lambda number, frame: warm.set())
    rclpy.init()
    node = rclpy.create_node("cameras")
    images = {
        name: [bytearray(serialize_message(image_message(size, encoding, seed))) for seed in range(IMAGES)]
        for name, size, encoding in (("thermal", thermal, "mono16"), ("visible", visible, "bgr8"))
    }
    print(publish(node, images, rate, seconds, warm))
    time.sleep(1.0)  # for the last images to arrive before the publishers go
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
