"""The core: images of both cameras in, pairs, modes, fused frames out. It knows neither ROS nor files.

Every rule about what is fused, held, dropped or bridged is here and in the stages it drives. The node feeds it messages
and publishes what comes out; an evaluation feeds it a recording and measures that: both get the same.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from ..errors import ConfigError, HkdnetError
from ..geometry.rigid_transform import RigidTransform
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from ..inference.engine_api import Engine
from .config import PerceptionConfig
from .depth_matching import DepthMatcher, Registered
from .drops import DropCounter
from .freeze import FreezeDetector
from .fusion_work import FusionWork, Taken, Task
from .health import Health
from .incoming import DEPTH, Incoming
from .intake import ThermalIntake
from .log import Log, Throttle
from .mode import FUSED, ModeSelector
from .mode import STOPPED as STOPPED_MODE
from .pairing import ARRIVAL, Match, OnDrop, Pairer, PairingConfig, StampPairer
from .plan import check_size, size_of
from .registration_config import DEPTH as BY_DEPTH
from .shutter import FLAGGED, FLAT, HOLD, ShutterDetector
from .sink import Drop, Sink
from .stamp_log import StampLog
from .statistics import NO_LIVE_VIEW, NO_SUBSCRIBER, ONE_STREAM, STOPPED, SUPERSEDED, Statistics, Totals, bad_image
from .stream_clock import LATE, LEAP_NS, ArrivalStamps, StreamClock, Verdict
from .timing import StampWatch
from .worker import EVERY, LATEST, EveryWorker, LatestWorker, Worker

MakePairer = Callable[[PairingConfig, OnDrop], Pairer[Taken]]


class Session:
    """Pairs and fuses what it receives and passes it to ``sink`` until :meth:`stop`.

    ``policy`` LATEST has a thread work on the latest pair, as a robot needs it; EVERY works on each in the thread that
    calls :meth:`receive`, so that a recording gives the same in every run. ``now_ns`` is the receiver's clock; without
    one it is the time that :meth:`receive` and :meth:`tick` were last told. ``why_silent`` gives the
    reason why no image of a stream comes, for the log, as far as it is known.

    One thread at a time calls :meth:`receive`, :meth:`receive_depth`, :meth:`receive_shutter`, :meth:`tick`,
    :meth:`flush` and :meth:`health`; any thread the others.
    """

    def __init__(
        self,
        config: PerceptionConfig,
        engine: Engine,
        sink: Sink,
        log: Log,
        *,
        policy: str = LATEST,
        now_ns: Callable[[], int] | None = None,
        make_pairer: MakePairer = StampPairer,
        why_silent: Callable[[str], str] = lambda stream: "",
    ) -> None:
        if policy not in (LATEST, EVERY):
            raise ConfigError(f"policy is {policy!r}; choose {LATEST} or {EVERY}")
        self._sink = sink
        self._log = log
        self._told_ns = 0
        self._now_ns = now_ns or (lambda: self._told_ns)
        begun_ns = self._now_ns()
        self._statistics = Statistics()
        self._throttle = Throttle()
        self._drops = DropCounter(self._statistics, sink, log, self._throttle)
        self._clock = StreamClock(begun_ns if now_ns else None)
        self._stamp_log = StampLog(log, self._throttle)
        self._runs = {THERMAL: 0, VISIBLE: 0}  # how often each stream has begun anew
        self._paired_runs = dict(self._runs)  # what the pairer knows of it
        self._sync = config.sync
        self._pairer = make_pairer(config.sync, lambda *dropped: self._drops.count(Drop.one(*dropped)))
        self._depths = DepthMatcher[Match[Taken]](config.registration, config.sync)
        self._is_by_depth = config.registration.mode == BY_DEPTH
        self._watch = StampWatch(config.sync, begun_ns, why_silent)
        stamps = {THERMAL: config.sync.thermal_stamps, VISIBLE: config.sync.visible_stamps}
        stamps[DEPTH] = config.sync.visible_stamps  # it is of the same camera, and has the same clock or none
        self._arrival_stamps = {stream: ArrivalStamps() for stream, by in stamps.items() if by == ARRIVAL}
        self._intake = ThermalIntake(config.thermal, log)
        self._pipeline_config = config.pipeline
        self._shutter = ShutterDetector(config.shutter)
        self._shutter_action = config.shutter.action
        self._live_thermal: Taken | None = None
        self._thermal_stamp_ns = 0
        self._thermal_interruption = ""
        self._received = 0.0  # time.perf_counter() when the latest image came
        self._freeze = FreezeDetector()
        self._selector = ModeSelector(config.mode, begun_ns, shutter_action=config.shutter.action)
        self._work = FusionWork(config, engine, sink, log, self._drops, self._statistics, self._now_ns, policy)
        self._worker: Worker[Task] = (
            EveryWorker(self._work.process) if policy == EVERY else LatestWorker(self._work.process, name="fusion")
        )

    def receive(self, incoming: Incoming) -> None:
        """Take one image; what is malformed or of no use is counted, told to the sink and, now and then, logged."""
        self._received = time.perf_counter()
        if incoming.stream in self._arrival_stamps:
            incoming = self._arrival_stamps[incoming.stream].stamp(incoming)
        stream, stamp_ns, now_ns = incoming.stream, incoming.stamp_ns, incoming.arrived_ns
        self._advance(now_ns)
        self._hand_over(self._depths.due(now_ns))
        self._statistics.add_received(stream, now_ns)
        self._watch.received(stream)
        try:
            incoming.check()
            # A view, as a rule. Pixels of visible images are left to the worker.
            frame = self._take_in(incoming) if stream == THERMAL else None
            if stream == VISIBLE:
                self._work.try_again(incoming)
        except HkdnetError as error:
            self._refused(stream, bad_image(stream), now_ns)
            self._drops.say(Drop.one(stream, stamp_ns, bad_image(stream)), str(error))
            return
        if not self._judge(incoming):
            self._update_mode(now_ns)
            return
        reason = self._observe(incoming, frame, now_ns)
        lag_ns = self._watch.arrived(stream, stamp_ns, now_ns, incoming.nbytes)
        self._selector.arrived(stream, now_ns, lag_ns)
        self._update_mode(now_ns)
        taken = self._taken(incoming, frame, reason)
        if taken is None:
            self._drops.count(Drop.one(stream, stamp_ns, NO_LIVE_VIEW))  # the interruption was logged when it began
        elif self._selector.mode in (THERMAL, VISIBLE):
            self._take_alone(taken)
        else:
            self._take(taken, stamp_ns, now_ns)

    def receive_calibration(self, stream: str, model: CameraModel, stamp_ns: int) -> None:
        """Take the calibration of a camera; a ``stamp_ns`` of 0 is that of one without a time."""
        self._work.calibration.update(stream, model, 0 if stream in self._arrival_stamps else stamp_ns)
        self._work.registration.update_model(stream, model)

    def receive_transform(self, parent: str, child: str, child_to_parent: RigidTransform) -> None:
        """Take the pose of a frame in its parent, as /tf_static has it: registration may need it."""
        self._work.registration.update_transform(parent, child, child_to_parent)

    def receive_depth(self, incoming: Incoming) -> None:
        """Take a depth image of the visible camera's view; what is malformed is counted and, now and then, logged."""
        self._received = time.perf_counter()
        if incoming.stream in self._arrival_stamps:
            incoming = self._arrival_stamps[incoming.stream].stamp(incoming)
        now_ns = incoming.arrived_ns
        self._advance(now_ns)
        self._statistics.add_received(incoming.stream, now_ns)
        try:
            incoming.check()
            depth = incoming.decode()
        except HkdnetError as error:
            self._drops.say(Drop(bad_image(incoming.stream)), str(error))
        else:
            verdict = self._verdict(incoming, is_behind=self._depths.is_behind)
            if verdict.reason in ("", LATE):  # one that is late is what a pair may still wait for
                self._depths.add_depth(depth, now_ns, verdict)
            else:
                self._drops.count(Drop(verdict.reason))
        self._hand_over(self._depths.due(now_ns))

    def receive_shutter(self, is_closed: bool) -> None:
        """Take the thermal camera's word that its shutter is closed or open, from its last image on."""
        self._shutter.set_flag(is_closed, self._thermal_stamp_ns)

    def tick(self, now_ns: int) -> None:
        """Do what no image does: notice that images stay away. To be called a few times per second."""
        self._received = time.perf_counter()
        self._advance(now_ns)
        self._hand_over(self._depths.due(now_ns))
        self._update_mode(now_ns)
        for text in self._watch.remarks(now_ns):
            self._log.warning(text)
        mode = self._selector.mode
        why = "" if mode == FUSED else f"{mode}: {self._selector.cause(now_ns)}"
        warning = self._watch.warning(now_ns, self._selector.config.limit, why)
        if warning and not self._thermal_interruption:  # why images behind a shutter do not pair is known
            self._log.warning(warning)
        slow = self._selector.slow_camera()
        if slow:
            self._log.info(slow)

    def flush(self) -> None:
        """Fuse what still waits for a nearer partner or its depth image, as at the end of a recording."""
        self._received = time.perf_counter()
        for match in self._pairer.flush():
            self._pair(match, self._now_ns())
        self._hand_over(self._depths.flush())

    @property
    def patience_ns(self) -> int:
        """Silence after which all is decided that a silence decides."""
        return LEAP_NS + round(self._selector.config.limit * 1e9)

    @property
    def mode(self) -> str:
        """What is published at this time: FUSED, STOPPED or a single stream (mode.py)."""
        return self._selector.mode

    def health(self) -> Health:
        """Return the figures of this moment."""
        now_ns, totals = self._now_ns(), self.totals()
        streams = (THERMAL, VISIBLE, DEPTH) if self._is_by_depth else (THERMAL, VISIBLE)
        is_pair = self._selector.mode == FUSED  # else what the pairs before said is of no account
        return Health(
            mode=self._selector.mode,
            cause=self._selector.cause(now_ns),
            thermal_interruption=self._thermal_interruption,
            is_wanted=self._sink.wants().fused,
            rates=self._statistics.rates(now_ns),
            received=totals.received,
            pairs=totals.pairs,
            published=totals.published,
            drops=totals.drops,
            latencies=self._statistics.latencies(),
            since_output=self._statistics.since_output(now_ns),
            skews=self._watch.skew_histogram(),
            stamp_oddities={stream: self._clock.oddities(stream) for stream in streams},
            drift_ppm=self._watch.drift_ppm(),
            calibration=self._work.calibration.health(),
            trouble="" if self._thermal_interruption else self._watch.trouble(),
            delays=self._watch.delays(now_ns),
            is_watched=self._work.misalignment.limit > 0,
            misalignment=self._work.misalignment.found if is_pair else None,
            misaligned=self._work.misalignment.warning if is_pair else "",
            not_registered=self._work.not_registered if is_pair else "",
            poorly_registered=self._work.poorly_registered if is_pair else "",
        )

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Go by the live parameters of ``config`` from the next image on."""
        if config.sync != self._sync:
            self._sync = config.sync
            self._pairer.reconfigure(config.sync)
            self._watch.reconfigure(config.sync)
        self._depths.reconfigure(config.registration, config.sync)
        self._work.reconfigure(config)
        self._selector.config = config.mode

    def totals(self) -> Totals:
        """Return the counts since the session began."""
        return self._statistics.totals()

    def stop(self) -> None:
        """End the worker after the pair it is at, and pass on nothing more. Waits for that pair."""
        self._give_up(self._worker.stop())
        self._hand_over(self._depths.flush())  # to the worker, which gives up what comes now
        self._work.misalignment.stop()

    def _advance(self, now_ns: int) -> None:
        self._told_ns = now_ns
        if self._clock.advance(now_ns):
            self._depths.clock_was_set(now_ns)
            self._selector.clock_was_set(now_ns)
            self._watch.clock_was_set(now_ns)
            self._statistics.clock_was_set()

    def _judge(self, incoming: Incoming) -> bool:
        """Return whether an image's stamp is good; where its stream begins anew, tell all who look at single images."""
        stream = incoming.stream
        verdict = self._verdict(incoming)
        if verdict.reason:
            self._refused(stream, verdict.reason, incoming.arrived_ns)
            self._drops.count(Drop.one(stream, incoming.stamp_ns, verdict.reason))
            return False
        if verdict.begins_anew:
            self._runs[stream] += 1
            self._watch.begin_anew(stream)
            if stream == THERMAL:
                self._shutter.begin_anew()
                self._live_thermal = None
            else:
                self._freeze.begin_anew()
                if self._depths.begin_anew(incoming.arrived_ns):
                    self._clock.begin_anew(DEPTH)
        return True

    def _verdict(self, incoming: Incoming, *, is_behind: bool = False) -> Verdict:
        """Return what the stream clock says of an image's stamp, and log what makes it useless now and then."""
        stream = incoming.stream
        offset_s = self._sync.thermal_offset if stream == THERMAL else self._sync.visible_offset
        verdict = self._clock.judge(stream, incoming.stamp_ns, round(offset_s * 1e9), is_behind=is_behind)
        if verdict.reason:
            received = self._statistics.totals().received[stream]
            self._stamp_log.say(incoming, verdict.reason, self._clock.oddities(stream)[verdict.reason], received)
        return verdict

    def _take_in(self, incoming: Incoming) -> Frame:
        """Return a thermal image without what is no picture in it, and let its calibration follow."""
        sent = incoming.decode()
        frame = self._intake.take(sent)
        check_size(frame, THERMAL, self._pipeline_config)  # else each pair would fail, and the mode not know
        margins = self._intake.margins(sent)
        self._work.calibration.cut(THERMAL, size_of(sent), margins)
        self._work.registration.cut(size_of(sent), margins)
        return frame

    def _refused(self, stream: str, reason: str, now_ns: int) -> None:
        """Let those know who look for what does not come that an image came and was of no use."""
        self._watch.refused(stream, reason)
        self._selector.refused(stream, reason, now_ns)

    def _observe(self, incoming: Incoming, frame: Frame | None, now_ns: int) -> str:
        """Return why an image is no live view, empty where it is one, and let the mode know."""
        if frame is None:
            reason = "" if incoming.content is None else self._freeze.observe(incoming.content)
        else:
            reason = self._shutter.observe(frame)
            if reason in (FLAT, FLAGGED):
                self._work.show_shutter(frame)
            self._thermal_stamp_ns = incoming.stamp_ns
            if bool(reason) != bool(self._thermal_interruption):
                text = f"thermal image is {reason}; {self._shutter_action}" if reason else "thermal image is live"
                self._log.info(text)
            self._thermal_interruption = reason
        self._selector.interrupted(incoming.stream, reason, now_ns)
        return reason

    def _taken(self, incoming: Incoming, frame: Frame | None, reason: str) -> Taken | None:
        """Return what an image is fused as; None where it is no live view and nothing stands for it."""
        if frame is None:
            return Taken(incoming, self._runs[VISIBLE])
        if not reason:
            self._live_thermal = Taken(incoming, self._runs[THERMAL], frame)
            return self._live_thermal
        live = self._live_thermal
        if self._shutter_action == HOLD and self._selector.mode == FUSED and live is not None:
            behind_ns = incoming.stamp_ns - live.incoming.stamp_ns
            return dataclasses.replace(live, is_live=False, behind_ns=behind_ns)
        return None

    def _take(self, taken: Taken, stamp_ns: int, now_ns: int) -> None:
        """Pair an image; ``stamp_ns`` is its own, where another stands for it."""
        stream = taken.incoming.stream
        begins_anew = self._paired_runs[stream] != self._runs[stream]  # whether or not its first image came here
        self._paired_runs[stream] = self._runs[stream]
        nbytes = taken.incoming.nbytes
        for match in self._pairer.add(stream, stamp_ns, taken, begins_anew=begins_anew, nbytes=nbytes):
            self._pair(match, now_ns)

    def _pair(self, match: Match[Taken], now_ns: int) -> None:
        self._statistics.add_pair()
        self._watch.paired(match.skew_ns, now_ns)
        if self._is_by_depth:
            nbytes = match.thermal.incoming.nbytes + match.visible.incoming.nbytes
            stamp_ns, run = match.visible.incoming.stamp_ns, match.visible.run
            self._depths.add(match, stamp_ns, now_ns, nbytes, run=run)
            self._hand_over(self._depths.due(now_ns))
        else:
            self._hand_over([(match, None)])

    def _hand_over(self, pairs: list[Registered[Match[Taken]]]) -> None:
        """Have pairs fused, of which all is known that decides how."""
        for match, depth in pairs:
            skew_ns = match.skew_ns - match.thermal.behind_ns
            task = Task(match.thermal, match.visible, skew_ns, self._received, time.perf_counter(), depth)
            if self._selector.mode == STOPPED_MODE:
                self._drops.count(task.drop(STOPPED))
            else:
                self._put(task)

    def _take_alone(self, taken: Taken) -> None:
        """Take an image while one stream is published alone."""
        stream = taken.incoming.stream
        if stream != self._selector.mode:
            self._drops.count(Drop.one(stream, taken.incoming.stamp_ns, ONE_STREAM))
        else:
            thermal, visible = (taken, None) if stream == THERMAL else (None, taken)
            self._put(Task(thermal, visible, 0, self._received, time.perf_counter()))

    def _put(self, task: Task) -> None:
        wants = self._sink.wants()
        if not wants.fused and not (wants.conditioned and task.is_live_thermal):
            self._drops.count(task.drop(NO_SUBSCRIBER))
        else:
            self._give_up(self._worker.put(task))

    def _give_up(self, task: Task | None) -> None:
        if task is not None:
            self._drops.count(task.drop(SUPERSEDED))  # not logged: it is how a robot keeps up with its cameras

    def _update_mode(self, now_ns: int) -> None:
        before = self._selector.mode
        change = self._selector.update(now_ns)
        if change is None:
            return
        text = f"mode {change.mode}: {change.cause}"
        if change.is_trouble:  # one line of code per severity, or rclpy's logger raises
            self._log.warning(text)
        else:
            self._log.info(text)
        if {before, change.mode} & {THERMAL, VISIBLE}:
            self._hand_over(self._depths.flush())  # before what comes after them
            self._pairer.reset()  # what waits was published alone, or would come out after later images that were
        self._sink.mode_changed(change, now_ns)
