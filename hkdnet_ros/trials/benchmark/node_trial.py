"""One trial of a node: cameras of one rate for some seconds, and what came out, when and at what cost.

All processes have the profile of ``hkdnet fastdds`` for images of this size (:func:`large_images`), which a robot with
such images needs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from hkdnet_ros.msg import FusionStatus

from ...errors import ProcessError
from ...files import write_file
from ...node.distributions import PROFILE_VARIABLES, profile_variable
from ...node.fastdds import profile
from ..children import Child, Children
from ..demo.stream import ros_node
from .cameras import QOS
from .figures import NodeFigures

Size = tuple[int, int]  # width, height

START_S = 120.0
SETTLING_S = 1.0
"""So long after the first fused image nothing is counted: that image is late, and so is what waited behind it."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tried: the cameras' sizes and for how many seconds, and which process fuses."""

    thermal: Size
    visible: Size
    seconds: float
    node: Sequence[str]
    """The arguments of Python that start it, without ROS's."""

    @classmethod
    def of_fusion(cls, thermal: Size, visible: Size, seconds: float, parameters: Mapping[str, Any]) -> Setting:
        """Return the setting of the fusion node with these parameters."""
        words = [f"{name}:={json.dumps(value)}" for name, value in {"autostart": True, **parameters}.items()]
        node = ["-m", "hkdnet_ros.node.fusion_node", "--ros-args", *(word for each in words for word in ("-p", each))]
        return cls(thermal, visible, seconds, node)

    @classmethod
    def of_bare(cls, thermal: Size, visible: Size, seconds: float) -> Setting:
        """Return the setting of the fusion node without its network."""
        node = ["-m", "hkdnet_ros.trials.benchmark.bare_node", "--ros-args", "-p", "autostart:=true"]
        return cls(thermal, visible, seconds, node)

    @classmethod
    def of_pass_through(cls, thermal: Size, visible: Size, seconds: float) -> Setting:
        """Return the setting of a node that passes the visible image on."""
        return cls(thermal, visible, seconds, ["-m", "hkdnet_ros.trials.benchmark.pass_through", "--ros-args"])


@contextlib.contextmanager
def large_images(size: Size, folder: Path) -> Iterator[None]:
    """Give ROS in this process and its children a Fast DDS profile for images of ``size``, written to ``folder``.

    Not where the environment names one. To be entered before this process starts its first ROS node.
    """
    if any(name in os.environ for name in PROFILE_VARIABLES):
        yield
        return
    file = folder / "fastdds.xml"
    write_file(file, profile(size, scale=1).encode())
    os.environ[profile_variable()] = str(file.resolve())
    try:
        yield
    finally:
        del os.environ[profile_variable()]


@dataclass(frozen=True, slots=True)
class _Sample:
    """What the node's process had used at a time in ns: processor seconds, and resident bytes."""

    at_ns: int
    seconds: float
    resident: int


def try_node(setting: Setting, rate: float, logs: Path) -> NodeFigures:
    """Start the node and cameras of ``rate`` pairs a second, and return what was measured once an image was fused.

    Processes write what they say to the folder ``logs``. Raises :class:`ProcessError` where one of them fails.
    """
    namespace = f"/hkdnet_benchmark_{os.getpid()}_{time.monotonic_ns()}"
    remap = ["-r", f"__ns:={namespace}"]
    with ros_node("benchmark", namespace) as (node, executor), Children() as children:
        came: list[tuple[int, int]] = []  # when, and with which stamp, in ns

        def receive(message: Image) -> None:
            stamp = message.header.stamp
            came.append((time.time_ns(), stamp.sec * 1_000_000_000 + stamp.nanosec))

        own: list[tuple[int, float]] = []  # when, and the ms that the node took besides the inference

        def note(status: FusionStatus) -> None:
            stages = zip(status.stages, status.stage_latencies, strict=True)
            own.append((time.time_ns(), 1e3 * sum(spent for stage, spent in stages if stage != "network")))

        node.create_subscription(Image, "fused/image", receive, QOS)
        node.create_subscription(FusionStatus, "fused/status", note, QOS)
        fusing = children.start("node", [*setting.node, *remap], logs / "node.log")
        sizes = ["{}x{}".format(*size) for size in (setting.thermal, setting.visible)]
        seconds = f"{SETTLING_S + setting.seconds}"
        arguments = ["-m", "hkdnet_ros.trials.benchmark.cameras", *sizes, f"{rate}", seconds, "--ros-args", *remap]
        cameras = children.start("cameras", arguments, logs / "cameras.log")
        used: list[_Sample] = []
        warm_ns = 0
        deadline = time.monotonic() + START_S + 10 * setting.seconds
        while cameras.status() is None:
            executor.spin_once(timeout_sec=0.1)
            if fusing.status() is not None or time.monotonic() > deadline:
                raise ProcessError(f"the node fused nothing, or did not run to the end; see {fusing.log}")
            if came and not warm_ns:
                warm_ns = time.time_ns() + int(SETTLING_S * 1e9)
                os.kill(cameras.pid, signal.SIGUSR1)
            if came and (not used or time.time_ns() - used[-1].at_ns > 200_000_000):
                used.append(_Sample(time.time_ns(), processor_seconds(fusing), fusing.resident_bytes()))
        if cameras.status() != 0 or not came:
            raise ProcessError(f"no fused image came at {rate:g} pairs a second; see {cameras.log}, {fusing.log}")
        sent = int(cameras.last_lines(1)[0])
        return _figures(rate, sent - round(SETTLING_S * rate), warm_ns, came, own, used)


def processor_seconds(child: Child) -> float:
    """Return what a process has had of all cores so far; 0 after its end."""
    try:
        words = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS


def _figures(
    rate: float,
    sent: int,
    warm_ns: int,
    came: Sequence[tuple[int, int]],
    own: Sequence[tuple[int, float]],
    used: Sequence[_Sample],
) -> NodeFigures:
    warm = [(when, stamp) for when, stamp in came if stamp >= warm_ns]
    ages = [(when - stamp) / 1e6 for when, stamp in warm]
    intervals = np.diff([when for when, _ in warm]) / 1e6
    measured = [sample for sample in used if sample.at_ns >= warm_ns]
    first, last = measured[0], measured[-1]
    own_ms = [milliseconds for when, milliseconds in own if when >= warm_ns]
    return NodeFigures(
        rate=rate,
        sent=sent,
        received=len(warm),
        age_ms=tuple(float(value) for value in np.percentile(ages, (50, 95, 99))) if ages else (),
        jitter_ms=float(np.std(intervals)) if len(intervals) else 0.0,
        cores=(last.seconds - first.seconds) / max((last.at_ns - first.at_ns) / 1e9, 1e-9),
        resident_mb=last.resident / 1e6,
        growth_mb=(last.resident - first.resident) / 1e6,
        own_ms=tuple(float(value) for value in np.percentile(own_ms, (50, 95))) if own_ms else (),
    )
