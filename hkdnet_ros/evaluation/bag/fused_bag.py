"""A rosbag2 of what the node would have published: mcap files of some hundred frames each, written without ROS."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from ...errors import MissingDependencyError, SourceError
from ...files import sync, written_whole
from ...images.camera_model import CameraModel
from ...images.frames import THERMAL, VISIBLE
from ...images.messages import NS_PER_S
from ...perception.sink import Figures, Output
from .status_message import FUSION_STATUS

IMAGE, CAMERA_INFO, STATUS = "/fused/image", "/fused/camera_info", "/fused/status"
TYPES = {
    IMAGE: "sensor_msgs/msg/Image",
    CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
    STATUS: "hkdnet_ros/msg/FusionStatus",
}
FOLDER = "fused"
"""The bag's folder, and what the names of its files begin with."""

Serialized: TypeAlias = "Sequence[tuple[str, bytes | memoryview]]"
"""Topics and what is published there for one frame."""

_DURATION_LIMIT_NS = 2**31 * NS_PER_S


class FusedMessages:
    """Serialises fused frames as the node's messages; any thread may call it.

    ``runs_on`` are the status' fields of the engine: model, scale, device and precision. Latencies are left out of the
    status, so that every run gives the same bag. Raises :class:`MissingDependencyError` without rosbags.
    """

    def __init__(self) -> None:
        try:
            from rosbags.typesys import Stores, get_types_from_msg, get_typestore
        except ImportError as error:
            raise MissingDependencyError("writing a bag needs the package rosbags; pip install rosbags") from error
        self.store = get_typestore(Stores.ROS2_HUMBLE)
        self.store.register(get_types_from_msg(FUSION_STATUS, TYPES[STATUS]))

    def of(self, output: Output, figures: Figures, runs_on: Mapping[str, Any]) -> Serialized:
        """Return topics and serialised messages for one frame."""
        fused = output.fused
        header = self._make("std_msgs/msg/Header", stamp=self._time(fused.stamp_ns), frame_id=fused.frame_id)
        height, width = fused.image.shape[:2]
        channels = 1 if fused.image.ndim == 2 else 3
        image = self._make(
            TYPES[IMAGE],
            header=header,
            height=height,
            width=width,
            encoding="mono8" if channels == 1 else "bgr8",
            is_bigendian=0,
            step=width * channels,
            data=np.ascontiguousarray(fused.image).reshape(-1),
        )
        messages = [(IMAGE, image)]
        if output.camera_model is not None:
            messages.append((CAMERA_INFO, self._camera_info(output.camera_model, header)))
        messages.append((STATUS, self._status(output, figures, header, runs_on)))
        return [(topic, self.store.serialize_cdr(message, TYPES[topic])) for topic, message in messages]

    def _status(self, output: Output, figures: Figures, header: Any, runs_on: Mapping[str, Any]) -> Any:
        totals = figures.totals
        drops = sorted(totals.drops.items())
        return self._make(
            TYPES[STATUS],
            header=header,
            mode=output.fused.mode,
            skew=self._duration(output.skew_ns),
            age=self._duration(figures.age_ns),
            misalignment=figures.misalignment_px,
            stages=[],
            stage_latencies=np.zeros(0, np.float32),
            thermal_received=totals.received[THERMAL],
            visible_received=totals.received[VISIBLE],
            pairs=totals.pairs,
            published=totals.published,
            drop_reasons=[reason for reason, _ in drops],
            drop_counts=np.array([count for _, count in drops], np.uint64),
            **runs_on,
        )

    def _camera_info(self, model: CameraModel, header: Any) -> Any:
        return self._make(
            TYPES[CAMERA_INFO],
            header=header,
            height=model.height,
            width=model.width,
            distortion_model=model.distortion_model,
            d=np.array(model.d, np.float64),
            k=np.array(model.k, np.float64),
            r=np.array(model.r, np.float64),
            p=np.array(model.p, np.float64),
            binning_x=model.binning_x,
            binning_y=model.binning_y,
            roi=self._make(
                "sensor_msgs/msg/RegionOfInterest",
                x_offset=model.roi_x_offset,
                y_offset=model.roi_y_offset,
                height=model.roi_height,
                width=model.roi_width,
                do_rectify=model.roi_do_rectify,
            ),
        )

    def _time(self, stamp_ns: int) -> Any:
        return self._make("builtin_interfaces/msg/Time", sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)

    def _duration(self, duration_ns: int) -> Any:
        held = max(-_DURATION_LIMIT_NS, min(duration_ns, _DURATION_LIMIT_NS - 1))
        seconds, nanoseconds = divmod(held, NS_PER_S)
        return self._make("builtin_interfaces/msg/Duration", sec=seconds, nanosec=nanoseconds)

    def _make(self, kind: str, **fields: Any) -> Any:
        return self.store.types[kind](**fields)


class BagPart:
    """Writes one mcap file of a bag; what is written counts once :meth:`finish` has returned."""

    def __init__(self, folder: Path, number: int, messages: FusedMessages) -> None:
        """``folder`` is that of the bag. What an earlier run left unfinished of this part is removed."""
        from rosbags.rosbag2 import StoragePlugin, Writer

        self._file = folder / f"{FOLDER}_{number}.mcap"
        self._work = folder / f".part_{number}"
        shutil.rmtree(self._work, ignore_errors=True)
        self._writer = Writer(self._work, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._store = messages.store
        self._connections: dict[str, Any] = {}

    def write(self, recorded_ns: int, messages: Serialized) -> None:
        """Append the messages of one frame, as recorded at ``recorded_ns``."""
        for topic, data in messages:
            if topic not in self._connections:
                self._connections[topic] = self._writer.add_connection(topic, TYPES[topic], typestore=self._store)
            self._writer.write(self._connections[topic], max(recorded_ns, 0), data)

    def finish(self) -> Path:
        """Complete the file, let it be named as part of the bag once it is on the disk, and return its path."""
        self._writer.close()
        (written,) = self._work.glob("*.mcap")
        sync(written)
        written.replace(self._file)
        shutil.rmtree(self._work)
        return self._file

    def abandon(self) -> None:
        """Leave nothing of the part."""
        self._writer.abort()
        shutil.rmtree(self._work, ignore_errors=True)


def complete(folder: Path, messages: FusedMessages) -> None:
    """Write the bag's metadata.yaml over all of its parts; raises :class:`SourceError` where one is damaged."""
    from rosbags.highlevel import AnyReader

    files = sorted(folder.glob(f"{FOLDER}_*.mcap"), key=lambda file: int(file.stem.rpartition("_")[2]))
    parts = []
    topics: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            with AnyReader([file]) as reader:
                start, end = reader.start_time, reader.end_time
                for connection in reader.connections:
                    entry = topics.setdefault(connection.topic, _topic(connection, messages))
                    entry["message_count"] += connection.msgcount
                parts.append((file.name, start, max(0, end - start), reader.message_count))
        except Exception as error:  # rosbags lets through what its storage raises
            raise SourceError(f"{file}: is damaged ({error}); remove {folder.parent} and run again") from error
    start = min((part[1] for part in parts), default=0)
    end = max((part[1] + part[2] for part in parts), default=0)
    information = {
        "version": 9,
        "storage_identifier": "mcap",
        "relative_file_paths": [part[0] for part in parts],
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(part[3] for part in parts),
        "topics_with_message_count": list(topics.values()),
        "compression_format": "",
        "compression_mode": "",
        "files": [
            {
                "path": name,
                "starting_time": {"nanoseconds_since_epoch": begun},
                "duration": {"nanoseconds": lasted},
                "message_count": count,
            }
            for name, begun, lasted, count in parts
        ],
        "custom_data": None,
        "ros_distro": "rosbags",
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False)
    with written_whole(folder / "metadata.yaml") as partial:
        partial.write_text(text, encoding="utf-8")


def _topic(connection: Any, messages: FusedMessages) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": connection.topic,
            "type": connection.msgtype,
            "serialization_format": "cdr",
            "offered_qos_profiles": [],
            "type_description_hash": messages.store.hash_rihs01(connection.msgtype),
        },
        "message_count": 0,
    }
