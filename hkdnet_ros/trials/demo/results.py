"""Turns the recorded messages of a demo into pictures and figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from tqdm import tqdm

from hkdnet_ros.msg import FusionStatus

from ...evaluation.side_by_side import Moment, evenly
from ...images import color
from ...images.frames import Frame
from ...images.messages import NS_PER_S, decode_message, stamp_to_ns
from ...perception.intake import ThermalIntake
from ...perception.thermal import ThermalConditioner, ThermalConfig
from ...sources.camera_source import CameraSource
from ...sources.simulated import SimulatedSource
from ..machine import machine
from .files import DemoFiles
from .recorder import Shot
from .report import DemoFigures, FrameRecord, latencies, memory_use
from .stream import Stream
from .truth import FusedSample, mean_of, measure

QUALITY_FRAMES = 12


def write_results(stream: Stream, thermal_config: ThermalConfig, source: CameraSource, files: DemoFiles) -> DemoFigures:
    """Write pictures, video and summary of ``stream`` and return its figures.

    ``thermal_config`` is the one that the node had, so that thermal images are shown as it saw them.
    """
    recorder = stream.recorder
    shots, statuses = recorder.shots, [deserialize_message(status, FusionStatus) for status in recorder.statuses]
    seconds = recorder.last_s - recorder.first_s
    fps = (recorder.published - 1) / seconds if seconds > 0 else 0.0
    with tqdm(shots.kept, desc="writing", unit=" frames") as bar:
        files.write_pictures(_moments(bar, thermal_config), len(shots.kept), max(fps, 1.0) / shots.stride, shots.stride)
    measured = _measured(shots.kept, source) if isinstance(source, SimulatedSource) else []
    first, last = shots.kept[0], statuses[-1]
    figures = DemoFigures(
        source=source.name,
        thermal_size=_size(first.thermal),
        visible_size=_size(first.visible),
        fused_size=_size(first.fused),
        seconds=seconds,
        model=last.model,
        device=last.device,
        precision=last.precision,
        machine=machine(),
        received={"thermal": last.thermal_received, "visible": last.visible_received},
        received_rate=_received_rate(statuses),
        pairs=last.pairs,
        published=last.published,
        drops=dict(zip(last.drop_reasons, map(int, last.drop_counts), strict=True)),
        fps=fps,
        latencies=latencies([_record(status) for status in statuses]),
        memory=memory_use(stream.memory),
        quality=mean_of(measured),
        quality_frames=len(measured),
        kept=len(shots.kept),
        keep_every=shots.stride,
    )
    files.write_summary(figures)
    return figures


def _frame(message: bytes) -> Frame:
    return decode_message(deserialize_message(message, Image))


def _size(message: bytes) -> str:
    height, width = _frame(message).image.shape[:2]
    return f"{width}x{height}"


def _moments(shots: Iterable[Shot], config: ThermalConfig) -> Iterator[Moment]:
    intake, conditioner = ThermalIntake(config), ThermalConditioner(config)
    for shot in shots:
        yield Moment(
            thermal=color.to_uint8(conditioner.condition(intake.take(_frame(shot.thermal)))),
            visible=_shown(_frame(shot.visible)),
            fused=_shown(_frame(shot.fused)),
        )


def _shown(frame: Frame) -> NDArray[np.uint8]:
    """Return a visible or fused image as 8 bit, gray or blue-green-red."""
    if color.is_color(frame.encoding):
        image: NDArray[Any] = frame.image
        return image if frame.encoding == "bgr8" else cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8)
    gray = color.luma(frame.image, frame.encoding)
    return gray if gray.dtype == np.uint8 else color.to_uint8(gray)


def _measured(shots: Sequence[Shot], source: SimulatedSource) -> list[dict[str, dict[str, float]]]:
    results = []
    chosen = [shots[index] for index in evenly(len(shots), QUALITY_FRAMES)]
    with tqdm(chosen, desc="measuring", unit=" frames") as bar:
        for shot in bar:
            fused = _frame(shot.fused)
            sample = FusedSample(
                shot.number, np.asarray(_frame(shot.visible).image, np.uint8), color.luma(fused.image, fused.encoding)
            )
            result = measure(source.simulator, sample)
            if result is not None:
                results.append(result)
    return results


def _record(status: Any) -> FrameRecord:
    stages = {name: seconds * 1e3 for name, seconds in zip(status.stages, status.stage_latencies, strict=True)}
    return FrameRecord(stages, (status.age.sec * NS_PER_S + status.age.nanosec) / 1e6)


def _received_rate(statuses: Sequence[Any]) -> float:
    """Return the visible images per second that reached the node, by the stamps of the first and last fused image."""
    first, last = statuses[0], statuses[-1]
    elapsed_ns = stamp_to_ns(last.header.stamp) - stamp_to_ns(first.header.stamp)
    images = last.visible_received - first.visible_received
    return images * NS_PER_S / elapsed_ns if elapsed_ns > 0 else 0.0
