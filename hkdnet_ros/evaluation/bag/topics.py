"""What a bag says of a topic, and the texts of QoS that every rosbag2 from Humble on can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the type of its messages; see :class:`~hkdnet_ros.sources.bags.bag_file.Connection`."""

    name: str
    msgtype: str
    encoding: str = "cdr"
    definition_encoding: str = ""
    definition: str = ""
    type_hash: str = ""
    qos: str = ""


def topic_of(name: str, msgtype: str, store: Typestore, qos: str = "") -> Topic:
    """Return a topic of a type that ``store`` knows."""
    definition, _ = store.generate_msgdef(msgtype, ros_version=2)
    return Topic(name, msgtype, "cdr", "ros2msg", definition, store.hash_rihs01(msgtype), qos)


def plain_qos(qos: str) -> str:
    """Return the YAML of offered QoS with numbers for words, as rosbag2 wrote it up to version 8.

    Humble knows no words, and later ones still read the numbers. Empty where it is no QoS.
    """
    from rosbags.rosbag2.errors import ReaderError
    from rosbags.rosbag2.metadata import dump_qos_v8, parse_qos

    try:
        return dump_qos_v8(parse_qos(qos))
    except (ReaderError, KeyError, TypeError, ValueError, AttributeError):
        return ""
