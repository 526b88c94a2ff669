"""The node's work between activation and deactivation: messages in, pairs, fused messages out.

Everything but topics and transitions, which are the node's. Callbacks only look at headers and pair stamps; pixels are
touched in the worker thread.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sensor_msgs.msg import CameraInfo, Image

from ..errors import HkdnetError
from ..perception.frames import FusedFrame, Pair
from ..perception.pairing import Match, StampPairer
from ..perception.pipeline import Fuser, FusionPipeline
from .camera_scaling import OutputCameraInfo
from .image_messages import check_image, decode, encode_image, stamp_to_ns
from .schema import FusionConfig
from .statistics import BAD_PAIR, INTERNAL_ERROR, SUPERSEDED, Statistics, Throttle, Totals, bad_image
from .status import Described, fusion_status
from .worker import LatestWorker

_LOG_PERIOD_S = 5.0


class Engine(Fuser, Described, Protocol):
    """What the node needs of an inference engine."""

    def warm_up(self, height: int, width: int) -> float:
        """Do what the first call of a size would otherwise do; return the seconds it took."""

    def close(self) -> None:
        """Free the model and its device memory."""


class Logger(Protocol):
    """The part of rclpy's logger used here."""

    def info(self, message: str, /) -> Any: ...
    def warning(self, message: str, /) -> Any: ...
    def error(self, message: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where messages go, and the clock that says when."""

    image: Callable[[Image], None]
    camera_info: Callable[[CameraInfo], None]
    status: Callable[[Any], None]
    now_ns: Callable[[], int]  # the node's clock


@dataclass(frozen=True, slots=True)
class _Task:
    match: Match[Image]
    settled: float  # time.perf_counter() when the pair was made


class FusionSession:
    """Pairs, fuses and publishes until :meth:`stop`. Messages come from the node's callbacks, any thread."""

    def __init__(self, config: FusionConfig, engine: Engine, outputs: Outputs, logger: Logger) -> None:
        self._engine = engine
        self._outputs = outputs
        self._logger = logger
        self._statistics = Statistics()
        self._throttle = Throttle(_LOG_PERIOD_S)
        self._pairer: StampPairer[Image] = StampPairer(config.sync)
        self._pipeline = FusionPipeline(engine, config.pipeline, config.thermal)
        self._grid = config.pipeline.grid
        self._warm_size = self._grid  # the node warmed the engine up for it
        self._camera_info = OutputCameraInfo(logger)
        self._worker: LatestWorker[_Task] = LatestWorker(self._process, name="fusion")

    def receive(self, stream: str, message: Image) -> None:
        """Take one camera image of ``stream`` ("thermal" or "visible"); what is malformed is counted and logged."""
        self._statistics.add_received(stream)
        try:
            check_image(message)
        except HkdnetError as error:
            self._drop(bad_image(stream), str(error))
            return
        stamp_ns = stamp_to_ns(message.header.stamp)
        if stamp_ns <= 0 and self._throttle.passes(f"{stream} stamp"):  # the pairer counts it
            self._logger.warning(f"{stream} image has a stamp of {stamp_ns} ns; expected its time of exposure")
        for match in self._pairer.add(stream, stamp_ns, message):
            self._statistics.add_pair()
            if self._worker.put(_Task(match, time.perf_counter())):
                self._statistics.add_drop(SUPERSEDED)  # not logged: it is how the node keeps up with its cameras

    def receive_camera_info(self, message: CameraInfo) -> None:
        """Take the calibration of the visible camera."""
        self._camera_info.update(message)

    def reconfigure(self, config: FusionConfig) -> None:
        """Go by the live parameters of ``config`` from the next image on."""
        self._pairer.reconfigure(config.sync)
        self._pipeline.reconfigure(config.pipeline, config.thermal)

    def totals(self) -> Totals:
        """Return the counts since the session began, the pairer's drops among them."""
        totals = self._statistics.totals()
        totals.drops.update(self._pairer.drops)
        return totals

    def stop(self) -> None:
        """End the worker after the pair it is at, and publish nothing more. Waits for that pair."""
        for _ in range(self._worker.stop()):
            self._statistics.add_drop(SUPERSEDED)

    def _process(self, task: _Task) -> None:
        try:
            self._fuse_and_publish(task)
        except HkdnetError as error:
            self._drop(BAD_PAIR, str(error))
        except Exception:
            # One frame must not end the node, and a defect must not hide: the log gets all there is to know.
            self._statistics.add_drop(INTERNAL_ERROR)
            if self._throttle.passes(INTERNAL_ERROR):
                self._logger.error(f"a pair was dropped by an internal error:\n{traceback.format_exc()}")

    def _fuse_and_publish(self, task: _Task) -> None:
        self._warm_up(task.match.thermal)
        begun = time.perf_counter()
        pair = Pair(decode(task.match.thermal), decode(task.match.visible))
        decoded = time.perf_counter()
        fused = self._pipeline.process(pair)
        processed = time.perf_counter()
        image = encode_image(fused.image, _encoding(fused), fused.stamp_ns, fused.frame_id)
        encoded = time.perf_counter()
        self._outputs.image(image)
        camera_info = self._camera_info.scaled_to(fused, pair.visible)
        if camera_info is not None:
            self._outputs.camera_info(camera_info)
        published = time.perf_counter()
        self._statistics.add_published()
        latencies = {
            "queue": begun - task.settled,
            "decode": decoded - begun,
            **{stage: milliseconds / 1000 for stage, milliseconds in fused.timings.items()},
            "encode": encoded - processed,
            "publish": published - encoded,
        }
        age_ns = self._outputs.now_ns() - fused.stamp_ns
        totals = self.totals()
        status = fusion_status(fused, image.header, pair.skew_ns, age_ns, latencies, totals, self._engine)
        self._outputs.status(status)

    def _warm_up(self, thermal: Image) -> None:
        """Prepare the engine for a size of thermal images that it has not seen, where that decides the grid."""
        size = (thermal.width, thermal.height)
        if any(self._grid) or size == self._warm_size:
            return
        seconds = self._engine.warm_up(thermal.height, thermal.width)
        self._warm_size = size
        self._logger.info(f"warmed up for {size[0]}x{size[1]} pixels in {seconds:.1f} s")

    def _drop(self, reason: str, fact: str) -> None:
        count = self._statistics.add_drop(reason)
        if self._throttle.passes(reason):
            self._logger.warning(f"{reason} dropped ({count} so far): {fact}")


def _encoding(fused: FusedFrame) -> str:
    return "mono8" if fused.image.ndim == 2 else "bgr8"
