"""A rosbag2 recording (sqlite3 or mcap) as a camera source, read without ROS by the rosbags library."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ImageError, MissingDependencyError, SourceError
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from ..images.messages import camera_model, check_message, decode_message, stamp_to_ns
from ..perception.incoming import Arrival, Calibration, Incoming, ShutterFlag
from .camera_source import in_stamp_order, shifted

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

_log = logging.getLogger(__name__)

IMAGE, COMPRESSED, CAMERA_INFO = (f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo"))
SHUTTER_FLAG = "std_msgs/msg/Bool"
_LOOK_AHEAD = 16  # frames of both streams within which stamps are put in order


class BagSource:
    """The two image topics of a bag.

    Frames bear their header stamps, counted from the first; one that has a stamp of zero bears the time it was
    recorded. A message that is damaged or of an unknown encoding is skipped and counted in :attr:`skipped`. Intrinsics
    are those of the first message on the ``camera_info`` topic beside the images.
    """

    def __init__(self, path: Path, thermal_topic: str, visible_topic: str) -> None:
        """Open a bag folder, .mcap or .db3 and find the topics.

        A topic may be given with or without its namespace; where only its ``/compressed`` form was recorded, that is
        taken. Raises :class:`SourceError` where the bag cannot be opened or has no such images, and
        :class:`MissingDependencyError` without rosbags.
        """
        self.name = str(path)
        self._skipped: Counter[str] = Counter()
        self._reader = _opened(path)
        self._closed = False
        try:
            topics = {THERMAL: thermal_topic, VISIBLE: visible_topic}
            self._connections = {stream: self._find_images(stream, topic) for stream, topic in topics.items()}
            if self._connections[THERMAL].topic == self._connections[VISIBLE].topic:
                raise SourceError(f"{path}: {self._connections[THERMAL].topic} cannot be both thermal and visible")
            self._models = {stream: self._first_model(stream) for stream in topics}
        except BaseException:
            self.close()
            raise

    @property
    def skipped(self) -> Mapping[str, int]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return self._skipped

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        self._skipped.clear()
        start_ns: int | None = None
        for stream, frame in in_stamp_order(self._frames(), _LOOK_AHEAD):
            start_ns = frame.stamp_ns if start_ns is None else start_ns
            yield stream, shifted(frame, -start_ns)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield images, calibrations and the thermal camera's shutter flag as recorded, with the stamps they bear."""
        images = {connection.id: stream for stream, connection in self._connections.items()}
        infos = {info.id: stream for stream in self._connections for info in self._beside(stream, "camera_info")}
        flags = self._beside(THERMAL, "shutter")
        wanted = {*images, *infos, *(flag.id for flag in flags)}
        for connection, recorded_ns, data in self._messages([c for c in self._reader.connections if c.id in wanted]):
            if (stream := images.get(connection.id)) is not None:
                yield self._incoming(stream, connection, recorded_ns, data)
                continue
            try:
                message = self._deserialized(connection, data)
            except ImageError as error:
                _log.warning("%s: %s passed over: %s", self.name, connection.topic, error)
                continue
            if (stream := infos.get(connection.id)) is not None:
                yield Calibration(stream, camera_model(message), stamp_to_ns(message.header.stamp), recorded_ns)
            else:
                yield ShutterFlag(bool(message.data), recorded_ns)

    def _incoming(self, stream: str, connection: Connection, recorded_ns: int, data: bytes) -> Incoming:
        try:
            message = self._deserialized(connection, data)
        except ImageError as error:
            refuse = functools.partial(_refuse, error)
            return Incoming(stream, 0, recorded_ns, "", decode=refuse, check=refuse)
        return Incoming(
            stream,
            stamp_to_ns(message.header.stamp),
            recorded_ns,
            str(message.header.frame_id),
            decode=functools.partial(decode_message, message),
            check=functools.partial(check_message, message),
            content=message.data,
        )

    def _frames(self) -> Iterator[tuple[str, Frame]]:
        streams = {connection.id: stream for stream, connection in self._connections.items()}
        for connection, recorded_ns, data in self._messages(list(self._connections.values())):
            stream = streams[connection.id]
            try:
                yield stream, _frame(self._deserialized(connection, data), recorded_ns)
            except ImageError as error:
                reason = f"{stream}: {error}"
                if reason not in self._skipped:
                    _log.warning("%s: skipped an image on %s: %s", self.name, connection.topic, error)
                self._skipped[reason] += 1

    def __len__(self) -> int:
        return min(connection.msgcount for connection in self._connections.values())

    def camera_model(self, stream: str) -> CameraModel | None:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return self._models[stream]

    def close(self) -> None:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        if not self._closed:
            self._closed = True
            self._reader.close()

    def _find_images(self, stream: str, topic: str) -> Connection:
        images = [c for c in self._reader.connections if c.msgtype in (IMAGE, COMPRESSED)]
        for wanted in (topic, f"{topic}/compressed"):
            for matches in (
                [c for c in images if c.topic.strip("/") == wanted.strip("/")],
                [c for c in images if c.topic.endswith("/" + wanted.strip("/"))],
            ):
                if len({c.topic for c in matches}) > 1:
                    names = ", ".join(sorted(c.topic for c in matches))
                    raise SourceError(f"{self.name}: {stream} topic {topic} may be any of {names}; give it in full")
                if matches:
                    return matches[0]
        there = ", ".join(sorted({c.topic for c in images})) or "none"
        raise SourceError(
            f"{self.name}: no {stream} images on topic {topic}; image topics there: {there}; name the topic to read"
        )

    def _first_model(self, stream: str) -> CameraModel | None:
        infos = self._beside(stream, "camera_info")
        for connection, _, data in self._messages(infos) if infos else ():
            try:
                return camera_model(self._deserialized(connection, data))
            except ImageError as error:
                _log.warning("%s: %s passed over: %s", self.name, connection.topic, error)
                break
        return None

    def _beside(self, stream: str, name: str) -> list[Connection]:
        """Return the connections of the topic ``name`` beside a stream's images, a calibration's or a flag's."""
        kind = {"camera_info": CAMERA_INFO, "shutter": SHUTTER_FLAG}[name]
        topic = self._connections[stream].topic.removesuffix("/compressed")
        beside = f"{topic.rpartition('/')[0]}/{name}"
        return [c for c in self._reader.connections if c.topic == beside and c.msgtype == kind]

    def _messages(self, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        messages = self._reader.messages(connections)
        while True:
            try:
                message = next(messages, None)
            except Exception as error:  # rosbags lets through what its storage raises: sqlite3, struct, zstd, ...
                raise SourceError(f"{self.name}: damaged, cannot be read on ({_one_line(error)})") from error
            if message is None:
                return
            yield message

    def _deserialized(self, connection: Connection, data: bytes) -> Any:
        try:
            return self._reader.deserialize(data, connection.msgtype)
        except Exception as error:  # a damaged message fails anywhere in rosbags' generated code
            raise ImageError(f"damaged message of {len(data)} bytes") from error


def _opened(path: Path) -> AnyReader:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise MissingDependencyError(f"{path}: reading a bag needs the package rosbags; pip install rosbags") from error
    try:
        # Older sqlite3 bags carry no message definitions; those of images have not changed since.
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    except Exception as error:  # rosbags lets through what its storage raises: sqlite3, struct, yaml, KeyError, ...
        raise SourceError(f"{path}: cannot be opened as a rosbag2 recording ({_one_line(error)})") from error
    return reader


def _frame(message: Any, recorded_ns: int) -> Frame:
    """Return the frame in a deserialized image message; raises :class:`ImageError`."""
    frame = decode_message(message)
    return frame if frame.stamp_ns else shifted(frame, recorded_ns)


def _refuse(error: ImageError) -> NoReturn:
    raise error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
