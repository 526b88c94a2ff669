"""Transform messages to rigid transforms, live and recorded: of rclpy and of rosbags alike."""

from __future__ import annotations

from typing import Any

from .rigid_transform import RigidTransform


def child_to_parent(message: Any) -> RigidTransform:
    """Return what a geometry_msgs/TransformStamped says: what brings points from the child's axes to the parent's.

    Raises :class:`ConfigError` where its quaternion is none.
    """
    rotation, translation = message.transform.rotation, message.transform.translation
    return RigidTransform.from_quaternion(
        (rotation.x, rotation.y, rotation.z, rotation.w), (translation.x, translation.y, translation.z)
    )
