"""Take each fused image together with its status: ``python subscribe_fused.py``, beside a fusion node that runs."""

import numpy as np
import rclpy
from hkdnet_ros.msg import FusionStatus
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image


class FusedListener(Node):
    """Joins fused/image and fused/status, which bear one stamp and may come in either order."""

    def __init__(self):
        super().__init__("fused_listener")
        self._first = {}  # by stamp: the one of the two that came first
        self.create_subscription(Image, "fused/image", self._take, 10)
        self.create_subscription(FusionStatus, "fused/status", self._take, 10)

    def _take(self, message):
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        other = self._first.pop(stamp, None)
        if other is None:
            self._first[stamp] = message
            if len(self._first) > 10:  # the other one was lost on the way
                del self._first[next(iter(self._first))]
        else:
            self.use(*(message, other) if isinstance(message, Image) else (other, message))

    def use(self, image, status):
        """Here is the place for your own code; pixels are (height, width, 3) with blue first, or (height, width, 1)."""
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, -1)
        age = status.age.sec + status.age.nanosec / 1e9
        self.get_logger().info(f"{status.mode} {image.width}x{image.height}, mean {pixels.mean():.0f}, {age:.3f} s old")


try:
    rclpy.init()
    rclpy.spin(FusedListener())
except (KeyboardInterrupt, ExternalShutdownException):
    pass
