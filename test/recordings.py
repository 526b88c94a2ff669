"""Writes small recordings of every kind for tests, videos, folders of images, bags, and reads sources."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.sources.video_writer import VideoWriter

THERMAL_SIZE, VISIBLE_SIZE = (32, 24), (48, 36)  # width, height
FPS = 20.0


def thermal_image(index, dtype=np.uint8, size=THERMAL_SIZE):
    """A gradient with a warm spot that moves with ``index``; every frame differs."""
    width, height = size
    top = np.iinfo(dtype).max
    rows, columns = np.mgrid[0:height, 0:width]
    spot = np.exp(-((columns - 4 - index) ** 2 + (rows - height / 2) ** 2) / 8.0)
    return np.clip(0.2 * top + 0.3 * top * columns / width + 0.5 * top * spot, 0, top).astype(dtype)


def visible_image(index, size=VISIBLE_SIZE):
    """Colour gradients whose offset is ``index``: blue, green and red differ."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    planes = (40 + 3 * rows + index, 60 + 2 * columns, 200 - rows - columns + index)
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def write_folder(folder: Path, count=4, dtype=np.uint8, suffixes=(".png", ".png")):
    """Write ``count`` pairs to thermal/ and visible/ and return the images written."""
    pairs = []
    for index in range(count):
        pair = thermal_image(index, dtype), visible_image(index)
        for stream, image, suffix in zip(("thermal", "visible"), pair, suffixes, strict=True):
            (folder / stream).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / stream / f"frame_{index:03d}{suffix}"), image)
        pairs.append(pair)
    return pairs


def write_videos(folder: Path, count=6, fps=(FPS, FPS)):
    """Write thermal.mp4 and visible.mp4."""
    folder.mkdir(parents=True, exist_ok=True)
    with VideoWriter(folder / "thermal.mp4", fps[0], THERMAL_SIZE) as video:
        for index in range(count):
            video.write(thermal_image(index))
    with VideoWriter(folder / "visible.mp4", fps[1], VISIBLE_SIZE) as video:
        for index in range(count):
            video.write(visible_image(index))
    return folder


class BagWriter:
    """Writes a bag of images with rosbags; ``storage`` is sqlite3, mcap, or ros1, whose path is that of a file.

    ``compression`` is none, or for a rosbag2 file, message or (mcap) storage, for one of ROS 1 bz2 or lz4.
    ``serialization`` is that of the messages in a rosbag2, which tools for MCAP write as ros1, too.
    """

    def __init__(self, path: Path, storage: str, compression: str = "none", serialization: str = "cdr") -> None:
        from rosbags.rosbag1 import Writer as Writer1
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        self.store = get_typestore(Stores.ROS2_HUMBLE)
        self.types = self.store.types
        self._ros1 = get_typestore(Stores.ROS1_NOETIC) if storage == "ros1" else None
        if self._ros1:
            self._writer = Writer1(path)
            if compression != "none":
                self._writer.set_compression(Writer1.CompressionFormat[compression.upper()])
        else:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
            self._writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
        self._serialization = serialization
        self._connections = {}

    def __enter__(self):
        self._writer.open()
        return self

    def __exit__(self, *_):
        self._writer.close()

    def header(self, stamp_ns, frame_id):
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)

    def connect(self, topic, name, writer=0, **definition):
        """Return the connection of a type on a topic, which may have several writers, told apart by a number."""
        key = topic, name, writer
        if key not in self._connections:
            definition = definition or {"typestore": self._ros1 or self.store}
            apart = {"offered_qos_profiles": _qos(writer), "serialization_format": self._serialization}
            apart = {"callerid": f"/driver_{writer}"} if self._ros1 else apart
            self._connections[key] = self._writer.add_connection(topic, name, **definition, **apart)
        return self._connections[key]

    def write(self, topic, kind, message, recorded_ns, *, cut=None, writer=0, little=True):
        """Append a message; ``cut`` shortens its serialised form, as a damaged recording has it."""
        name = kind if "/" in kind else f"sensor_msgs/msg/{kind}"
        data = self.store.serialize_cdr(message, name, little_endian=little)
        data = self.store.cdr_to_ros1(data, name) if self._ros1 or self._serialization == "ros1" else data
        self._writer.write(self.connect(topic, name, writer), recorded_ns, bytes(data)[:cut])

    def raw(self, connection, recorded_ns, data):
        """Append serialised bytes to a connection of :meth:`connect`."""
        self._writer.write(connection, recorded_ns, data)

    def foreign(self, topic, recorded_ns, definition):
        """Append a message of a type that nobody here knows."""
        hashed = {"md5sum": "0" * 32} if self._ros1 else {"rihs01": "RIHS01_" + "0" * 64}
        connection = self.connect(topic, "robot_msgs/msg/Label", msgdef=definition, **hashed)
        self._writer.write(connection, recorded_ns, b"\x00\x01\x00\x00\x01\x00\x00\x00\x00")

    def image(
        self,
        topic,
        image,
        encoding,
        stamp_ns,
        frame_id,
        *,
        recorded_ns=None,
        padding=0,
        big=False,
        writer=0,
        little=True,
        **changed,
    ):
        """Append a sensor_msgs/Image; ``padding`` bytes end each row, ``changed`` overrides fields of the message."""
        stored = image.byteswap() if big else image
        rows = stored.reshape(stored.shape[0], -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, padding)))
        fields = {
            "header": self.header(stamp_ns, frame_id),
            "height": image.shape[0],
            "width": image.shape[1],
            "encoding": encoding,
            "is_bigendian": int(big),
            "step": rows.shape[1],
            "data": rows.ravel(),
        }
        message = self.types["sensor_msgs/msg/Image"](**{**fields, **changed})
        recorded_ns = stamp_ns if recorded_ns is None else recorded_ns
        self.write(topic, "Image", message, recorded_ns, writer=writer, little=little)

    def compressed(self, topic, image, format, suffix, stamp_ns, frame_id):
        """Append a sensor_msgs/CompressedImage encoded as a file with ``suffix`` would be."""
        done, data = cv2.imencode(suffix, image)
        assert done
        message = self.types["sensor_msgs/msg/CompressedImage"](
            header=self.header(stamp_ns, frame_id), format=format, data=data.ravel()
        )
        self.write(topic, "CompressedImage", message, stamp_ns)

    def camera_info(self, topic, size, focal, stamp_ns, frame_id):
        """Append a sensor_msgs/CameraInfo of a pinhole camera."""
        width, height = size
        k = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], float)
        message = self.types["sensor_msgs/msg/CameraInfo"](
            header=self.header(stamp_ns, frame_id), height=height, width=width, distortion_model="plumb_bob",
            d=np.zeros(5), k=k.ravel(), r=np.eye(3).ravel(), p=np.pad(k, ((0, 0), (0, 1))).ravel(),
            binning_x=0, binning_y=0,
            roi=self.types["sensor_msgs/msg/RegionOfInterest"](
                x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
            ),
        )  # fmt: skip
        self.write(topic, "CameraInfo", message, stamp_ns)

    def shutter(self, topic, is_closed, recorded_ns):
        """Append a std_msgs/Bool, the thermal camera's word on its shutter."""
        self.write(topic, "std_msgs/msg/Bool", self.types["std_msgs/msg/Bool"](data=is_closed), recorded_ns)


def _qos(depth):
    """A QoS that differs by its depth."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    never = QosTime(2147483647, 4294967295)
    return [
        Qos(
            QosHistory.KEEP_LAST, depth + 5, QosReliability.RELIABLE, QosDurability.VOLATILE, never, never,
            QosLiveliness.AUTOMATIC, never, False,
        )
    ]  # fmt: skip


START_NS = 1_700_000_000_000_000_000


def write_bag(
    path: Path,
    storage="sqlite3",
    count=5,
    dtype=np.uint16,
    namespace="",
    compression="none",
    first=0,
    streams=("thermal", "visible"),
):
    """Write a bag of ``count`` pairs from number ``first``, thermal 4 ms after visible, and return its path."""
    encoding = {np.uint8: "mono8", np.uint16: "mono16"}[dtype]
    with BagWriter(path, storage, compression) as bag:
        for stream, size in (("thermal", THERMAL_SIZE), ("visible", VISIBLE_SIZE)):
            stamp = START_NS + first * 50_000_000
            bag.camera_info(f"{namespace}/{stream}/camera_info", size, 40.0, stamp, f"{stream}_optical")
        for index in range(first, first + count):
            stamp = START_NS + index * 50_000_000
            if "visible" in streams:
                bag.image(f"{namespace}/visible/image_raw", visible_image(index), "bgr8", stamp, "visible_optical")
            if "thermal" in streams:
                image = thermal_image(index, dtype)
                bag.image(f"{namespace}/thermal/image_raw", image, encoding, stamp + 4_000_000, "thermal_optical")
    return path


def frames_of(source):
    """All frames of a source by stream, after a check of their order."""
    events = list(source.events())
    stamps = [frame.stamp_ns for _, frame in events]
    assert stamps == sorted(stamps)
    assert stamps[0] == 0
    streams = defaultdict(list)
    for stream, frame in events:
        streams[stream].append(frame)
    return streams["thermal"], streams["visible"]


def images_of(source):
    """The images among all that arrives of a source."""
    return [arrival for arrival in source.arrivals() if isinstance(arrival, Incoming)]


def assert_one_line(error: BaseException, *facts: object) -> None:
    assert "\n" not in str(error)
    for fact in facts:
        assert str(fact) in str(error)
