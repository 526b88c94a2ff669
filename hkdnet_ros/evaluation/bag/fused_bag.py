"""The rosbag2 of a result: mcap files of some hundred frames each and their metadata.yaml, written without ROS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ...errors import SourceError
from ...files import written_whole
from ...sources.bags.bag_file import Connection, DamageError
from ...sources.bags.mcap_file import McapFile
from ...sources.bags.mcap_writer import Bytes, McapWriter
from .topics import Topic

FOLDER = "fused"
"""The bag's folder, and what the names of its files begin with."""

_VERSION = 8
"""Of metadata.yaml: QoS is a text there, as Humble's rosbag2 needs it. What that does not know it passes over, and all
later ones read it."""


class BagPart:
    """Writes one mcap file of a bag; what is written counts once :meth:`finish` has returned."""

    def __init__(self, folder: Path, number: int) -> None:
        """``folder`` is that of the bag. What an earlier run left unfinished of this part is removed."""
        self._file = folder / f"{FOLDER}_{number}.mcap"
        partial = folder / f".partial_{number}"
        partial.unlink(missing_ok=True)
        self._writer = McapWriter(partial)
        self._schemas: dict[tuple[str, str], int] = {}
        self._channels: dict[tuple[str, str], int] = {}

    def write(self, messages: Iterable[tuple[int, int, Topic, Bytes]]) -> None:
        """Append messages, each with the times in ns at which it was recorded and sent."""
        for recorded_ns, sent_ns, topic, data in messages:
            channel = self._channels.get((topic.name, topic.msgtype))
            self._writer.write(self._channel(topic) if channel is None else channel, recorded_ns, sent_ns, data)

    def finish(self) -> Path:
        """Complete the file, let it be named as part of the bag once it is on the disk, and return its path."""
        self._writer.finish()
        return self._writer.path.replace(self._file)

    def abandon(self) -> None:
        """Leave nothing of the part."""
        self._writer.abandon()

    def _channel(self, topic: Topic) -> int:
        key = topic.msgtype, topic.definition  # one message may be defined in two ways, as by an older version
        if key not in self._schemas:
            self._schemas[key] = self._writer.add_schema(topic.msgtype, topic.definition_encoding, topic.definition)
        said = {"offered_qos_profiles": topic.qos, "topic_type_hash": topic.type_hash}
        channel = self._writer.add_channel(topic.name, self._schemas[key], topic.encoding, said)
        self._channels[topic.name, topic.msgtype] = channel
        return channel


def complete(folder: Path) -> None:
    """Write the bag's metadata.yaml over all of its parts; raises :class:`SourceError` where one is damaged."""
    files = []
    topics: dict[tuple[str, str], dict[str, Any]] = {}
    first_ns, last_ns = [], []
    for path in sorted(folder.glob(f"{FOLDER}_*.mcap"), key=lambda file: int(file.stem.rpartition("_")[2])):
        part = _opened(path)
        for connection in part.connections:
            entry = topics.setdefault((connection.topic, connection.msgtype), _topic(connection))
            entry["message_count"] += connection.count
        first_ns.append(part.start_ns)
        last_ns.append(part.end_ns)
        files.append(
            {
                "path": path.name,
                "starting_time": {"nanoseconds_since_epoch": part.start_ns},
                "duration": {"nanoseconds": part.end_ns - part.start_ns},
                "message_count": sum(connection.count for connection in part.connections),
            }
        )
    information = {
        "version": _VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": max(last_ns) - min(first_ns)},
        "starting_time": {"nanoseconds_since_epoch": min(first_ns)},
        "message_count": sum(entry["message_count"] for entry in topics.values()),
        "topics_with_message_count": list(topics.values()),
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file["path"] for file in files],
        "files": files,
        "custom_data": None,
        "ros_distro": "unknown",
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False)
    with written_whole(folder / "metadata.yaml") as partial:
        partial.write_text(text, encoding="utf-8")


def _opened(path: Path) -> McapFile:
    problems: list[str] = []
    try:
        part = McapFile(path, problems.append)
    except DamageError as damage:
        problems.append(str(damage))
    if problems:
        raise SourceError(f"{path}: is damaged ({problems[0]}); remove {path.parents[1]} and run again")
    return part


def _topic(connection: Connection) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": connection.topic,
            "type": connection.msgtype,
            "serialization_format": connection.encoding,
            "offered_qos_profiles": connection.qos,
            "type_description_hash": connection.type_hash,
        },
        "message_count": 0,
    }
