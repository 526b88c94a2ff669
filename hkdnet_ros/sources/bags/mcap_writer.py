"""Writes an .mcap file: messages as they are, without a copy, with what their types are and where each lies.

Records are as https://mcap.dev/spec describes them, channels as rosbag2's own storage fills them in
(rosbag2_storage_mcap). rosbags' writer would not keep the time of publication nor a type that it has no definition of,
and copies each message five times.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ... import __version__
from ...files import sync
from .mcap_file import MAGIC

Bytes: TypeAlias = "bytes | memoryview"

_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    11,
)
_SUMMARY_OFFSET, _DATA_END = 14, 15
_CHUNK_BYTES = 1 << 20
_NEVER = 2**64 - 1


class McapWriter:
    """Appends messages to a file; what is written counts once :meth:`finish` has returned."""

    def __init__(self, path: Path) -> None:
        """Create the file, which is not there yet."""
        self.path = path
        self._file = path.open("xb")
        self._position = 0
        self._schemas: list[bytes] = []
        self._channels: list[bytes] = []
        self._counts: dict[int, int] = {}
        self._chunk: list[Bytes] = []
        self._chunk_size = 0
        self._index: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._chunk_indexes: list[bytes] = []
        self._first_ns, self._last_ns = _NEVER, 0
        self._put([MAGIC, _record(_HEADER, _text("ros2") + _text(f"hkdnet_ros {__version__}"))])

    def add_schema(self, name: str, encoding: str, definition: str) -> int:
        """Say what a type is; return its number. ``encoding`` is that of the definition: ros2msg, ros2idl or none."""
        key = len(self._schemas) + 1
        record = _record(_SCHEMA, struct.pack("<H", key) + _text(name) + _text(encoding) + _text(definition))
        self._schemas.append(record)
        self._append([record])
        return key

    def add_channel(self, topic: str, schema: int, encoding: str, metadata: Mapping[str, str]) -> int:
        """Say what a topic holds, messages of a schema in ``encoding``; return its number."""
        key = len(self._channels) + 1
        pairs = b"".join(_text(name) + _text(value) for name, value in metadata.items())
        content = struct.pack("<HH", key, schema) + _text(topic) + _text(encoding) + _sized(pairs)
        self._channels.append(_record(_CHANNEL, content))
        self._counts[key] = 0
        self._append([self._channels[-1]])
        return key

    def write(self, channel: int, recorded_ns: int, sent_ns: int, data: Bytes) -> None:
        """Append a message; ``data`` must not change until the file is finished."""
        self._index[channel].append((recorded_ns, self._chunk_size))
        self._counts[channel] += 1
        start = struct.pack("<BQHIQQ", _MESSAGE, 22 + len(data), channel, 0, recorded_ns, sent_ns)
        self._append([start, data])
        if self._chunk_size > _CHUNK_BYTES:
            self._end_chunk()

    def finish(self) -> None:
        """Complete the file, with an index at its end, and put it on the disk."""
        self._end_chunk()
        self._put([_record(_DATA_END, bytes(4))])
        summary = self._position
        offsets = []
        for op, records in ((_SCHEMA, self._schemas), (_CHANNEL, self._channels), (_CHUNK_INDEX, self._chunk_indexes),
                            (_STATISTICS, [self._statistics()])):  # fmt: skip
            begun = self._position
            self._put(records)
            if records:
                offsets.append(_record(_SUMMARY_OFFSET, struct.pack("<BQQ", op, begun, self._position - begun)))
        footer = struct.pack("<QQI", summary, self._position, 0)
        self._put([*offsets, _record(_FOOTER, footer), MAGIC])
        self._file.close()
        sync(self.path)

    def abandon(self) -> None:
        """Leave nothing of the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _append(self, parts: Sequence[Bytes]) -> None:
        self._chunk += parts
        self._chunk_size += sum(map(len, parts))

    def _end_chunk(self) -> None:
        if not self._chunk:
            return
        times = [at for entries in self._index.values() for at, _ in entries]
        first_ns, last_ns = min(times, default=0), max(times, default=0)
        checksum = 0
        for part in self._chunk:
            checksum = zlib.crc32(part, checksum)
        size, begun = self._chunk_size, self._position
        head = struct.pack("<QQQI", first_ns, last_ns, size, checksum) + _text("") + struct.pack("<Q", size)
        self._put([struct.pack("<BQ", _CHUNK, len(head) + size) + head, *self._chunk])
        ended = self._position
        places = {}
        for channel, entries in self._index.items():
            places[channel] = self._position
            found = b"".join(struct.pack("<QQ", *entry) for entry in entries)
            self._put([_record(_MESSAGE_INDEX, struct.pack("<H", channel) + _sized(found))])
        listed = b"".join(struct.pack("<HQ", *place) for place in places.items())
        self._chunk_indexes.append(
            _record(
                _CHUNK_INDEX,
                struct.pack("<QQQQ", first_ns, last_ns, begun, ended - begun) + _sized(listed)
                + struct.pack("<Q", self._position - ended) + _text("") + struct.pack("<QQ", size, size),
            )
        )  # fmt: skip
        if times:
            self._first_ns, self._last_ns = min(self._first_ns, first_ns), max(self._last_ns, last_ns)
        self._chunk, self._chunk_size = [], 0
        self._index.clear()

    def _statistics(self) -> bytes:
        counts = b"".join(struct.pack("<HQ", *count) for count in self._counts.items())
        total = sum(self._counts.values())
        first_ns = self._first_ns if total else 0
        numbers = (
            total,
            len(self._schemas),
            len(self._channels),
            0,
            0,
            len(self._chunk_indexes),
            first_ns,
            self._last_ns,
        )
        return _record(_STATISTICS, struct.pack("<QHIIIIQQ", *numbers) + _sized(counts))

    def _put(self, parts: Sequence[Bytes]) -> None:
        for part in parts:
            self._file.write(part)
            self._position += len(part)


def _record(op: int, content: bytes) -> bytes:
    return struct.pack("<BQ", op, len(content)) + content


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _sized(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content
