"""What the graph knows of the node's topics: why nothing comes on one, and where two send what one should.

Topics are given by the names before any remap: rclpy remaps what it is asked about, and twice would lead elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from .diagnostics import type_name
from .following_subscription import FollowingSubscription
from .schema import COMPRESSED, RAW

_IMAGE, _COMPRESSED_IMAGE = type_name(Image), type_name(CompressedImage)
_NAMED = 3  # topics that a line names at most

# A driver that was killed and started again is on the graph twice until the middleware has noticed, 20 s at most.
_OTHERS_S = 3.0
_NAMESAKES_S = 30.0


def why_silent(subscription: FollowingSubscription, image_topic: str, stream: str, taken: Iterable[str]) -> str:
    """Return why no image of ``stream`` comes, and what to do, as far as the graph knows it.

    ``image_topic`` is that of the raw image, of which ``subscription`` is one, raw or compressed. ``taken`` are the
    resolved topics of the other camera.
    """
    node, name = subscription.node, subscription.resolved
    transport = COMPRESSED if subscription.kind is CompressedImage else RAW
    option, remap = f"{stream}_transport", f"remap {image_topic}"
    publishers = node.get_publishers_info_by_topic(subscription.topic)
    for publisher in publishers:
        sent = publisher.topic_type
        if transport == RAW and sent == _COMPRESSED_IMAGE:
            begin = f"{name}: {publisher.node_name} sends {sent}; set {option} to {COMPRESSED} and "
            base = name.removesuffix(f"/{COMPRESSED}")
            return begin + (f"{remap} to {base}" if base != name else f"have it sent on {name}/{COMPRESSED}")
        if transport == COMPRESSED and sent == _IMAGE:
            return f"{name}: {publisher.node_name} sends {sent}; set {option} to {RAW} and {remap} to {name}"
    unheard = subscription.unheard()
    if unheard:
        return unheard[0]
    if publishers:
        who = publishers[0].node_name
        return (
            f"{who} publishes {name}, but no image arrives: it sends none, or the middleware loses them; "
            "docs/large_images.md"
        )
    return _where_else(node, name, image_topic, stream, transport, tuple(taken))


def _where_else(node: Node, name: str, image_topic: str, stream: str, transport: str, taken: Sequence[str]) -> str:
    """Return what to say of a topic that nobody publishes: the other transport, or which images there are."""
    own = node.get_name(), node.get_namespace()
    found: dict[str, str] = {}  # topics of images by others, with their types
    for topic, types in node.get_topic_names_and_types():
        if not {_IMAGE, _COMPRESSED_IMAGE} & set(types):
            continue
        for publisher in node.get_publishers_info_by_topic(topic):
            if (publisher.node_name, publisher.node_namespace) != own:
                found[topic] = publisher.topic_type
    other, kind, wanted = (
        (f"{name}/{COMPRESSED}", _COMPRESSED_IMAGE, COMPRESSED)
        if transport == RAW
        else (name.removesuffix(f"/{COMPRESSED}"), _IMAGE, RAW)
    )
    if found.get(other) == kind:
        return f"nobody publishes {name}, but {other} is published; set {stream}_transport to {wanted}"
    found = {topic: kind for topic, kind in found.items() if not any(_is_of_one_image(topic, it) for it in taken)}
    if not found:
        return f"nobody publishes {name}, nor another image; start the {stream} camera's driver"
    named = sorted(found)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return (
        f"nobody publishes {name}; there are images on {', '.join(named[:_NAMED])}{more}: remap {image_topic} to the "
        f"{stream} camera's"
    )


def _is_of_one_image(topic: str, other: str) -> bool:
    """Return whether one topic is the other, or a transport of it."""
    return f"{topic}/".startswith(f"{other}/") or f"{other}/".startswith(f"{topic}/")


class CrowdWatch:
    """Finds topics that more publish than should: inputs of the node with two publishers, outputs that it shares."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since: dict[str, float] = {}

    def look(self, inputs: Iterable[str], outputs: Iterable[str], now_s: float) -> list[str]:
        """Return, one text each, what is crowded and has been so for a while; ``now_s`` is of a steady clock."""
        found = {topic: crowd for topic in inputs if (crowd := self._crowded_input(topic))}
        shared = {topic: others for topic in outputs if (others := self._others(topic))}
        if shared:  # one line, as a second fusion node shares all of them
            topic, others = next(iter(shared.items()))
            found[topic] = self._shared_outputs(topic, others, len(shared) - 1)
        self._since = {topic: self._since.get(topic, now_s) for topic in found}
        return [text for topic, (text, after_s) in found.items() if now_s - self._since[topic] >= after_s]

    def _crowded_input(self, topic: str) -> tuple[str, float] | None:
        """Return what to say of an input with two publishers, and after how many seconds."""
        names = self._publishers(topic)
        if len(names) < 2:
            return None
        where = self._node.resolve_topic_name(topic)
        text = f"{where}: {len(names)} publishers ({', '.join(names)}), whose messages mix; let one alone publish"
        return text, _OTHERS_S if len(set(names)) > 1 else _NAMESAKES_S

    def _others(self, topic: str) -> list[str]:
        names = self._publishers(topic)
        own = self._node.get_fully_qualified_name()
        if own in names:
            names.remove(own)
        return names

    def _shared_outputs(self, topic: str, others: list[str], more: int) -> tuple[str, float]:
        where = self._node.resolve_topic_name(topic) + (f" and {more} more" if more else "")
        text = f"{where}: {', '.join(others)} publishes here, too; give one of the nodes another namespace, or remap it"
        return text, _NAMESAKES_S if self._node.get_fully_qualified_name() in others else _OTHERS_S

    def _publishers(self, topic: str) -> list[str]:
        infos: list[Any] = self._node.get_publishers_info_by_topic(topic)
        return sorted(f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos)
