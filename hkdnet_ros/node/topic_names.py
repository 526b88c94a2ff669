"""The names of topics that go with an image, as image_transport has them: a remap of the image moves them."""

from __future__ import annotations

from rclpy.node import Node

from .schema import COMPRESSED


def compressed_topic(node: Node, image_topic: str) -> str:
    """Return the name of an image's compressed topic."""
    return f"{node.resolve_topic_name(image_topic)}/{COMPRESSED}"


def camera_info_topic(node: Node, image_topic: str, topic: str) -> str:
    """Return the name by which ``node`` reaches the camera info of an image: ``camera_info`` beside the image.

    ``topic`` is what it is called beside ``image_topic`` where nothing is remapped. A remap of it comes first.
    """
    is_moved = node.resolve_topic_name(topic) != node.resolve_topic_name(topic, only_expand=True)
    image = node.resolve_topic_name(image_topic)
    if is_moved or image == node.resolve_topic_name(image_topic, only_expand=True):
        return topic  # rclpy remaps it; an absolute name might be remapped twice
    return f"{image.rpartition('/')[0]}/camera_info"
