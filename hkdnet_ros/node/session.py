"""The node's work between activation and deactivation: messages in, pairs, fused messages out.

Everything but topics and transitions, which are the node's. Callbacks look at headers, pair stamps and tell whether a
thermal image is a live view; all other work on pixels is done in the worker thread.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Header

from ..errors import DeviceError, HkdnetError
from ..images import color
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from ..images.messages import check_message, decode_message, stamp_to_ns
from ..inference.engine_api import Engine
from ..perception.freeze import FreezeDetector
from ..perception.mode import FUSED, HELD, ModeSelector
from ..perception.mode import STOPPED as STOPPED_MODE
from ..perception.pairing import DUPLICATE, NEAREST, ZERO_STAMP, StampPairer
from ..perception.pipeline import FusionPipeline
from ..perception.shutter import HOLD, ShutterDetector
from ..perception.size_watch import SizeWatch
from ..perception.statistics import (
    BAD_PAIR,
    DEVICE_FAILED,
    INTERNAL_ERROR,
    NO_LIVE_VIEW,
    NO_SUBSCRIBER,
    ONE_STREAM,
    STOPPED,
    SUPERSEDED,
    Statistics,
    Throttle,
    Totals,
    bad_image,
)
from ..perception.timing import StampWatch
from ..perception.worker import LatestWorker
from .camera_scaling import OutputCameraInfo
from .health import Health
from .image_messages import AnyImage, encode_image, encode_jpeg, ns_to_stamp
from .schema import FusionConfig
from .status import fusion_status
from .time_synchronizer import StockPairer

_LOG_PERIOD_S = 5.0
_NO_CLOCK = "no clock"


class Logger(Protocol):
    """The part of rclpy's logger used here."""

    def info(self, message: str, /) -> Any: ...
    def warning(self, message: str, /) -> Any: ...
    def error(self, message: str, /) -> Any: ...


class Output(Protocol):
    """The part of rclpy's publisher used here."""

    def publish(self, msg: Any, /) -> Any: ...
    def get_subscription_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where messages go, the clock that says when, and whom to tell that the device is lost."""

    image: Output
    compressed: Output
    camera_info: Output
    status: Output
    preview: Output  # of the conditioned thermal image
    now_ns: Callable[[], int]  # the node's clock
    device_lost: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Thermal:
    """A thermal image for pairing; not ``is_live`` where it stands for a later one that is no live view."""

    frame: Frame
    is_live: bool
    behind_ns: int = 0  # how much older it is than the one it stands for


@dataclass(frozen=True, slots=True)
class _Task:
    """What to fuse, or a single image to super-resolve."""

    thermal: _Thermal | None
    visible: AnyImage | None
    skew_ns: int  # thermal minus visible stamp as they were paired: with the offsets
    settled: float  # time.perf_counter() when it was known that this is to be done


class FusionSession:
    """Pairs, fuses and publishes until :meth:`stop`.

    One thread at a time calls the ``receive`` methods, :meth:`tick` and :meth:`health`; any thread the others.
    """

    def __init__(self, config: FusionConfig, engine: Engine, outputs: Outputs, logger: Logger) -> None:
        self._engine = engine
        self._outputs = outputs
        self._logger = logger
        self._statistics = Statistics()
        self._throttle = Throttle(_LOG_PERIOD_S)
        self._throttle.passes(_NO_CLOCK)  # from now on a warning must wait for a period
        self._sync = config.sync
        # Of _Thermal and AnyImage.
        self._pairer: StampPairer[Any] | StockPairer = (
            StampPairer(config.sync) if config.sync.policy == NEAREST else StockPairer(config.sync)
        )
        self._pipeline = FusionPipeline(engine, config.pipeline, config.thermal)
        self._shutter = ShutterDetector(config.shutter)
        self._shutter_action = config.shutter.action
        self._live_thermal: Frame | None = None
        self._thermal_stamp_ns = 0
        self._thermal_fault = ""
        self._freeze = FreezeDetector()
        now_ns = outputs.now_ns()
        self._watch = StampWatch(config.sync, now_ns)
        self._selector = ModeSelector(config.mode, now_ns, shutter_action=config.shutter.action)
        self._cause = ""
        self._jpeg_quality = config.node.jpeg_quality
        self._sizes = SizeWatch(engine, logger, warm=config.pipeline.grid)  # the node warmed the engine up for it
        self._camera_info = OutputCameraInfo(logger)
        self._worker: LatestWorker[_Task] = LatestWorker(self._process, name="fusion")

    def receive(self, stream: str, message: AnyImage) -> None:
        """Take one camera image of ``stream`` ("thermal" or "visible"); what is malformed is counted and logged."""
        now_ns = self._outputs.now_ns()
        self._statistics.add_received(stream, now_ns)
        try:
            check_message(message)
            # A view, as a rule. Pixels of visible images are left to the worker.
            frame = decode_message(message) if stream == THERMAL else None
            fault = self._shutter.observe(frame) if frame is not None and frame.stamp_ns > 0 else self._thermal_fault
        except HkdnetError as error:
            self._drop(bad_image(stream), str(error))
            return
        stamp_ns = stamp_to_ns(message.header.stamp)
        if stamp_ns <= 0 and self._throttle.passes(f"{stream} stamp"):  # counted below
            self._logger.warning(f"{stream} image has a stamp of {stamp_ns} ns; expected its time of exposure")
        if frame is not None:
            self._thermal_stamp_ns = stamp_ns
            self._take_fault(fault, now_ns)
        else:
            self._selector.fault(VISIBLE, self._freeze.observe(message.data), now_ns)
        lag_ns = self._watch.arrived(stream, stamp_ns, now_ns)
        if lag_ns is not None:
            self._selector.arrived(stream, now_ns, lag_ns)
        self._update_mode(now_ns)
        thermal = None if frame is None else self._live(frame, fault)
        if frame is not None and thermal is None:
            self._statistics.add_drop(NO_LIVE_VIEW)  # the fault was logged when it began
            return
        if self._selector.mode in (THERMAL, VISIBLE):
            self._take_alone(stream, thermal, message, lag_ns, stamp_ns)
            return
        for match in self._pairer.add(stream, stamp_ns, thermal or message):
            self._statistics.add_pair()
            self._watch.paired(match.skew_ns, now_ns)
            if self._selector.mode == STOPPED_MODE:
                self._statistics.add_drop(STOPPED)
            else:
                self._put(match.thermal, match.visible, match.skew_ns - match.thermal.behind_ns)

    def receive_camera_info(self, stream: str, message: CameraInfo) -> None:
        """Take the calibration of a camera."""
        self._camera_info.update(stream, message)

    def receive_shutter(self, message: Bool) -> None:
        """Take the thermal camera's word that its shutter is closed (true) or open, from its last image on."""
        self._shutter.set_flag(message.data, self._thermal_stamp_ns)

    def tick(self) -> None:
        """Do what no image does: notice that images stay away. To be called a few times per second."""
        now_ns = self._outputs.now_ns()
        if now_ns == 0 and self._throttle.passes(_NO_CLOCK):
            self._logger.warning(
                "use_sim_time is set but nothing comes on /clock: no rate, no age and no late camera can be told; "
                "play the bag with --clock, or set use_sim_time to false"
            )
        self._update_mode(now_ns)
        warning = self._watch.warning(now_ns)
        if warning and not self._thermal_fault:  # why images behind a shutter do not pair is known
            self._logger.warning(warning)

    @property
    def mode(self) -> str:
        """What is published at this time: FUSED, STOPPED or a single stream (perception/mode.py)."""
        return self._selector.mode

    def health(self) -> Health:
        """Return the figures for /diagnostics."""
        now_ns, totals = self._outputs.now_ns(), self.totals()
        return Health(
            mode=self._selector.mode,
            cause=self._cause,
            thermal_fault=self._thermal_fault,
            is_wanted=self._is_wanted(),
            rates=self._statistics.rates(now_ns),
            received=totals.received,
            pairs=totals.pairs,
            published=totals.published,
            drops=totals.drops,
            latencies=self._statistics.latencies(),
            since_output=self._statistics.since_output(now_ns),
            skews=self._watch.skew_histogram(),
            stamp_faults={stream: self._watch.faults(stream) for stream in (THERMAL, VISIBLE)},
            drift_ppm=self._watch.drift_ppm(),
            camera_info=self._camera_info.health(),
        )

    def reconfigure(self, config: FusionConfig) -> None:
        """Go by the live parameters of ``config`` from the next image on."""
        if config.sync != self._sync:
            self._sync = config.sync
            self._pairer.reconfigure(config.sync)
            self._watch.reconfigure(config.sync)
        self._jpeg_quality = config.node.jpeg_quality
        self._pipeline.reconfigure(config.pipeline, config.thermal)
        self._selector.config = config.mode

    def totals(self) -> Totals:
        """Return the counts since the session began, the pairer's drops among them."""
        totals = self._statistics.totals()
        totals.drops.update(self._pairer.drops)
        return totals

    def stop(self) -> None:
        """End the worker after the pair it is at, and publish nothing more. Waits for that pair."""
        for _ in range(self._worker.stop()):
            self._statistics.add_drop(SUPERSEDED)

    def _take_fault(self, fault: str, now_ns: int) -> None:
        """Follow what the shutter detector says of the latest thermal image."""
        if bool(fault) != bool(self._thermal_fault):
            self._logger.info(f"thermal image is {fault}; {self._shutter_action}" if fault else "thermal image is live")
        self._thermal_fault = fault
        self._selector.fault(THERMAL, fault, now_ns)

    def _live(self, frame: Frame, fault: str) -> _Thermal | None:
        """Return what ``frame`` is fused as; None where it is no live view and nothing stands for it."""
        if not fault:
            self._live_thermal = frame
            return _Thermal(frame, is_live=True)
        live = self._live_thermal
        if self._shutter_action == HOLD and self._selector.mode == FUSED and live is not None:
            return _Thermal(live, is_live=False, behind_ns=frame.stamp_ns - live.stamp_ns)
        return None

    def _take_alone(
        self, stream: str, thermal: _Thermal | None, message: AnyImage, lag_ns: int | None, stamp_ns: int
    ) -> None:
        """Take an image while one stream is published alone."""
        if stream != self._selector.mode:
            self._statistics.add_drop(ONE_STREAM)
        elif lag_ns is None:
            self._statistics.add_drop(DUPLICATE if stamp_ns > 0 else ZERO_STAMP)
        else:
            self._put(thermal, None if thermal else message, 0)

    def _put(self, thermal: _Thermal | None, visible: AnyImage | None, skew_ns: int) -> None:
        task = _Task(thermal, visible, skew_ns, time.perf_counter())
        if not self._is_wanted() and not self._is_preview_wanted(thermal):
            self._statistics.add_drop(NO_SUBSCRIBER)
        elif self._worker.put(task):
            self._statistics.add_drop(SUPERSEDED)  # not logged: it is how the node keeps up with its cameras

    def _is_wanted(self) -> bool:
        """Whether anybody would hear of the result."""
        outputs = self._outputs
        return any(
            output.get_subscription_count()
            for output in (outputs.image, outputs.compressed, outputs.camera_info, outputs.status)
        )

    def _is_preview_wanted(self, thermal: _Thermal | None) -> bool:
        return thermal is not None and thermal.is_live and bool(self._outputs.preview.get_subscription_count())

    def _update_mode(self, now_ns: int) -> None:
        before = self._selector.mode
        change = self._selector.update(now_ns)
        if change is None:
            return
        text = f"mode {change.mode}: {change.cause}"
        if change.mode == FUSED:  # one line of code per severity, or rclpy's logger raises
            self._logger.info(text)
        else:
            self._logger.warning(text)
        self._cause = change.cause
        if {before, change.mode} & {THERMAL, VISIBLE}:
            self._pairer.reset()  # what waits was published alone, or would come out after later images that were

    def _process(self, task: _Task) -> None:
        try:
            self._fuse_and_publish(task)
        except DeviceError as error:
            self._drop(DEVICE_FAILED, str(error))
            self._outputs.device_lost()
        except HkdnetError as error:
            self._drop(BAD_PAIR, str(error))
        except Exception:
            # One frame must not end the node, and a defect must not hide: the log gets all there is to know.
            self._statistics.add_drop(INTERNAL_ERROR)
            if self._throttle.passes(INTERNAL_ERROR):
                self._logger.error(f"a pair was dropped by an internal error:\n{traceback.format_exc()}")

    def _fuse_and_publish(self, task: _Task) -> None:
        begun = time.perf_counter()
        thermal = task.thermal.frame if task.thermal else None
        if not self._is_wanted():
            if thermal and self._is_preview_wanted(task.thermal):  # which needs no network
                self._outputs.preview.publish(_preview(thermal, self._pipeline.condition(thermal)))
            self._statistics.add_drop(NO_SUBSCRIBER)
            return
        visible = decode_message(task.visible) if task.visible else None
        decoded = time.perf_counter()
        fused = self._fuse(thermal, visible)
        if task.thermal and not task.thermal.is_live:
            fused = dataclasses.replace(fused, mode=HELD)
        processed = time.perf_counter()
        messages = self._messages(fused, task.thermal, visible)
        encoded = time.perf_counter()
        for output, message in messages:
            output.publish(message)
        published = time.perf_counter()
        latencies = {
            "queue": begun - task.settled,
            "decode": decoded - begun,
            **{stage: milliseconds / 1000 for stage, milliseconds in fused.timings.items()},
            "encode": encoded - processed,
            "publish": published - encoded,
        }
        now_ns = self._outputs.now_ns()
        age_ns = now_ns - fused.stamp_ns
        self._statistics.add_published(now_ns)
        self._statistics.add_latencies({**latencies, "age": age_ns / 1e9})
        if not self._outputs.status.get_subscription_count():
            return
        header = Header(stamp=ns_to_stamp(fused.stamp_ns), frame_id=fused.frame_id)
        self._outputs.status.publish(
            fusion_status(fused, header, task.skew_ns, age_ns, latencies, self.totals(), self._engine)
        )

    def _messages(self, fused: FusedFrame, thermal: _Thermal | None, visible: Frame | None) -> list[tuple[Output, Any]]:
        """Return what somebody subscribes to, with where it goes."""
        outputs, header = self._outputs, (fused.stamp_ns, fused.frame_id)
        messages: list[tuple[Output, Any]] = []
        if outputs.image.get_subscription_count():
            messages.append((outputs.image, encode_image(fused.image, _encoding(fused), *header)))
        if outputs.compressed.get_subscription_count():
            messages.append((outputs.compressed, encode_jpeg(fused.image, self._jpeg_quality, *header)))
        frame, wanted = thermal.frame if thermal else None, outputs.camera_info.get_subscription_count() > 0
        camera_info = self._camera_info.scaled_to(fused, frame, visible, wanted)
        if camera_info is not None:
            messages.append((outputs.camera_info, camera_info))
        if frame and fused.thermal is not None and self._is_preview_wanted(thermal):
            messages.append((outputs.preview, _preview(frame, fused.thermal)))
        return messages

    def _fuse(self, thermal: Frame | None, visible: Frame | None) -> FusedFrame:
        stream, frame = (THERMAL, thermal) if thermal else (VISIBLE, visible)
        assert frame is not None
        self._sizes.prepare(self._pipeline.grid_for(stream, frame), thermal, visible)
        if thermal and visible:
            return self._pipeline.process(Pair(thermal, visible))
        return self._pipeline.process_alone(stream, frame)

    def _drop(self, reason: str, fact: str) -> None:
        count = self._statistics.add_drop(reason)
        if self._throttle.passes(reason):
            self._logger.warning(f"{reason} dropped ({count} so far): {fact}")


def _preview(thermal: Frame, conditioned: NDArray[np.float32]) -> Image:
    return encode_image(color.to_uint8(conditioned), "mono8", thermal.stamp_ns, thermal.frame_id)


def _encoding(fused: FusedFrame) -> str:
    return "mono8" if fused.image.ndim == 2 else "bgr8"
