"""Whatever was recorded together, in one file or many, of one bag or several: its topics and messages."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ImageError, MissingDependencyError, SourceError
from . import mcap_file, ros1_file, sqlite_file
from .bag_file import ROS1, BagFile, Connection, DamageError, Message, Note, merged
from .compression import message_data, unpack
from .folder import bag_files

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_log = logging.getLogger(__name__)

_KINDS: dict[bytes, Callable[[Path, Note], BagFile]] = {
    sqlite_file.MAGIC: sqlite_file.SqliteFile,
    mcap_file.MAGIC: mcap_file.McapFile,
    ros1_file.MAGIC: ros1_file.Ros1File,
}
"""The bytes that a file begins with, and how it is opened."""


class Recording:
    """The files of one bag, or of several that were recorded side by side, read as one.

    What cannot be read is left out, said once as a warning, and kept in :attr:`problems`.
    """

    def __init__(self, bags: Sequence[Path]) -> None:
        """Open bags, each a folder or a file: .mcap, .db3, .bag, or one of these compressed as .zstd.

        Raises :class:`SourceError` where a bag has no file that can be read, :class:`MissingDependencyError` without
        the package rosbags.
        """
        self.name = ",".join(str(bag) for bag in bags)
        self.problems: list[str] = []
        self._store = _typestore(self.name)
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._bags: list[list[BagFile]] = []
        try:
            for bag in bags:
                self._bags.append(self._opened(bag))
        except BaseException:
            self.close()
            raise

    @property
    def connections(self) -> list[Connection]:
        """What was recorded: one for each writer of each topic in each file."""
        return [connection for bag in range(len(self._bags)) for connection in self.connections_of(bag)]

    def connections_of(self, bag: int) -> list[Connection]:
        """Return what was recorded in the bag of that number, counted from 0."""
        return [connection for file in self._bags[bag] for connection in file.connections]

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """Yield the messages of ``connections`` by the time they were recorded, from the start at each call."""
        wanted = {id(connection) for connection in connections}
        parts = []
        for file in (file for bag in self._bags for file in bag):
            own = [connection for connection in file.connections if id(connection) in wanted]
            if own:
                parts.append((file.start_ns, self._reader(file, own)))
        return merged(parts)

    def deserialized(self, message: Message) -> Any:
        """Return a message with its fields; raises :class:`ImageError` where it is damaged.

        Types are those of ROS 2: their definitions have not changed for what cameras send, and a bag need not hold
        them. A message of ROS 1 gets the fields that it has in ROS 2.
        """
        kind = message.connection.msgtype
        try:
            data: bytes | memoryview = message_data(message.data)
            if message.connection.encoding == ROS1:
                data = self._store.ros1_to_cdr(data, kind)
            return self._store.deserialize_cdr(data, kind)
        except Exception as error:  # a damaged message fails anywhere in rosbags' generated code
            raise ImageError(f"damaged message of {len(message.data)} bytes") from error

    def close(self) -> None:
        """Remove what was unpacked; files are open only while they are read."""
        if self._unpacked is not None:
            self._unpacked.cleanup()
            self._unpacked = None

    def _reader(self, file: BagFile, connections: list[Connection]) -> Callable[[], Iterator[Message]]:
        def read() -> Iterator[Message]:
            try:
                yield from file.messages(connections)
            except OSError as error:
                raise SourceError(f"{file.path}: cannot be read on ({error.strerror})") from error

        return read

    def _opened(self, bag: Path) -> list[BagFile]:
        paths, problem = bag_files(bag)
        if problem:
            self._note(bag, problem)
        files: list[BagFile] = []
        reasons: list[str] = []
        for path in paths:
            try:
                files.append(self._opened_file(path))
            except (DamageError, OSError) as error:
                reason = f"{path.name}: {' '.join(str(error).split())}"
                if len(paths) > 1:
                    self._note(bag, f"{reason}; left out")
                reasons.append(reason)
        if not files:
            raise SourceError(f"{bag}: cannot be opened as a recording ({reasons[0]})")
        return files

    def _opened_file(self, path: Path) -> BagFile:
        def note(problem: str) -> None:
            self._note(path, problem)

        content = self._unpack(path) if path.suffix == ".zstd" else path
        with content.open("rb") as file:
            start = file.read(16)
        if not start:
            raise DamageError("is empty, as a recorder leaves it that was killed before it wrote")
        for magic, kind in _KINDS.items():
            if start.startswith(magic):
                return kind(content, note)
        raise DamageError("is no MCAP, SQLite or ROS 1 file")

    def _unpack(self, path: Path) -> Path:
        if self._unpacked is None:
            self._unpacked = tempfile.TemporaryDirectory(prefix="hkdnet-bag-")
        content = Path(self._unpacked.name) / path.stem
        try:
            whole = unpack(path, content)
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be unpacked to {self._unpacked.name} ({error.strerror}); set TMPDIR to a folder with "
                "room, or unpack it with `zstd -d`"
            ) from error
        if not whole:
            self._note(path, "is broken off: what could be unpacked of it is read")
        return content

    def _note(self, path: Path, problem: str) -> None:
        line = f"{path}: {problem}"
        if line not in self.problems:
            self.problems.append(line)
            _log.warning("%s", line)


def _typestore(name: str) -> Typestore:
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise MissingDependencyError(f"{name}: reading a bag needs the package rosbags; pip install rosbags") from error
    return get_typestore(Stores.ROS2_HUMBLE)
