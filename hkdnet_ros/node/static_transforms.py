"""The poses of frames from /tf_static, where ROS has tf2's message; without it a calibration file has the pose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from .following_subscription import no_events

TOPIC = "/tf_static"


def static_transforms(node: Node, take: Callable[[Any], None], group: CallbackGroup) -> Subscription[Any] | None:
    """Subscribe to /tf_static: ``take`` gets each tf2_msgs/TFMessage, those sent before included.

    None, after a line in the log, where tf2_msgs is not installed. Its buffer is not needed for frames that stand
    still, and tf2_ros is one more package.
    """
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        node.get_logger().info(
            "no transforms are heard: tf2_msgs is not installed; the file of registration.calibration has to have "
            "thermal_to_visible"
        )
        return None
    qos = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=100,  # robots have several publishers of static transforms
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    return node.create_subscription(TFMessage, TOPIC, take, qos, callback_group=group, event_callbacks=no_events())
