"""Runs the node and its cameras as processes of their own, lets one fault follow the other, and measures."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from tqdm import tqdm

from hkdnet_ros.msg import FusionStatus

from ...errors import HkdnetError, ProcessError
from ...files import write_file
from ...images import color
from ...images.messages import decode_message, stamp_to_ns
from ...node.distributions import PROFILE_VARIABLES, adds_transports, profile_variable
from ...node.fastdds import profile
from ...node.process import LEAVING
from ...replay.player import TOPICS
from ..children import GRACE_S, Child, Children
from ..demo.stream import ros_node
from .config import SoakConfig
from .faults import FAULTS, STREAMS, in_turn
from .numbered import NUMBERS, read_number
from .pair_check import PairCheck
from .report import FaultRun, Memory, Soak

BRING_UP_S = 120.0
_ANSWER_S = 20.0
_HANG_S = 15.0  # without the way back to fused: given up on
_CALM_S = 1.0
_SAMPLE_S = 1.0
STALLED_SUBSCRIBER = """
import rclpy, sys
from sensor_msgs.msg import Image
rclpy.init(args=sys.argv)
node = rclpy.create_node("stalled")
node.create_subscription(Image, "fused/image", lambda _: None, 10)
while True:
    rclpy.spin_once(node, timeout_sec=1.0)
"""


def run_soak(config: SoakConfig, soak: Soak) -> None:
    """Fill ``soak`` until the time is over, the node dies, or this is interrupted; ends every process it started.

    Raises :class:`ProcessError` where the node or a camera cannot be started.
    """
    with ros_node("soak", f"/hkdnet_soak_{os.getpid()}") as (node, executor), Children() as children:
        _Run(config, soak, children, node, executor).run()


class _Run:
    """The rig that the faults act on (faults.Rig), and what is measured meanwhile."""

    def __init__(
        self, config: SoakConfig, soak: Soak, children: Children, node: Node, executor: SingleThreadedExecutor
    ) -> None:
        self.size = config.size
        self._config, self._soak = config, soak
        self._children, self._node, self._executor = children, node, executor
        self._check = PairCheck(round(config.slop * 1e9), soak.counts, soak.modes, soak.received)
        self._reliability = dict.fromkeys(STREAMS, "reliable")
        self._clients: dict[str, Any] = {}
        self._began = 0.0
        self._fault = ""
        self._sampled = 0.0
        self._started = 0
        self._revived: dict[str, int] = {}  # since the last fault, with the number of the first image
        self._subscribe()
        parameters, environment = config.node_parameters(), self._profile()
        self._fusion = self._start("fusion", "hkdnet_ros.node.fusion_node", parameters, environment)
        self._cameras = {stream: self._start_camera(stream) for stream in STREAMS}

    def run(self) -> None:
        """Soak, and say how the node ended."""
        try:
            self._wait(lambda: bool(self._check.first_fused(0.0)), BRING_UP_S, "no fused image came")
            self._began = time.monotonic()
            with _Progress(self._config.minutes * 60) as progress:
                self._soak_through(progress)
        except ProcessError as error:
            if not self._began:
                raise
            self._soak.failures.append(str(error))
        finally:
            self._check.finish()
            self._soak.failures += self._check.examples
            self._soak.seconds = time.monotonic() - self._began if self._began else 0.0
        if (status := self._fusion.end(time.monotonic() + GRACE_S)) != 0:
            self._soak.failures.append(f"the node ended with status {status}; see {self._fusion.log}")
        log = self._fusion.log.read_text(errors="replace")
        for text in ("Traceback", LEAVING):
            if text in log:
                self._soak.failures.append(f"the node's log says {text!r}; see {self._fusion.log}")

    def set_camera(self, stream: str, **parameters: Any) -> None:
        """Set parameters of a camera."""
        self._set(self._cameras[stream].name, parameters)

    def set_node(self, parameters: Mapping[str, Any]) -> None:
        """Set parameters of the fusion node."""
        self._set("fusion", parameters)

    def kill_camera(self, stream: str) -> None:
        """End a camera as a crash does."""
        self._cameras[stream].kill()

    def revive_camera(self, stream: str) -> None:
        """Start a camera again, with the other reliability."""
        self._reliability[stream] = "best_effort" if self._reliability[stream] == "reliable" else "reliable"
        self._revived[stream] = first = random.randrange(NUMBERS)
        self._cameras[stream] = self._start_camera(stream, first)

    def start_stalled_subscriber(self) -> Callable[[], None]:
        """Start a subscriber and stop it by SIGSTOP once the node has found it."""
        name = self._new_name("stalled")
        arguments = ["-c", STALLED_SUBSCRIBER, *self._ros_arguments(name)]
        child = self._children.start(name, arguments, self._log("stalled"))

        def is_there() -> bool:
            found = self._node.get_subscriptions_info_by_topic(self._node.resolve_topic_name("fused/image"))
            return any(info.node_name == name for info in found)

        self._wait(is_there, BRING_UP_S, "no stalled subscriber came up")
        self._last(_CALM_S)  # the node has to find it, too
        os.kill(child.pid, signal.SIGSTOP)
        return child.kill

    def start_storm(self, sets: Iterator[tuple[str, Any, bool]], rate: float) -> Callable[[], str]:
        """Set parameters of the node at ``rate`` from a timer; what ends it waits for all answers."""
        client = self._client("fusion")
        answers: Counter[str] = Counter()
        pending: dict[Any, tuple[str, bool]] = {}

        def answered(future: Any) -> None:
            name, succeeds = pending.pop(future)
            result = future.result().results[0]
            answers["accepted" if result.successful else "refused"] += 1
            if result.successful != succeeds:
                self._soak.failures.append(f"setting {name} {'failed' if succeeds else 'succeeded'}: {result.reason}")

        def send() -> None:
            name, value, succeeds = next(sets)
            future = client.call_async(_request({name: value}))
            pending[future] = name, succeeds
            future.add_done_callback(answered)

        timer = self._node.create_timer(1.0 / rate, send)

        def end() -> str:
            self._node.destroy_timer(timer)
            self._wait(lambda: not pending, _ANSWER_S, "sets of parameters were not answered")
            return ", ".join(f"{count} sets {what}" for what, count in sorted(answers.items()))

        return end

    def _set(self, name: str, parameters: Mapping[str, Any]) -> None:
        future = self._client(name).call_async(_request(parameters))
        self._wait(future.done, _ANSWER_S, f"{name} did not answer")
        results: list[SetParametersResult] = future.result().results
        assert all(result.successful for result in results), results

    def _soak_through(self, progress: _Progress) -> None:
        names = in_turn(self._config.faults or list(FAULTS), random.Random(self._config.seed))
        end = self._began + self._config.minutes * 60
        while time.monotonic() < end:
            name = next(names)
            progress.show(time.monotonic() - self._began, name, len(self._soak.runs))
            self._soak.runs.append(self._run_fault(name))

    def _run_fault(self, name: str) -> FaultRun:
        begun = time.monotonic()
        self._revived.clear()
        cameras, modes = self._check.received.total(), Counter(self._check.modes)
        fault = FAULTS[name](self)
        self._fault = name
        next(fault)
        self._last(self._config.hold)
        note = next(fault, None) or ""
        ended = time.monotonic()
        back = self._way_back(ended)
        published = self._check.modes - modes
        run = FaultRun(name, begun - self._began, back, self._check.received.total() - cameras, published, note)
        for _ in fault:  # what is left to do after it
            pass
        self._fault = ""
        self._last(_CALM_S)
        return run

    def _way_back(self, ended: float) -> float | None:
        """Return the time from the first images of both cameras after ``ended`` to the first fused of such."""
        self._wait(lambda: self._sending(ended) is not None, BRING_UP_S, "a camera did not come back")
        sending = self._sending(ended)
        assert sending is not None
        with contextlib.suppress(_TooLateError):
            self._wait(lambda: self._check.first_fused(ended, self._revived) is not None, _HANG_S, "not fused again")
        fused = self._check.first_fused(ended, self._revived)
        return None if fused is None else max(fused - sending, 0.0)

    def _sending(self, ended: float) -> float | None:
        """Return from when on both cameras sent after ``ended``; None while one has not come by.

        The first images of a revived one are sent before anybody can hear them. The number of the first that is
        heard tells how many those were.
        """
        begun = []
        for stream in STREAMS:
            taken = self._check.first_camera(stream, ended)
            if taken is None:
                return None
            unheard = (taken.number - self._revived[stream]) % NUMBERS if stream in self._revived else 0
            begun.append(taken.at - unheard / self._config.rate)
        return max(begun)

    def _last(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._turn()

    def _wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise _TooLateError(f"{what} within {seconds:g} s; see {self._fusion.log}")
            self._turn()

    def _turn(self) -> None:
        """Let one callback run, and look after the node."""
        self._executor.spin_once(timeout_sec=0.05)
        if self._fusion.status() is not None:
            lines = " / ".join(self._fusion.last_lines(3))
            raise ProcessError(f"the node ended with status {self._fusion.status()}: {lines}; see {self._fusion.log}")
        now = time.monotonic()
        if self._began and now - self._sampled >= _SAMPLE_S:
            self._sampled = now
            self._soak.memory.append(Memory(now - self._began, self._fusion.resident_bytes(), self._fault))

    def _profile(self) -> dict[str, str]:
        """Return what gives the node the profile of ``hkdnet fastdds``, unless the environment has one."""
        if any(name in os.environ for name in PROFILE_VARIABLES):
            self._soak.setting["Fast DDS profile"] = "that of the environment"
            return {}
        if adds_transports():
            self._soak.setting["Fast DDS profile"] = "none, for ROS adds transports of its own to those of a profile"
            return {}
        self._soak.setting["Fast DDS profile"] = "of the node: `hkdnet fastdds --size {}x{}`".format(*self.size)
        file = self._config.out / "fastdds.xml"
        write_file(file, profile(self.size).encode())
        return {profile_variable(): str(file.resolve())}

    def _start(
        self, name: str, module: str, parameters: dict[str, Any], environment: Mapping[str, str] | None = None
    ) -> Child:
        arguments = ["-m", module, *self._ros_arguments(name)]
        for parameter, value in parameters.items():
            arguments += ["-p", f"{parameter}:={json.dumps(value)}"]
        return self._children.start(name, arguments, self._log(name.rstrip("0123456789")), environment)

    def _start_camera(self, stream: str, first: int = 0) -> Child:
        config = self._config
        parameters = {
            "stream": stream, "rate": config.rate, "width": config.size[0], "height": config.size[1],
            "seed": config.seed, "first": first, "reliability": self._reliability[stream],
        }  # fmt: skip
        return self._start(self._new_name(f"{TOPICS[stream]}_camera"), "hkdnet_ros.trials.soak.camera", parameters)

    def _new_name(self, base: str) -> str:
        """Return a name that no process had before: what was killed stays in the graph for a while."""
        self._started += 1
        return f"{base}{self._started}"

    def _ros_arguments(self, name: str) -> list[str]:
        return ["--ros-args", "-r", f"__ns:={self._node.get_namespace()}", "-r", f"__node:={name}"]

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(SetParameters, f"{name}/set_parameters")
        client = self._clients[name]
        self._wait(client.service_is_ready, _ANSWER_S, f"{name} did not offer its parameters")
        return client

    def _log(self, name: str) -> Path:
        return self._config.out / f"{name}.log"

    def _subscribe(self) -> None:
        qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)  # hears the cameras of either kind
        for stream, topic in TOPICS.items():
            self._node.create_subscription(
                Image, f"{topic}/image_raw", lambda message, stream=stream: self._camera(stream, message), qos
            )
        self._node.create_subscription(Image, "fused/image", self._image, 50)
        self._node.create_subscription(FusionStatus, "fused/status", self._status, 50)

    def _camera(self, stream: str, message: Image) -> None:
        try:
            frame = decode_message(message)
        except HkdnetError:  # malformed by intent
            return
        number = read_number(color.luma(frame.image, frame.encoding), stream)
        assert number is not None, f"a {stream} image of the soak's own camera is illegible"
        self._check.add_camera(stream, frame.stamp_ns, number, time.monotonic())

    def _image(self, message: Image) -> None:
        frame = decode_message(message)
        self._check.add_image(frame.stamp_ns, color.luma(frame.image, frame.encoding))

    def _status(self, message: FusionStatus) -> None:
        skew_ns = message.skew.sec * 10**9 + message.skew.nanosec
        self._check.add_status(stamp_to_ns(message.header.stamp), message.mode, skew_ns, time.monotonic())
        self._soak.drops = dict(zip(message.drop_reasons, message.drop_counts, strict=True))
        self._soak.setting["model"] = f"{message.model} x{message.scale}, {message.precision} on {message.device}"


def _request(parameters: Mapping[str, Any]) -> SetParameters.Request:
    return SetParameters.Request(
        parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in parameters.items()]
    )


class _TooLateError(ProcessError):
    """Something did not come about in time."""


class _Progress:
    """A bar of seconds."""

    def __init__(self, seconds: float) -> None:
        self._bar = tqdm(total=seconds, desc="soaking", bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}")

    def show(self, seconds: float, fault: str, faults: int) -> None:
        """Show where the soak is now."""
        self._bar.set_postfix_str(f"{seconds / 60:.1f} min, {faults} faults, now: {fault}", refresh=False)
        self._bar.n = min(seconds, self._bar.total)
        self._bar.refresh()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
