"""A .bag file of ROS 1, by its index, or from its start where it has none: broken off, or still being recorded.

Records are read as http://wiki.ros.org/Bags/Format/2.0 describes them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .bag_file import ROS1, Connection, DamageError, Message, Note, in_ros2_words
from .chunks import Chunk, RawMessage, messages_of_chunks
from .compression import decompressed

MAGIC = b"#ROSBAG V"
_VERSION = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 5, 6, 7  # kinds of records
_MENDS = "`rosbag reindex` mends it"

LATCHED = """\
- {history: 1, depth: 100, reliability: 1, durability: 1, deadline: {sec: 2147483647, nsec: 4294967295}, \
lifespan: {sec: 2147483647, nsec: 4294967295}, liveliness: 1, liveliness_lease_duration: {sec: 2147483647, \
nsec: 4294967295}, avoid_ros_namespace_conventions: false}"""
"""The QoS of ROS 2, as rosbag2 writes it, that does what a latched topic does."""

_Fields = dict[bytes, bytes]


class Ros1File:
    """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""

    def __init__(self, path: Path, note: Note) -> None:
        """Read the index. Raises :class:`DamageError` for a file in which no topic is found."""
        self.path = path
        self._note = note
        self._topics: dict[int, Connection] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
        with path.open("rb") as file:
            version = file.readline(64)
            if version != _VERSION:
                raise DamageError(f"is a bag of version {version[9:].decode(errors='replace').strip()}; expected 2.0")
            if not self._read_index(file):
                whole, size = self._scan(file), file.seek(0, 2)
                if not self._topics:
                    raise DamageError(f"has no index, and no topic in it is whole; {_MENDS}")
                note(f"has no index, as one broken off: its first {whole} of {size} bytes are whole and read; {_MENDS}")
        self.connections = [dataclasses.replace(own, count=self._counts[own.key]) for own in self._topics.values()]
        self.start_ns = min((chunk.start_ns for chunk in self._chunks), default=0)

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""
        with self.path.open("rb") as file:
            try:
                yield from messages_of_chunks(self._chunks, connections, lambda chunk: _messages_in(file, chunk))
            except DamageError as damage:
                self._note(f"{damage}; `rosbag fix` or `rosbag reindex` may mend it")

    def _read_index(self, file: BinaryIO) -> bool:
        """Return whether the file says where all messages are."""
        with contextlib.suppress(DamageError, struct.error, KeyError, ValueError, StopIteration):
            start, end = len(_VERSION), file.seek(0, 2)
            _, fields, _ = next(_records(file, start, end))
            (index,) = struct.unpack("<Q", fields[b"index_pos"])
            (connections,) = struct.unpack("<I", fields[b"conn_count"])
            (chunks,) = struct.unpack("<I", fields[b"chunk_count"])
            if index:
                for _, fields, data in _records(file, index, end):
                    if _kind(fields) == _CONNECTION:
                        self._define(fields, data)
                    elif _kind(fields) == _CHUNK_INFO:
                        self._take_info(fields, data)
                if (len(self._topics), len(self._chunks)) == (connections, chunks):
                    return True
        self._topics.clear()
        self._counts.clear()
        self._chunks.clear()
        return False

    def _take_info(self, fields: _Fields, data: memoryview) -> None:
        (offset,) = struct.unpack("<Q", fields[b"chunk_pos"])
        counts = dict(struct.iter_unpack("<II", data))
        self._counts.update(counts)
        self._chunks.append(Chunk(_time(fields[b"start_time"]), offset, 0, frozenset(counts)))

    def _scan(self, file: BinaryIO) -> int:
        """Find all whole chunks from the start of the file; return where the last whole record ends."""
        whole, end = len(_VERSION), file.seek(0, 2)
        with contextlib.suppress(DamageError, struct.error, KeyError, ValueError):
            for offset, fields, data in _records(file, whole, end):
                if _kind(fields) == _CHUNK:
                    self._scan_chunk(offset, fields, data)
                whole = file.tell()
        return whole

    def _scan_chunk(self, offset: int, fields: _Fields, data: memoryview) -> None:
        keys = set()
        times = []
        try:
            for inner, content in _records_in(decompressed(data, fields[b"compression"].decode())):
                if _kind(inner) == _CONNECTION:
                    self._define(inner, content)
                elif _kind(inner) == _MESSAGE:
                    self._counts[_key(inner)] += 1
                    keys.add(_key(inner))
                    times.append(_time(inner[b"time"]))
        except (DamageError, struct.error, KeyError, ValueError):  # met again, and counted, when it is read
            keys |= self._topics.keys()
        self._chunks.append(Chunk(min(times, default=0), offset, 0, frozenset(keys)))

    def _define(self, fields: _Fields, data: memoryview) -> None:
        """Take note of a connection; the topic that it was mapped to stands before its own header."""
        own = _fields_of(data)
        topic = "/" + fields[b"topic"].decode().strip("/")
        definition = own.get(b"message_definition", b"").decode(errors="replace")
        qos = LATCHED if own.get(b"latching") == b"1" else ""
        self._topics[_key(fields)] = Connection(
            _key(fields), topic, in_ros2_words(own[b"type"].decode()), ROS1, 0, "ros1msg", definition, "", qos
        )


def _messages_in(file: BinaryIO, chunk: Chunk) -> Iterable[RawMessage]:
    try:
        _, fields, data = next(_records(file, chunk.offset, file.seek(0, 2)))
        for inner, content in _records_in(decompressed(data, fields[b"compression"].decode())):
            if _kind(inner) == _MESSAGE:
                recorded_ns = _time(inner[b"time"])
                yield recorded_ns, _key(inner), content, recorded_ns
    except (struct.error, KeyError, ValueError, StopIteration) as error:
        raise DamageError("it is no chunk") from error


def _records(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, _Fields, memoryview]]:
    """Yield (offset, header, data) of the records between two offsets; :class:`DamageError` where one is cut off."""
    while start < end:
        offset = start
        parts = []
        for _ in range(2):
            file.seek(start)
            (length,) = struct.unpack("<I", file.read(4))
            start += 4 + length
            if start > end:
                raise DamageError("ends inside a record")
            parts.append(memoryview(file.read(length)))
        yield offset, _fields_of(parts[0]), parts[1]


def _records_in(content: bytes | memoryview) -> Iterator[tuple[_Fields, memoryview]]:
    content = memoryview(content)
    position = 0
    while position < len(content):
        parts = []
        for _ in range(2):
            (length,) = struct.unpack_from("<I", content, position)
            position += 4 + length
            if position > len(content):
                raise DamageError("a chunk ends inside a record")
            parts.append(content[position - length : position])
        yield _fields_of(parts[0]), parts[1]


def _fields_of(header: memoryview) -> _Fields:
    fields = {}
    position = 0
    while position < len(header):
        (length,) = struct.unpack_from("<I", header, position)
        name, _, value = bytes(header[position + 4 : position + 4 + length]).partition(b"=")
        fields[name] = value
        position += 4 + length
    return fields


def _kind(fields: _Fields) -> int:
    return int.from_bytes(fields.get(b"op", b""), "little")


def _key(fields: _Fields) -> int:
    return int.from_bytes(fields[b"conn"], "little")


def _time(value: bytes) -> int:
    """Return a ROS 1 time in ns."""
    seconds, nanoseconds = struct.unpack("<II", value)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
