"""Fused frames as the messages that the node would have published, serialised without ROS."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingDependencyError
from ...images.camera_model import CameraModel
from ...images.frames import THERMAL, VISIBLE
from ...images.messages import NS_PER_S
from ...perception.sink import Figures, Output
from .status_message import FUSION_STATUS
from .topics import Topic, topic_of

IMAGE, CAMERA_INFO, STATUS = "/fused/image", "/fused/camera_info", "/fused/status"
VALIDITY, TEMPERATURE = "/fused/validity", "/fused/temperature"
_IMAGE_TYPE, _STATUS_TYPE = "sensor_msgs/msg/Image", "hkdnet_ros/msg/FusionStatus"
TYPES = {
    IMAGE: _IMAGE_TYPE,
    CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
    STATUS: _STATUS_TYPE,
    VALIDITY: _IMAGE_TYPE,
    TEMPERATURE: _IMAGE_TYPE,
}

Serialized: TypeAlias = "Sequence[tuple[Topic, bytes | memoryview]]"
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
        self.store.register(get_types_from_msg(FUSION_STATUS, _STATUS_TYPE))
        self._topics = {name: topic_of(name, kind, self.store) for name, kind in TYPES.items()}

    def of(self, output: Output, figures: Figures, runs_on: Mapping[str, Any]) -> Serialized:
        """Return topics and serialised messages for one frame."""
        fused = output.fused
        header = self._make("std_msgs/msg/Header", stamp=self._time(fused.stamp_ns), frame_id=fused.frame_id)
        messages = [(IMAGE, self._image(fused.image, "mono8" if fused.image.ndim == 2 else "bgr8", header))]
        if output.camera_model is not None:
            messages.append((CAMERA_INFO, self._camera_info(output.camera_model, header)))
        messages.append((STATUS, self._status(output, figures, header, runs_on)))
        if fused.validity is not None:
            messages.append((VALIDITY, self._image(fused.validity, "mono8", header)))
        if fused.temperature is not None:
            messages.append((TEMPERATURE, self._image(fused.temperature, "32FC1", header)))
        return [(self._topics[name], self.store.serialize_cdr(message, TYPES[name])) for name, message in messages]

    def _image(self, image: NDArray[Any], encoding: str, header: Any) -> Any:
        rows = np.ascontiguousarray(image).reshape(image.shape[0], -1).view(np.uint8)
        return self._make(
            _IMAGE_TYPE,
            header=header,
            height=image.shape[0],
            width=image.shape[1],
            encoding=encoding,
            is_bigendian=int(sys.byteorder == "big"),
            step=rows.shape[1],
            data=rows.reshape(-1),
        )

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
