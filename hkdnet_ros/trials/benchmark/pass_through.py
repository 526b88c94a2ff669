"""What any Python node costs: it takes both images and publishes the visible one as it is.

Run as ``python -m hkdnet_ros.trials.benchmark.pass_through --ros-args -r __ns:=...``.
"""

from __future__ import annotations

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image

from .cameras import QOS


def main() -> int:
    """Pass images on until a signal comes; return the exit status."""
    rclpy.init()
    node = rclpy.create_node("pass_through")
    publisher = node.create_publisher(Image, "fused/image", QOS)
    node.create_subscription(Image, "thermal/image_raw", lambda message: None, QOS)
    node.create_subscription(Image, "visible/image_raw", publisher.publish, QOS)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    return 0


if __name__ == "__main__":
    sys.exit(main())
