"""What is done with a pair, or an image alone, once it is known: decoded, fused, given its calibration, passed on."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DeviceError, HkdnetError, RegistrationError
from ..images import color
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from ..inference.engine_api import Engine
from .config import PerceptionConfig
from .drops import DropCounter
from .incoming import Incoming
from .log import Log
from .misalignment_watch import MisalignmentWatch
from .mode import FUSED, HELD
from .output_calibration import OutputCalibration
from .pipeline import Extras, FusionPipeline
from .plan import check_size
from .registration import Registration
from .sink import Drop, Figures, Output, Sink
from .size_watch import SizeWatch
from .statistics import BAD_PAIR, DEVICE_FAILED, INTERNAL_ERROR, NO_SUBSCRIBER, NOT_REGISTERED, Statistics

_OFFSET_SLOP = 0.005  # s, to which hkdnet calibrate tells the offset of two clocks


@dataclass(frozen=True, slots=True)
class Taken:
    """An image that waits for its partner or for its turn; a thermal one is decoded, a visible one not yet.

    A thermal image that ``is_live`` no longer stands for a later one that is no live view, and is ``behind_ns`` older.
    ``run`` counts how often its stream has begun anew.
    """

    incoming: Incoming
    run: int
    frame: Frame | None = None
    is_live: bool = True
    behind_ns: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """What to fuse, or a single image to super-resolve.

    ``skew_ns`` is that of :class:`~.sink.Output`; ``received`` is ``time.perf_counter()`` when the image came that
    decided this, ``decided`` when it was known that this is to be done. ``depth`` registers a pair where that is
    wanted, as far as one came.
    """

    thermal: Taken | None
    visible: Taken | None
    skew_ns: int
    received: float
    decided: float
    depth: Frame | None = None

    @property
    def is_live_thermal(self) -> bool:
        """Whether a thermal image is part of this that does not stand for another."""
        return self.thermal is not None and self.thermal.is_live

    def drop(self, reason: str) -> Drop:
        """Return this as something dropped."""
        thermal = self.thermal.incoming.stamp_ns if self.thermal else None
        return Drop(reason, thermal, self.visible.incoming.stamp_ns if self.visible else None)


class FusionWork:
    """Fuses one task after the other; what cannot be fused becomes a drop. One thread calls :meth:`process`."""

    def __init__(
        self,
        config: PerceptionConfig,
        engine: Engine,
        sink: Sink,
        log: Log,
        drops: DropCounter,
        statistics: Statistics,
        now_ns: Callable[[], int],
        policy: str,
    ) -> None:
        self._sink = sink
        self._log = log
        self._drops = drops
        self._statistics = statistics
        self._now_ns = now_ns
        self._pipeline = FusionPipeline(engine, config, log=log, is_taken=True)
        self.misalignment = MisalignmentWatch(config.registration.misalignment_limit, log, policy)
        self._registration_config = config.registration
        self._sizes = SizeWatch(engine, log, warm=config.pipeline.grid)  # who loaded the engine warmed it up for that
        self._runs = {THERMAL: 0, VISIBLE: 0}  # of the images before
        self.calibration = OutputCalibration(log)
        self._pipeline_config = config.pipeline
        self._is_visible_damaged = False  # the last visible image could not be used
        self.not_registered = ""
        """Why the latest pair could not be registered; empty where it could."""
        self.poorly_registered = ""
        """Why it should not be trusted where it was; empty where it may."""
        self._say_of_registration(config, log)

    @property
    def registration(self) -> Registration:
        """What hears of calibrations and transforms."""
        return self._pipeline.registration

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Go by the live parameters of ``config`` from the next task on. Any thread may call this."""
        self._pipeline.reconfigure(config)
        self.misalignment.limit = config.registration.misalignment_limit
        if config.registration != self._registration_config:
            self._registration_config = config.registration
            self.misalignment.begin_anew()

    def show_shutter(self, frame: Frame) -> None:
        """Let a thermal image of a closed shutter show which pixels are bad. Any thread may call this."""
        self._pipeline.show_shutter(frame)

    def try_again(self, visible: Incoming) -> None:
        """Take a visible image where the last one could not be used: such images are no sign of life. Any thread may.

        Raises what decoding raises, and :class:`ImageError` for what cannot be fused.
        """
        if self._is_visible_damaged:
            self._usable(visible)
            self._is_visible_damaged = False

    def process(self, task: Task) -> None:
        try:
            self._fuse_and_pass_on(task)
            self.not_registered = ""
        except DeviceError as error:
            self._drops.say(task.drop(DEVICE_FAILED), str(error))
            self._sink.device_failed()
        except RegistrationError as error:
            self.not_registered = str(error)
            self._drops.say(task.drop(NOT_REGISTERED), str(error))
        except HkdnetError as error:
            self._drops.say(task.drop(BAD_PAIR), str(error))
        except Exception:
            # One frame must not end the session, and a defect must not hide: the log gets all there is to know.
            self._drops.say_defect(task.drop(INTERNAL_ERROR), traceback.format_exc())

    def _say_of_registration(self, config: PerceptionConfig, log: Log) -> None:
        if self.registration.parallax:
            log.info(self.registration.parallax)
        if self.registration.unused:
            log.warning(self.registration.unused)
        wanted, added = self.registration.thermal_offset, config.sync.thermal_offset - config.sync.visible_offset
        if wanted and abs(wanted - added) > _OFFSET_SLOP:
            log.warning(
                f"{config.registration.calibration} wants {wanted:+.3f} s added to thermal stamps, but by "
                f"sync.thermal_offset and sync.visible_offset {added:+.3f} s are; set sync.thermal_offset to "
                f"{wanted + config.sync.visible_offset:.3f}"
            )

    def _fuse_and_pass_on(self, task: Task) -> None:
        begun = time.perf_counter()
        self._follow_runs(task)
        wants = self._sink.wants()
        thermal = task.thermal.frame if task.thermal else None
        if not wants.fused:
            if thermal and wants.conditioned and task.is_live_thermal:  # which needs no network
                self._sink.conditioned(thermal, self._pipeline.condition(thermal))
            self._drops.count(task.drop(NO_SUBSCRIBER))
            return
        visible = self._decode(task.visible)
        decoded = time.perf_counter()
        extras = Extras(
            validity=wants.validity,
            temperature=wants.temperature,
            overlay=wants.overlay,
            conditioned=wants.conditioned or self.misalignment.wants_thermal,
        )
        fused = self._fuse(thermal, visible, task.depth, extras)
        is_live = task.thermal is None or task.thermal.is_live
        if not is_live:
            fused = dataclasses.replace(fused, mode=HELD)
            if fused.temperature is not None:  # what was measured before is no measurement of now
                fused = dataclasses.replace(fused, temperature=np.full_like(fused.temperature, np.nan))
        model = self.calibration.scaled_to(fused, thermal, visible, wants.camera_model)
        output = Output(fused, thermal, visible, is_live, task.skew_ns, model)
        passing_on = self._sink.fused(output)
        now_ns = self._now_ns()
        age_ns = now_ns - fused.stamp_ns
        latencies = {
            "receive": task.decided - task.received,
            "queue": begun - task.decided,
            "decode": decoded - begun,
            **{stage: milliseconds / 1000 for stage, milliseconds in fused.timings.items()},
            **passing_on,
        }
        self._statistics.add_published(now_ns)
        self._statistics.add_latencies({**latencies, "age": age_ns / 1e9})
        misalignment = self.misalignment.found if fused.mode == FUSED else None
        self._sink.figures(output, Figures(age_ns, latencies, self._statistics.totals(), misalignment))
        if fused.mode == FUSED and thermal is not None and visible is not None:
            self.misalignment.see(fused, thermal, visible, self.registration.latest)

    def _decode(self, visible: Taken | None) -> Frame | None:
        try:
            return self._usable(visible.incoming) if visible else None
        except HkdnetError:
            self._is_visible_damaged = True
            raise

    def _usable(self, visible: Incoming) -> Frame:
        frame = visible.decode()
        check_size(frame, VISIBLE, self._pipeline_config)
        color.luma(frame.image[:1, :1], frame.encoding)  # floats have none
        return frame

    def _follow_runs(self, task: Task) -> None:
        """Let what carries over from pair to pair begin anew with the first pair of a stream that has."""
        for stream, taken in ((THERMAL, task.thermal), (VISIBLE, task.visible)):
            if taken is None or taken.run == self._runs[stream]:
                continue
            self._runs[stream] = taken.run
            self.calibration.begin_anew()
            if stream == THERMAL:
                self._pipeline.begin_anew()

    def _fuse(self, thermal: Frame | None, visible: Frame | None, depth: Frame | None, extras: Extras) -> FusedFrame:
        stream, frame = (THERMAL, thermal) if thermal else (VISIBLE, visible)
        assert frame is not None
        plan = self._pipeline.plan(thermal, visible, depth)
        if self.registration.remark != self.poorly_registered:
            self.poorly_registered = self.registration.remark
            if self.poorly_registered:
                self._log.warning(self.poorly_registered)
        self._sizes.prepare(plan, thermal, visible, is_registered=self.registration.is_on)
        if thermal and visible:
            return self._pipeline.process(Pair(thermal, visible, depth), extras)
        return self._pipeline.process_alone(stream, frame, extras)
