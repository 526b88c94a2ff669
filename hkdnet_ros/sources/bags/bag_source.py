"""A recording of ROS 2 or ROS 1 as a camera source."""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ...errors import ConfigError, ImageError, SourceError
from ...geometry.messages import child_to_parent
from ...geometry.rigid_transform import RigidTransform
from ...images.bit_depth import BitDepth
from ...images.camera_model import CameraModel
from ...images.frames import THERMAL, VISIBLE, Frame
from ...images.messages import camera_model, check_depth, check_message, decode_depth, decode_message, stamp_to_ns
from ...perception.incoming import DEPTH, Arrival, Calibration, Depth, Incoming, ShutterFlag, Transform
from ..camera_source import shifted
from ..reasons import Reasons
from .bag_file import Connection, Message
from .cameras import find_cameras
from .common_time import CommonTime, Stamped, first_images, in_order, least_delay
from .recording import Recording
from .topics import CAMERA_INFO, SHUTTER_FLAG, STATIC_TRANSFORMS, TRANSFORMS, beside, find_images

_log = logging.getLogger(__name__)


class BagSource:
    """The two image topics of a bag, or of several bags that were recorded side by side.

    Frames of :meth:`events` bear their header stamps, counted from the first, put in order over two seconds; where a
    camera has no clock or another one, :class:`~hkdnet_ros.sources.bags.common_time.CommonTime` says where they lie. A
    message that is damaged or of an unknown encoding is skipped and counted in :attr:`skipped`. Intrinsics are those of
    the first message on the ``camera_info`` topic beside the images. ``recording`` is the bag itself, with all topics.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        thermal_topic: str | None,
        visible_topic: str | None,
        thermal_offset: float = 0.0,
        depth_topic: str | None = None,
    ) -> None:
        """Open bags and find the topics.

        One that is None is told by its name (cameras.py). A topic may be given with or without its namespace; where
        only its ``/compressed`` form was recorded, that is taken. Where both topics have one name in two bags, the
        first bag is the thermal camera's. ``thermal_offset``, in seconds, is added to thermal stamps in :meth:`events`,
        before they are put in order. ``depth_topic`` has depth images of the visible camera's view, for
        :meth:`arrivals`. Raises :class:`SourceError` where a bag cannot be opened or has no such images,
        and :class:`MissingDependencyError` without rosbags.
        """
        self.recording = Recording(paths)
        self.name = self.recording.name
        self._skipped = Reasons()
        self._depths = {VISIBLE: BitDepth()}
        self._remarks: set[str] = set()
        self._lateness: dict[str, float] = {}
        self._offsets_ns = {THERMAL: round(thermal_offset * 1e9), VISIBLE: 0}
        try:
            given = {THERMAL: thermal_topic, VISIBLE: visible_topic}
            topics = find_cameras(self.name, self.recording.connections, given)
            bag_each = len(paths) == 2 and topics[THERMAL].strip("/") == topics[VISIBLE].strip("/")
            self._connections: dict[str, list[Connection]] = {}
            for number, (stream, topic) in enumerate(topics.items()):
                there = self.recording.connections_of(number) if bag_each else self.recording.connections
                self._connections[stream] = find_images(self.name, there, stream, topic)
            if self.topic(THERMAL) == self.topic(VISIBLE) and not bag_each:
                raise SourceError(f"{self.name}: {self.topic(THERMAL)} cannot be both thermal and visible")
            self._depth = find_images(self.name, self.recording.connections, DEPTH, depth_topic) if depth_topic else []
            self._models = {stream: self._first_model(stream) for stream in topics}
        except BaseException:
            self.close()
            raise

    @property
    def skipped(self) -> Mapping[str, int]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return self._skipped.counts

    @property
    def lateness(self) -> Mapping[str, float]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`; known once the images are read."""
        return self._lateness

    def topic(self, stream: str) -> str:
        """Return the topic on which the images of ``stream`` were recorded."""
        return self._connections[stream][0].topic

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        self._skipped.clear()
        images = {stream: self._stamped(stream) for stream in self._connections}
        first = {stream: first_images(images[stream]) for stream in images}
        delays = {stream: least_delay(first[stream]) for stream in first if first[stream]}
        time = CommonTime(delays, self._remark)
        self._lateness = {stream: (time.lateness_ns(stream) - self._offsets_ns[stream]) / 1e9 for stream in delays}

        def ordered(stream: str) -> Iterator[tuple[int, str, Any]]:
            stray = functools.partial(self._skip, stream, "its stamp is out of all order")
            placed = time.placed(stream, itertools.chain(first[stream], images[stream]), stray)
            for time_ns, message in in_order(placed, stray):
                yield time_ns + self._offsets_ns[stream], stream, message

        start_ns: int | None = None
        # Each stream is read on its own: however much later one was recorded, no image waits in memory for that.
        for time_ns, stream, message in heapq.merge(*map(ordered, images), key=lambda image: image[0]):
            if (frame := self._frame(stream, message)) is not None:
                start_ns = time_ns if start_ns is None else start_ns
                yield stream, shifted(frame, time_ns - start_ns - frame.stamp_ns)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield images, calibrations and the thermal camera's shutter flag as recorded, with the stamps they bear.

        What was recorded on /tf_static comes first: a node has it from its start, since its publishers keep it.
        """
        streams = {id(c): stream for stream, connections in self._connections.items() for c in connections}
        infos = {id(c): stream for stream in self._connections for c in self._beside(stream, CAMERA_INFO)}
        flags = {id(c) for c in self._beside(THERMAL, SHUTTER_FLAG)}
        depths = {id(c) for c in self._depth}
        wanted = [c for c in self.recording.connections if id(c) in {*streams, *infos, *flags, *depths}]
        transforms = self._static_transforms()
        for message in self.recording.messages(wanted):
            for parent, child, pose in transforms:
                yield Transform(parent, child, pose, message.recorded_ns)
            transforms = []
            place = id(message.connection)
            if place in depths:
                yield Depth(self._incoming(DEPTH, message))
                continue
            if place in streams:
                yield self._incoming(streams[place], message)
                continue
            try:
                content = self.recording.deserialized(message)
            except ImageError as error:
                self._remark(f"{message.connection.topic} passed over: {error}")
                continue
            if place in infos:
                stamp_ns = stamp_to_ns(content.header.stamp)
                yield Calibration(infos[place], camera_model(content), stamp_ns, message.recorded_ns)
            else:
                yield ShutterFlag(bool(content.data), message.recorded_ns)

    def _static_transforms(self) -> list[tuple[str, str, RigidTransform]]:
        found = []
        there = [c for c in self.recording.connections if (c.topic, c.msgtype) == (STATIC_TRANSFORMS, TRANSFORMS)]
        for message in self.recording.messages(there) if there else ():
            try:
                sent = self.recording.deserialized(message).transforms
            except ImageError as error:
                self._remark(f"{STATIC_TRANSFORMS} passed over: {error}")
                continue
            for stamped in sent:
                parent, child = str(stamped.header.frame_id), str(stamped.child_frame_id)
                try:
                    found.append((parent, child, child_to_parent(stamped)))
                except ConfigError as error:
                    self._remark(f"{STATIC_TRANSFORMS} passed over from {parent} to {child}: {error}")
        return found

    def _incoming(self, stream: str, message: Message) -> Incoming:
        try:
            image = self.recording.deserialized(message)
        except ImageError as error:
            refuse = functools.partial(_refuse, error)
            return Incoming(stream, 0, message.recorded_ns, "", decode=refuse, check=refuse)
        decode = functools.partial(decode_message, image, self._depths.get(stream))
        check, content = functools.partial(check_message, image), image.data
        if stream == DEPTH:
            decode, check, content = functools.partial(decode_depth, image), functools.partial(check_depth, image), None
        return Incoming(
            stream,
            stamp_to_ns(image.header.stamp),
            message.recorded_ns,
            str(image.header.frame_id),
            decode=decode,
            check=check,
            content=content,
        )

    def _beside(self, stream: str, kind: str) -> list[Connection]:
        return beside(self.recording.connections, self.topic(stream), kind)

    def __len__(self) -> int:
        return min(sum(connection.count for connection in each) for each in self._connections.values())

    def camera_model(self, stream: str) -> CameraModel | None:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return self._models[stream]

    def close(self) -> None:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        self.recording.close()

    def _stamped(self, stream: str) -> Iterator[Stamped[Any]]:
        for message in self.recording.messages(self._connections[stream]):
            try:
                image = self.recording.deserialized(message)
            except ImageError as error:
                self._skip(stream, error)
                continue
            yield Stamped(stamp_to_ns(image.header.stamp), message.recorded_ns, len(message.data), image)

    def _frame(self, stream: str, message: Any) -> Frame | None:
        try:
            return decode_message(message, self._depths.get(stream))
        except ImageError as error:
            self._skip(stream, error)
            return None

    def _skip(self, stream: str, error: ImageError | str) -> None:
        if self._skipped.add(f"{stream}: {error}"):
            _log.warning("%s: skipped an image on %s: %s", self.name, self.topic(stream), error)

    def _remark(self, remark: str) -> None:
        """Say once what is not as it should be, however often the bag is read."""
        if remark not in self._remarks:
            self._remarks.add(remark)
            _log.warning("%s: %s", self.name, remark)

    def _first_model(self, stream: str) -> CameraModel | None:
        infos = self._beside(stream, CAMERA_INFO)
        for message in self.recording.messages(infos) if infos else ():
            try:
                return camera_model(self.recording.deserialized(message))
            except ImageError as error:
                _log.warning("%s: %s passed over: %s", self.name, infos[0].topic, error)
                break
        return None


def _refuse(error: ImageError) -> NoReturn:
    raise error
