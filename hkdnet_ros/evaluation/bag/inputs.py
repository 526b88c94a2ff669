"""The messages of the recording itself, of all its topics, to be written between the fused ones."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from ...errors import SourceError
from ...images.frames import THERMAL, VISIBLE
from ...sources.bags.bag_file import CDR, ROS1, Connection, Message
from ...sources.bags.bag_source import BagSource
from ...sources.bags.compression import message_data
from .topics import Topic, plain_qos, topic_of

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore


class Inputs:
    """Reads a bag once more, in the order it was recorded, and gives its messages up to a time; memory does not grow.

    Bytes, types and times are those of the bag, decompressed where single messages were compressed. Messages of ROS 1
    become such of ROS 2. ``problems`` says what had to be left out.
    """

    def __init__(self, source: BagSource, taken: Collection[str], since_ns: int) -> None:
        """Begin behind ``since_ns``; ``taken`` are topics that the bag to be written has of its own.

        Raises :class:`SourceError` where both cameras have one topic, in two bags.
        """
        from rosbags.typesys import Stores, get_typestore

        if source.topic(THERMAL) == source.topic(VISIBLE):
            raise SourceError(
                f"{source.name}: both bags have their images on {source.topic(THERMAL)}, which one bag cannot; "
                "evaluate without --merge"
            )
        self.problems: list[str] = []
        self._name = source.name
        self._store: Typestore = get_typestore(Stores.ROS2_HUMBLE)
        self._topics: dict[int, Topic] = {}
        self._damaged: Counter[str] = Counter()
        for connection in source.recording.connections:
            if connection.topic in taken:
                self._note(f"its own {connection.topic} is not merged: the new one takes its place")
            elif (topic := self._topic(connection)) is not None:
                self._topics[id(connection)] = topic
        self._connections = [c for c in source.recording.connections if id(c) in self._topics]
        messages = source.recording.messages(self._connections) if self._connections else iter(())
        self._messages = itertools.dropwhile(lambda message: message.recorded_ns <= since_ns, messages)
        self._next: Message | None = None

    def until(self, recorded_ns: int | None) -> Iterator[tuple[int, int, Topic, bytes | memoryview]]:
        """Yield (recorded, sent, topic, data) of all that was recorded up to a time, None for all; times are in ns."""
        while True:
            message = self._next = self._next or self._read()
            if message is None or (recorded_ns is not None and message.recorded_ns > recorded_ns):
                return
            self._next = None
            topic = self._topics[id(message.connection)]
            try:
                data = self._as_ros2(message)
            except Exception:  # rosbags' generated code fails anywhere
                self._damaged[topic.name] += 1
                continue
            yield message.recorded_ns, message.sent_ns, topic, data

    def all_problems(self) -> list[str]:
        """Return what was left out, and why."""
        return self.problems + [
            f"{self._name}: {count} messages on {topic} are damaged and not merged"
            for topic, count in self._damaged.items()
        ]

    def _read(self) -> Message | None:
        try:
            return next(self._messages, None)
        except SourceError as error:  # what came before is fused, and merged with that
            self.problems.append(str(error))
            return None

    def _as_ros2(self, message: Message) -> bytes | memoryview:
        data = message_data(message.data)
        if message.connection.encoding == ROS1:
            return self._store.ros1_to_cdr(data, message.connection.msgtype)
        return data

    def _topic(self, connection: Connection) -> Topic | None:
        """Return what is written of a topic, None where that cannot be had in ROS 2."""
        qos = plain_qos(connection.qos)
        if connection.encoding == ROS1:
            return (
                topic_of(connection.topic, connection.msgtype, self._store, qos) if self._learnt(connection) else None
            )
        if not connection.definition and connection.encoding == CDR and connection.msgtype in self._store.types:
            return topic_of(connection.topic, connection.msgtype, self._store, qos)
        return Topic(
            connection.topic, connection.msgtype, connection.encoding, connection.definition_encoding,
            connection.definition, connection.type_hash, qos,
        )  # fmt: skip

    def _learnt(self, connection: Connection) -> bool:
        """Return whether a message of ROS 1 has the same fields in ROS 2, or none there, and learn it then."""
        from rosbags.typesys import TypesysError, get_types_from_msg

        try:
            types = get_types_from_msg(connection.definition, connection.msgtype)
            types.pop("std_msgs/msg/Header", None)  # which lost its seq, as rosbags knows
            self._store.register(types)
        except TypesysError:
            self._note(f"{connection.topic} is not merged: {connection.msgtype} has other fields in ROS 2")
            return False
        return connection.msgtype in self._store.types

    def _note(self, problem: str) -> None:
        line = f"{self._name}: {problem}"
        if line not in self.problems:
            self.problems.append(line)
