"""Publishes a camera source as camera topics, paced by the node's clock and prepared ahead in a thread."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image

from ..images.frames import THERMAL, VISIBLE
from ..images.messages import NS_PER_S
from ..node.image_messages import camera_info, encode_image, ns_to_stamp
from ..node.stop_switch import StopSwitch
from ..sources.camera_source import CameraSource, repeated
from ..sources.faults import Arrival, FaultInjector, parse_faults
from .config import ReplayConfig
from .timeline import Timeline

TOPICS = {THERMAL: "thermal", VISIBLE: "visible"}
_TOLERANCE_NS = 20_000_000  # a frame that is later than this moves those to come
_SETTLE_S = 0.3  # a subscriber has to have matched this side as well, which cannot be seen from here
_LOG_EVERY_NS = 5 * NS_PER_S


@dataclass(slots=True)
class Summary:
    """What was played. Counts are by stream, those of frames lost by (stream, reason)."""

    published: Counter[str] = field(default_factory=Counter)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    behind_s: float = 0.0

    def __str__(self) -> str:
        parts = [
            f"{stream} {self.published[stream]} published ({self.published[stream] / max(self.elapsed_s, 1e-9):.1f} Hz)"
            for stream in TOPICS
        ]
        parts += [f"{stream} {count} lost by fault {reason}" for (stream, reason), count in sorted(self.lost.items())]
        parts += [f"{count} skipped, {reason}" for reason, count in self.skipped.items()]
        if self.behind_s > 0.0:
            parts.append(f"{self.behind_s:.1f} s behind the asked rate")
        return f"{self.elapsed_s:.1f} s: " + ", ".join(parts)


class Player:
    """Plays one source on the topics of one node. ``on_publish(arrival, stamp_ns)`` hears of every image first."""

    def __init__(
        self,
        node: Node,
        source: CameraSource,
        config: ReplayConfig,
        on_publish: Callable[[Arrival, int], None] | None = None,
    ) -> None:
        """Create the publishers. Raises :class:`~hkdnet_ros.errors.ConfigError` for faults that cannot be read."""
        self._node, self._source, self._config, self._on_publish = node, source, config, on_publish
        self._faults = FaultInjector(parse_faults(config.faults.split()), config.seed)
        qos = QoSProfile(depth=config.depth, reliability=ReliabilityPolicy[config.reliability.upper()])
        overriding = QoSOverridingOptions.with_default_policies()
        self._images = {
            stream: node.create_publisher(Image, f"{topic}/image_raw", qos, qos_overriding_options=overriding)
            for stream, topic in TOPICS.items()
        }
        self._models = {stream: source.camera_model(stream) for stream in TOPICS}
        self._infos = {
            stream: node.create_publisher(CameraInfo, f"{topic}/camera_info", qos)
            for stream, topic in TOPICS.items()
            if self._models[stream] is not None
        }

    def wait_for_subscribers(self, stop: StopSwitch) -> None:
        """Wait until both images have their subscribers, for ``config.wait`` seconds at most; warn where not."""
        waiting = list(self._images.values())
        wanted = self._config.subscribers
        for _ in range(round(self._config.wait / 0.05)):
            waiting = [publisher for publisher in waiting if publisher.get_subscription_count() < wanted]
            if not waiting:
                stop.wait(_SETTLE_S)
            if not waiting or stop.wait(0.05):
                return
        if self._config.wait > 0.0 and waiting:
            names = ", ".join(publisher.topic_name for publisher in waiting)
            self._node.get_logger().warning(
                f"fewer than {wanted} subscribed to {names} within {self._config.wait:g} s; playing anyhow"
            )

    def play(self, stop: StopSwitch) -> Summary:
        """Publish until the source ends or ``stop`` is set, and return what was played.

        Before that, prepare the first ``config.ahead`` images and wait for subscribers. Raises what the source raises,
        :class:`~hkdnet_ros.errors.SourceError` for one.
        """
        clock, logger = self._node.get_clock(), self._node.get_logger()
        summary = Summary(lost=self._faults.lost)
        with _Ahead(self._messages(), self._config.ahead) as ahead:
            ahead.fill(stop)
            self.wait_for_subscribers(stop)
            if not stop.wait(0.0):
                logger.info(f"playing {self._source.name}")
            first = ahead.get(stop)  # the clock starts when the first frame is ready
            began_ns = logged_ns = clock.now().nanoseconds
            timeline = Timeline(began_ns, self._config.rate)
            counted: Counter[str] = Counter()
            item = first
            while item is not None:
                arrival, message = item
                if not self._pace(timeline, arrival, stop):
                    break
                self._publish(arrival, message, timeline.stamp_ns(arrival))
                timeline.published(arrival)
                summary.published[arrival.stream] += 1
                now_ns = clock.now().nanoseconds
                if now_ns - logged_ns >= _LOG_EVERY_NS:
                    rates = ((s, (summary.published[s] - counted[s]) / (now_ns - logged_ns) * NS_PER_S) for s in TOPICS)
                    logger.info(
                        f"{(now_ns - began_ns) / NS_PER_S:.0f} s: "
                        + ", ".join(f"{stream} {rate:.1f} Hz" for stream, rate in rates)
                        + f", {summary.published.total()} published, {summary.lost.total()} lost by faults"
                    )
                    logged_ns, counted = now_ns, Counter(summary.published)
                item = ahead.get(stop)
            summary.elapsed_s = (clock.now().nanoseconds - began_ns) / NS_PER_S
            summary.behind_s = timeline.moved_ns / NS_PER_S
        self._flush()
        summary.skipped = dict(self._source.skipped)
        return summary

    def _messages(self) -> Iterator[tuple[Arrival, Image]]:
        arrivals = self._faults.arrivals(repeated(self._source, self._config.loop))
        if self._config.duration > 0.0:
            end_ns = self._config.duration * NS_PER_S
            arrivals = itertools.takewhile(lambda arrival: arrival.due_ns < end_ns, arrivals)
        for arrival in arrivals:
            frame = arrival.frame
            yield arrival, encode_image(frame.image, frame.encoding, 0, frame.frame_id)

    def _pace(self, timeline: Timeline, arrival: Arrival, stop: StopSwitch) -> bool:
        """Wait until a frame is due; return whether to go on."""
        clock = self._node.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        gap_ns = None
        while True:
            now_ns = clock.now().nanoseconds
            left_ns = timeline.due_ns(arrival) - now_ns
            gap_ns = left_ns if gap_ns is None else gap_ns
            if left_ns > gap_ns + NS_PER_S or left_ns < -_TOLERANCE_NS:  # the clock was set back, or this is late
                timeline.catch_up(arrival, now_ns)
                return not stop.wait(0.0)
            if left_ns <= 0:
                return not stop.wait(0.0)
            # A simulated clock may run at any speed, so look at it often.
            seconds = left_ns / NS_PER_S
            if stop.wait(min(seconds, 0.01 if simulated else 1.0)):
                return False

    def _publish(self, arrival: Arrival, message: Image, stamp_ns: int) -> None:
        message.header.stamp = ns_to_stamp(stamp_ns)
        if self._on_publish is not None:
            self._on_publish(arrival, stamp_ns)
        model = self._models[arrival.stream]
        if model is not None:
            info = camera_info(model, stamp_ns)
            info.header.frame_id = message.header.frame_id
            self._infos[arrival.stream].publish(info)
        self._images[arrival.stream].publish(message)

    def _flush(self) -> None:
        """Give reliable subscribers a moment to get the last images before the publishers go."""
        for publisher in self._images.values():
            if publisher.get_subscription_count():
                publisher.wait_for_all_acked(Duration(seconds=1.0))


class _Ahead:
    """Runs an iterator ``count`` items ahead in a thread; its errors come out where its items would."""

    def __init__(self, items: Iterator[tuple[Arrival, Image]], count: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[Arrival, Image] | BaseException | None] = queue.Queue(count)
        self._full = threading.Event()  # or at its end
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)

    def __enter__(self) -> _Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def fill(self, stop: StopSwitch) -> None:
        """Wait until all that may be ahead is there, or ``stop`` is set."""
        while not self._full.is_set() and not stop.wait(0.05):
            pass

    def get(self, stop: StopSwitch) -> tuple[Arrival, Image] | None:
        """Return the next item; None at the end of all, or when ``stop`` is set."""
        while True:
            try:
                item = self._queue.get(timeout=0.05)
            except queue.Empty:
                if stop.wait(0.0):
                    return None
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            self._full.set()

    def _put(self, item: tuple[Arrival, Image] | BaseException | None) -> bool:
        while not self._ending.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.1)
                if self._queue.full():
                    self._full.set()
                return True
        return False
