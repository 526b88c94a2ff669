"""A .db3 file of a rosbag2, also one that is broken off or whose last messages are in a write-ahead log beside it."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from .bag_file import Connection, DamageError, Message, Note

MAGIC = b"SQLite format 3\x00"
_ERRORS = (sqlite3.Error, ValueError)  # the second where SQLite quotes damaged bytes, which are no text
_BUSY_S = 5.0  # a recorder that is at work holds the file for less


class SqliteFile:
    """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""

    def __init__(self, path: Path, note: Note) -> None:
        """Read the topics, and note where the file is broken off; :class:`DamageError` where there are none."""
        self.path = path
        self._note = note
        self._mends = f"`sqlite3 {path.name} .recover | sqlite3 NEW.db3` mends it"
        self._cut_short = _lacks_pages(path)
        self.start_ns = -(2**63)
        with contextlib.closing(self._opened()) as database:
            try:
                query = f"SELECT id, name, type, serialization_format{_extras(database)} FROM topics"
                topics = database.execute(query).fetchall()
            except _ERRORS as error:
                raise DamageError(f"no table of topics can be read ({error})") from error
            counts: Counter[int] = Counter()
            with contextlib.suppress(*_ERRORS):  # what cannot be counted is missed when it is read
                for (topic,) in database.execute("SELECT topic_id FROM messages"):
                    counts[topic] += 1
            with contextlib.suppress(*_ERRORS):
                (first_ns,) = database.execute("SELECT MIN(timestamp) FROM messages").fetchone()
                self.start_ns = self.start_ns if self._cut_short or not isinstance(first_ns, int) else first_ns
            definitions: dict[str, tuple[str, str]] = {}
            with contextlib.suppress(*_ERRORS):  # recorders of before Iron kept none
                rows = database.execute(
                    "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
                )
                definitions = {kind: (language, text) for kind, language, text in rows}
        self.connections = [
            Connection(
                key, name, kind, encoding, counts[key], *definitions.get(kind, ("", "")), type_hash or "", qos or ""
            )
            for key, name, kind, encoding, type_hash, qos in topics
            if isinstance(key, int) and all(isinstance(word, str) for word in (name, kind, encoding))
        ]
        if self._cut_short:
            note(f"is broken off; what is whole is read; {self._mends}")

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """See :class:`~hkdnet_ros.sources.bags.bag_file.BagFile`."""
        by_key = {connection.key: connection for connection in connections}
        # The index of times refers to all that was written, the rows themselves come until the file ends.
        order = "id" if self._cut_short else "timestamp"
        with contextlib.closing(self._opened()) as database:
            try:
                rows = database.execute(
                    f"SELECT timestamp, topic_id, data FROM messages WHERE topic_id IN ({','.join('?' * len(by_key))}) "
                    f"ORDER BY {order}",
                    list(by_key),
                )
                for recorded_ns, key, data in rows:
                    if isinstance(recorded_ns, int):
                        yield Message(recorded_ns, by_key[key], data if isinstance(data, bytes) else b"", recorded_ns)
            except _ERRORS as error:
                if not self._cut_short:
                    self._note(f"is damaged, and read up to there ({error}); {self._mends}")

    def _opened(self) -> sqlite3.Connection:
        """Return the database, with what a recorder left in the log beside it.

        Without a log it is opened as a file that does not change: nothing is locked, and nothing is written beside it.
        """
        log = Path(f"{self.path}-wal")
        has_log = log.is_file() and log.stat().st_size > 0
        try:
            return self._connected("mode=ro" if has_log else "immutable=1")
        except _ERRORS as error:
            if not has_log:
                raise DamageError(f"SQLite cannot open it ({error})") from error
        try:
            database = self._connected("immutable=1")
        except _ERRORS as error:
            raise DamageError(f"SQLite cannot open it ({error})") from error
        self._note(f"is read without its last messages in {log.name}; copy both to a folder that can be written to")
        return database

    def _connected(self, how: str) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?{how}"
        # A reading may end in another thread than it began in, but never runs in two.
        database = sqlite3.connect(address, uri=True, timeout=_BUSY_S, check_same_thread=False)
        try:
            if self._cut_short:  # SQLite refuses such a file, but where it is told to trust less (btree.c, lockBtree)
                database.execute("PRAGMA writable_schema = ON")
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except _ERRORS:
            database.close()
            raise
        return database


def _extras(database: sqlite3.Connection) -> str:
    """Return what is known of topics beside their types: columns that later versions of rosbag2 have."""
    there = {row[1] for row in database.execute("PRAGMA table_info(topics)")}
    return "".join(
        f", {name if name in there else 'NULL'}" for name in ("type_description_hash", "offered_qos_profiles")
    )


def _lacks_pages(path: Path) -> bool:
    """Tell whether a database is shorter than its header says (https://www.sqlite.org/fileformat.html, 1.3)."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        raise DamageError(f"ends after {len(header)} bytes")
    (size,) = struct.unpack_from(">H", header, 16)
    changes, pages = struct.unpack_from(">II", header, 24)
    (valid_for,) = struct.unpack_from(">I", header, 92)
    return bool(changes == valid_for and path.stat().st_size < pages * (65536 if size == 1 else size))
