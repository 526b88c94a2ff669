"""What every file of a bag offers, whatever its format."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

CDR, ROS1 = "cdr", "ros1"  # how messages are serialised: by ROS 2, by ROS 1

Note = Callable[[str], None]
"""Hears in one sentence what of a file is not whole, and which tool mends it."""


class DamageError(Exception):
    """Bytes that are not what the format says: a file of which nothing can be read raises it when it is opened."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The messages that one writer put on one topic of one file; ``key`` is the file's own number for it.

    ``definition`` says what the type is, in a language named by ``definition_encoding`` (ros2msg, ros2idl, ros1msg),
    ``type_hash`` by its RIHS01, and ``qos`` is the YAML of what its writers offered; all empty where the file does not
    say.
    """

    key: int
    topic: str
    msgtype: str
    encoding: str = CDR
    count: int = 0
    definition_encoding: str = ""
    definition: str = ""
    type_hash: str = ""
    qos: str = ""


class Message(NamedTuple):
    """One message as it was recorded; ``data`` is serialised, and may be compressed on its own.

    ``sent_ns`` is when it was published, where the file says it, else when it was recorded.
    """

    recorded_ns: int
    connection: Connection
    data: bytes
    sent_ns: int


class BagFile(Protocol):
    """One file of a bag. Each reading opens it anew, so that several may run side by side."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def connections(self) -> Sequence[Connection]:
        """What was recorded in it."""
        ...

    @property
    def start_ns(self) -> int:
        """Nothing in it was recorded before this."""
        ...

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """Yield the messages of ``connections`` by the time they were recorded; what is damaged is left out and noted.

        Raises OSError where the file cannot be opened any more.
        """
        ...


def in_ros2_words(msgtype: str) -> str:
    """Return ``sensor_msgs/Image``, as ROS 1 writes it, as ``sensor_msgs/msg/Image``."""
    package, _, name = msgtype.partition("/")
    return msgtype if "/" in name or not name else f"{package}/msg/{name}"


def merged(parts: Iterable[tuple[int, Callable[[], Iterator[Message]]]]) -> Iterator[Message]:
    """Merge parts, each in order, by time of recording; a part is (when it begins, in ns, how to read it).

    A part is opened when its time has come and left at its end, so that a bag of a thousand files has few open.
    """
    open_parts: list[tuple[int, int, Message, Iterator[Message]]] = []

    def advance(number: int, part: Iterator[Message]) -> None:
        if (message := next(part, None)) is not None:
            heapq.heappush(open_parts, (message.recorded_ns, number, message, part))

    for number, (start_ns, read) in enumerate(sorted(parts, key=lambda part: part[0])):
        while open_parts and open_parts[0][0] < start_ns:
            _, before, message, part = heapq.heappop(open_parts)
            yield message
            advance(before, part)
        advance(number, read())
    while open_parts:
        _, number, message, part = heapq.heappop(open_parts)
        yield message
        advance(number, part)
