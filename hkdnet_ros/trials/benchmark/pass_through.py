"""What any Python node costs: it takes both images and publishes the visible one again, whole.

Run as ``python -m hkdnet_ros.trials.benchmark.pass_through WxH --ros-args -r __ns:=...``; the output has that size.
"""

from __future__ import annotations

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image

from .cameras import QOS, image_message, parse


def main() -> int:
    """Pass images on until a signal comes; return the exit status."""
    size = parse(sys.argv[1])
    rclpy.init()
    node = rclpy.create_node("pass_through")
    publisher = node.create_publisher(Image, "fused/image", QOS)
    enlarged = image_message(size, "bgr8", 0)

    def pass_on(message: Image) -> None:
        if (message.width, message.height) == size:
            publisher.publish(message)
        else:
            enlarged.header = message.header
            publisher.publish(enlarged)

    node.create_subscription(Image, "thermal/image_raw", lambda message: None, QOS)
    node.create_subscription(Image, "visible/image_raw", pass_on, QOS)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    return 0


if __name__ == "__main__":
    sys.exit(main())
