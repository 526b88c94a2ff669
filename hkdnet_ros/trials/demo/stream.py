"""Runs the fusion node and a replay as processes of their own and records what goes over their topics."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from ...errors import ProcessError
from ..children import GRACE_S, Child, Children
from .files import DemoFiles
from .recorder import DemoRecorder
from .report import MemorySample

BRING_UP_S = 300.0  # a large network on a slow machine
SILENCE_S = 60.0  # without a fused image
_SAMPLE_S = 0.5
_LOG_LINES = 12
_FAILED = "failed: "  # as the node logs a transition


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What is played, for how long, and with which parameters of the node.

    ``replay`` are arguments of ``hkdnet replay``. The stream ends after ``frames`` fused images, or ``seconds`` from
    the first one, where these are not 0, and where the replay ends.
    """

    replay: tuple[str, ...]
    parameters: dict[str, Any]
    seconds: float = 0.0
    frames: int = 0


@dataclass(slots=True)
class Stream:
    """What was recorded."""

    recorder: DemoRecorder
    memory: list[MemorySample] = field(default_factory=list)


def run_stream(settings: StreamSettings, files: DemoFiles) -> Stream:
    """Start everything, record until the end, and end everything, in whatever way this is left.

    Raises :class:`ProcessError` where a process fails or falls silent; its last lines have been said then.
    """
    namespace = f"/hkdnet_demo_{os.getpid()}"  # a fusion node that runs already is not this one
    with ros_node("demo", namespace) as (node, executor), Children() as children:
        return _Run(settings, files, children, node, executor).run()


@contextlib.contextmanager
def ros_node(name: str, namespace: str) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    """Yield a node in a context of its own, and the executor that it is spun by."""
    context = rclpy.Context()
    rclpy.init(context=context, args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(name, namespace=namespace, context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            yield node, executor
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        context.try_shutdown()


class _Run:
    def __init__(
        self, settings: StreamSettings, files: DemoFiles, children: Children, node: Node,
        executor: SingleThreadedExecutor,
    ) -> None:  # fmt: skip
        self._settings, self._node, self._executor = settings, node, executor
        ros_arguments = ["--ros-args", "-r", f"__ns:={node.get_namespace()}"]
        arguments = ["-m", "hkdnet_ros.node.fusion_node", *ros_arguments]
        for name, value in {**settings.parameters, "autostart": False}.items():
            arguments += ["-p", f"{name}:={json.dumps(value)}"]
        self._fusion = children.start("fusion_node", arguments, files.log("fusion_node"))
        # Prepares its images while the node starts, and waits for the node and the recorder.
        waiting = ["--wait", f"{BRING_UP_S}", "--subscribers", "2"]
        arguments = ["-m", "hkdnet_ros.cli", "replay", *settings.replay, *waiting, *ros_arguments]
        self._replay = children.start("replay", arguments, files.log("replay"))

    def run(self) -> Stream:
        """Configure and activate the node, as a lifecycle manager on a robot would, and record."""
        stream = Stream(DemoRecorder(self._node))
        self._change_state("configure", Transition.TRANSITION_CONFIGURE)
        self._change_state("activate", Transition.TRANSITION_ACTIVATE)
        self._record(stream)
        self._replay.interrupt()
        self._drain(stream.recorder)
        self._sample_memory(stream)
        status = self._fusion.end(time.monotonic() + GRACE_S)
        if status != 0:
            raise _failure(self._fusion, f"the fusion node ended with status {status}")
        return stream

    def _change_state(self, word: str, transition: int) -> None:
        client: Any = self._node.create_client(ChangeState, "fusion/change_state")
        deadline = time.monotonic() + BRING_UP_S
        while not client.service_is_ready():
            self._turn(deadline, "the fusion node did not offer its services")
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        while not future.done():
            self._turn(deadline, f"the fusion node did not {word}")
        if not future.result().success:
            raise _failure(self._fusion, f"the fusion node did not {word}")
        self._node.destroy_client(client)

    def _turn(self, deadline: float, what: str) -> None:
        """Let a callback run; raise where a process has failed or it is too late."""
        self._executor.spin_once(timeout_sec=0.1)
        if self._fusion.status() is not None:
            raise _failure(self._fusion, f"the fusion node ended with status {self._fusion.status()}")
        if self._replay.status() not in (None, 0):
            raise _failure(self._replay, f"the replay ended with status {self._replay.status()}")
        if time.monotonic() > deadline:
            raise _failure(self._fusion, f"{what} in time")

    def _record(self, stream: Stream) -> None:
        """Record until the stream has lasted long enough or the replay has ended."""
        recorder = stream.recorder
        sampled = 0.0
        # The first image waits for what the replay prepares.
        silent_until = time.monotonic() + BRING_UP_S
        with _Progress(self._settings) as progress:
            while not self._is_long_enough(recorder) and self._replay.status() is None:
                published = recorder.published
                self._turn(silent_until, "no fused image came")
                now = time.monotonic()
                if recorder.published > published:
                    silent_until = now + SILENCE_S
                if now - sampled > _SAMPLE_S:
                    sampled = now
                    self._sample_memory(stream)
                    progress.show(recorder)
            progress.show(recorder)

    def _is_long_enough(self, recorder: DemoRecorder) -> bool:
        settings = self._settings
        if settings.frames and recorder.published >= settings.frames:
            return True
        return bool(settings.seconds and recorder.published and recorder.last_s - recorder.first_s >= settings.seconds)

    def _drain(self, recorder: DemoRecorder) -> None:
        """Wait until the node has worked off what it has."""
        interval = (recorder.last_s - recorder.first_s) / max(recorder.published - 1, 1)
        quiet_s = max(1.0, 3 * interval)
        quiet_since, deadline = time.monotonic(), time.monotonic() + SILENCE_S
        while time.monotonic() - quiet_since < quiet_s:
            published = recorder.published
            self._turn(deadline, "the fusion node did not come to rest")
            if recorder.published > published:
                quiet_since = time.monotonic()
        if not recorder.shots.kept or not recorder.statuses:
            raise _failure(self._fusion, "no fused image came with the camera images it was made of")

    def _sample_memory(self, stream: Stream) -> None:
        resident = self._fusion.resident_bytes()
        if resident:
            stream.memory.append(MemorySample(stream.recorder.published, resident))


def _failure(child: Child, what: str) -> ProcessError:
    """Say the last lines of ``child`` and return the error, with the reason that its log gives."""
    lines = child.last_lines(_LOG_LINES)
    if lines:
        print(f"The last lines of {child.log}:", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)
    reasons = [line.partition(_FAILED)[2] for line in lines if _FAILED in line]
    reason = f": {reasons[-1]}" if reasons else ""
    return ProcessError(f"{what}{reason}; see {child.log}")


class _Progress:
    """A bar of fused images where their number is the goal, else of seconds."""

    def __init__(self, settings: StreamSettings) -> None:
        self._counts_frames = bool(settings.frames)
        total, unit = (settings.frames, "frames") if settings.frames else (settings.seconds, "s")
        self._bar = tqdm(
            total=total, desc="streaming", bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} " + unit
            + "{postfix}",
        )  # fmt: skip

    def show(self, recorder: DemoRecorder) -> None:
        """Show where ``recorder`` is now."""
        done = recorder.published if self._counts_frames else recorder.last_s - recorder.first_s
        self._bar.set_postfix_str(f"{recorder.published} fused images", refresh=False)
        self._bar.n = min(done, self._bar.total)
        self._bar.refresh()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
