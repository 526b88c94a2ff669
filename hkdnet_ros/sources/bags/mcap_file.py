"""An .mcap file, by its index, or from its start where it has none: broken off, or still being recorded.

Records are read as https://mcap.dev/spec describes them. Only what finds messages is looked at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .bag_file import Connection, DamageError, Message, Note, in_ros2_words
from .chunks import Chunk, RawMessage, messages_of_chunks
from .compression import decompressed

MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS = 0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x0B
_RECORD = struct.Struct("<BQ")
_MESSAGE_HEADER = struct.Struct("<HIQQ")
_END_SIZE = _RECORD.size + 20 + len(MAGIC)  # the footer and the magic bytes after it
_GROUP_BYTES = 4 << 20  # messages outside chunks are read so many together
_MENDS = "`mcap recover` mends it"


class McapFile:
    """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""

    def __init__(self, path: Path, note: Note) -> None:
        """Read the index. Raises :class:`DamageError` for a file in which no topic is found."""
        self.path = path
        self._note = note
        self._schemas: dict[int, tuple[str, str, str]] = {}  # name, encoding, definition
        self._channels: dict[int, Connection] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
        with path.open("rb") as file:
            if not self._read_index(file):
                self._scan(file)
        self.connections = [dataclasses.replace(own, count=self._counts[own.key]) for own in self._channels.values()]
        self.start_ns = min((chunk.start_ns for chunk in self._chunks), default=0)
        self.end_ns = max((chunk.end_ns for chunk in self._chunks), default=0)

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""
        with self.path.open("rb") as file:
            try:
                yield from messages_of_chunks(self._chunks, connections, lambda chunk: _messages_in(file, chunk))
            except DamageError as damage:
                self._note(f"{damage}; {_MENDS}")

    def _read_index(self, file: BinaryIO) -> bool:
        """Return whether the file says at its end where all messages are."""
        size = file.seek(0, 2)
        if size < _END_SIZE:
            return False
        file.seek(size - _END_SIZE)
        end = file.read()
        op, length = _RECORD.unpack_from(end)
        (summary,) = struct.unpack_from("<Q", end, _RECORD.size)
        if (op, length) != (_FOOTER, 20) or end[-len(MAGIC) :] != MAGIC or not summary:
            return False
        announced = 0
        try:
            for op, _, content in _records(file, summary, size - _END_SIZE):
                self._define(op, content)
                if op == _CHUNK_INDEX:
                    self._chunks.append(_indexed_chunk(content))
                elif op == _STATISTICS:
                    (announced,) = struct.unpack_from("<Q", content)
                    (length,) = struct.unpack_from("<I", content, 42)
                    self._counts.update(dict(struct.iter_unpack("<HQ", content[46 : 46 + length])))
        except (DamageError, struct.error, ValueError):
            announced = 1
            self._chunks.clear()
        # Without chunks, or without channels repeated at the end, the messages have to be looked for.
        if (announced and not self._chunks) or any(chunk.keys - self._channels.keys() for chunk in self._chunks):
            self._chunks.clear()
            self._counts.clear()
            return False
        return True

    def _scan(self, file: BinaryIO) -> None:
        """Find all whole records from the start of the file, and note where they end before it does."""
        size = file.seek(0, 2)
        whole, group, ended = 0, _Group(), False
        with contextlib.suppress(DamageError, struct.error, ValueError):
            for op, offset, content in _records(file, len(MAGIC), size):
                if op == _FOOTER:
                    ended = True
                    break
                self._define(op, content)
                if op == _MESSAGE:
                    key, _, recorded_ns, _ = _MESSAGE_HEADER.unpack_from(content)
                    self._counts[key] += 1
                    self._chunks += group.grown(offset, _RECORD.size + len(content), key, recorded_ns)
                elif op == _CHUNK:
                    self._chunks += group.finished()
                    self._scan_chunk(offset, content)
                whole = offset + _RECORD.size + len(content)
        self._chunks += group.finished()
        if not self._channels:
            raise DamageError("no topic in it is whole")
        if not ended:
            read = f"its first {whole} of {size} bytes are whole and read"
            self._note(f"is still being recorded, or broken off: {read}; {_MENDS}")

    def _scan_chunk(self, position: int, content: memoryview) -> None:
        (start_ns,) = struct.unpack_from("<Q", content)
        keys = set()
        try:
            for op, record in _records_in(_chunk_records(content)):
                self._define(op, record)
                if op == _MESSAGE:
                    (key,) = struct.unpack_from("<H", record)
                    self._counts[key] += 1
                    keys.add(key)
        except (DamageError, struct.error, ValueError):  # met again, and counted, when it is read
            keys |= self._channels.keys()
        self._chunks.append(Chunk(start_ns, position, _RECORD.size + len(content), frozenset(keys)))

    def _define(self, op: int, content: memoryview) -> None:
        """Take note of a schema or a channel."""
        if op == _SCHEMA:
            (key,) = struct.unpack_from("<H", content)
            name, position = _string(content, 2)
            encoding, position = _string(content, position)
            definition, _ = _string(content, position)
            self._schemas[key] = in_ros2_words(name), encoding, definition
        elif op == _CHANNEL:
            key, schema = struct.unpack_from("<HH", content)
            topic, position = _string(content, 4)
            encoding, position = _string(content, position)
            words = _pairs(content, position)
            msgtype, language, definition = self._schemas.get(schema, ("", "", ""))
            type_hash, qos = (words.get(name, "") for name in ("topic_type_hash", "offered_qos_profiles"))
            self._channels[key] = Connection(key, topic, msgtype, encoding, 0, language, definition, type_hash, qos)


class _Group:
    """Messages that lie one after the other outside chunks, read together as if they were one."""

    def __init__(self) -> None:
        self._start_ns, self._offset, self._size = 0, 0, 0
        self._keys: set[int] = set()

    def grown(self, offset: int, size: int, key: int, recorded_ns: int) -> list[Chunk]:
        """Take a message; return the group before it where that is full."""
        full = self.finished() if self._size >= _GROUP_BYTES else []
        if not self._keys:
            self._start_ns, self._offset = recorded_ns, offset
        self._start_ns = min(self._start_ns, recorded_ns)
        self._size = offset + size - self._offset
        self._keys.add(key)
        return full

    def finished(self) -> list[Chunk]:
        """Return the group, if there is one, and begin another."""
        if not self._keys:
            return []
        chunk = Chunk(self._start_ns, self._offset, self._size, frozenset(self._keys))
        self._size, self._keys = 0, set()
        return [chunk]


def _records(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, memoryview]]:
    """Yield (kind, offset, content) of the records between two offsets; :class:`DamageError` where one is cut off."""
    while start < end:
        file.seek(start)
        header = file.read(_RECORD.size)
        if len(header) < _RECORD.size:
            raise DamageError("ends inside a record")
        op, length = _RECORD.unpack(header)
        if op == 0 or start + _RECORD.size + length > end:  # zeros stand where a disk lost power
            raise DamageError("ends inside a record")
        if op in (_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS):
            yield op, start, memoryview(file.read(length))
        start += _RECORD.size + length


def _records_in(content: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    content = memoryview(content)
    position = 0
    while position < len(content):
        if position + _RECORD.size > len(content):
            raise DamageError("a chunk ends inside a record")
        op, length = _RECORD.unpack_from(content, position)
        position += _RECORD.size
        if op == 0 or position + length > len(content):
            raise DamageError("a chunk ends inside a record")
        yield op, content[position : position + length]
        position += length


def _messages_in(file: BinaryIO, chunk: Chunk) -> Iterable[RawMessage]:
    if chunk.offset + chunk.size > file.seek(0, 2):
        raise DamageError("it lies beyond the end of the file")
    file.seek(chunk.offset)
    for op, content in _records_in(file.read(chunk.size)):
        for inner, record in _records_in(_chunk_records(content)) if op == _CHUNK else ((op, content),):
            if inner == _MESSAGE:
                if len(record) < _MESSAGE_HEADER.size:
                    raise DamageError("a message without its header")
                key, _, recorded_ns, sent_ns = _MESSAGE_HEADER.unpack_from(record)
                yield recorded_ns, key, record[_MESSAGE_HEADER.size :], sent_ns


def _chunk_records(content: memoryview) -> bytes | memoryview:
    """Return what is compressed in a chunk record; raises :class:`DamageError`."""
    try:
        _, _, size, checksum = struct.unpack_from("<QQQI", content)
        compression, position = _string(content, 28)
        (length,) = struct.unpack_from("<Q", content, position)
    except (struct.error, ValueError) as error:
        raise DamageError("a chunk without its header") from error
    records = decompressed(content[position + 8 : position + 8 + length], compression)
    if len(records) != size or (checksum and zlib.crc32(records) != checksum):
        raise DamageError("its checksum differs")
    return records


def _indexed_chunk(content: memoryview) -> Chunk:
    start_ns, end_ns, offset, size, length = struct.unpack_from("<QQQQI", content)
    keys = frozenset(key for key, _ in struct.iter_unpack("<HQ", content[36 : 36 + length]))
    return Chunk(start_ns, offset, size, keys, end_ns)


def _pairs(content: memoryview, position: int) -> dict[str, str]:
    """Return the names and values at a position."""
    (length,) = struct.unpack_from("<I", content, position)
    position, end = position + 4, position + 4 + length
    found = {}
    while position < end:
        name, position = _string(content, position)
        found[name], position = _string(content, position)
    return found


def _string(content: memoryview, position: int) -> tuple[str, int]:
    """Return a string and the position after it; raises struct.error, or ValueError for what is no UTF-8."""
    (length,) = struct.unpack_from("<I", content, position)
    position += 4
    return bytes(content[position : position + length]).decode(), position + length
