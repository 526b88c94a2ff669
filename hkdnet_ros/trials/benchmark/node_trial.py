"""One trial of a node: cameras of one rate for some seconds, and what came out, when and at what cost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from ...errors import ProcessError
from ..children import Child, Children
from ..demo.stream import ros_node
from .cameras import QOS
from .figures import NodeFigures

Size = tuple[int, int]  # width, height

START_S = 120.0
WARM_UP_S = 1.5
"""The first images are not counted: a node warms up on them."""

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
    def of_pass_through(cls, thermal: Size, visible: Size, output: Size, seconds: float) -> Setting:
        """Return the setting of a node that passes the visible image on, in the size of ``output``."""
        module = "hkdnet_ros.trials.benchmark.pass_through"
        return cls(thermal, visible, seconds, ["-m", module, "{}x{}".format(*output), "--ros-args"])


def try_node(setting: Setting, rate: float, logs: Path) -> NodeFigures:
    """Start the node and cameras of ``rate`` pairs a second, and return what was measured once it was warm.

    Processes write what they say to the folder ``logs``. Raises :class:`ProcessError` where one of them fails.
    """
    namespace = f"/hkdnet_benchmark_{os.getpid()}_{time.monotonic_ns()}"
    remap = ["-r", f"__ns:={namespace}"]
    with ros_node("benchmark", namespace) as (node, executor), Children() as children:
        came: list[tuple[int, int]] = []  # when, and with which stamp, in ns

        def receive(message: Image) -> None:
            stamp = message.header.stamp
            came.append((time.time_ns(), stamp.sec * 1_000_000_000 + stamp.nanosec))

        node.create_subscription(Image, "fused/image", receive, QOS)
        fusing = children.start("node", [*setting.node, *remap], logs / "node.log")
        sizes = ["{}x{}".format(*size) for size in (setting.thermal, setting.visible)]
        seconds = f"{setting.seconds + WARM_UP_S}"
        arguments = ["-m", "hkdnet_ros.trials.benchmark.cameras", *sizes, f"{rate}", seconds, "--ros-args", *remap]
        cameras = children.start("cameras", arguments, logs / "cameras.log")
        spent: list[tuple[int, float]] = []  # ns, processor seconds of the node
        deadline = time.monotonic() + START_S + 10 * setting.seconds
        while cameras.status() is None:
            executor.spin_once(timeout_sec=0.1)
            if fusing.status() is not None or time.monotonic() > deadline:
                raise ProcessError(f"the node did not run to the end; see {fusing.log}")
            if came and (not spent or time.time_ns() - spent[-1][0] > 200_000_000):
                spent.append((time.time_ns(), processor_seconds(fusing)))
        if cameras.status() != 0 or not came:
            raise ProcessError(f"no fused image came at {rate:g} pairs a second; see {cameras.log}, {fusing.log}")
        sent = int(cameras.last_lines(1)[0])
        return _figures(rate, sent, came, spent, fusing.resident_bytes())


def processor_seconds(child: Child) -> float:
    """Return what a process has had of all cores so far; 0 after its end."""
    try:
        words = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS


def _figures(
    rate: float, sent: int, came: Sequence[tuple[int, int]], spent: Sequence[tuple[int, float]], resident: int
) -> NodeFigures:
    warm_ns = came[0][1] + int(WARM_UP_S * 1e9)
    warm = [(when, stamp) for when, stamp in came if stamp >= warm_ns]
    ages = [(when - stamp) / 1e6 for when, stamp in warm]
    intervals = np.diff([when for when, _ in warm]) / 1e6
    measured = [(when, seconds) for when, seconds in spent if when >= warm_ns]
    (first_ns, first_s), (last_ns, last_s) = measured[0], measured[-1]
    sent_warm = sent - round(WARM_UP_S * rate)
    return NodeFigures(
        rate=rate,
        sent=sent_warm,
        received=len(warm),
        age_ms=tuple(float(value) for value in np.percentile(ages, (50, 95, 99))) if ages else (),
        jitter_ms=float(np.std(intervals)) if len(intervals) else 0.0,
        cores=(last_s - first_s) / max((last_ns - first_ns) / 1e9, 1e-9),
        resident_mb=resident / 1e6,
    )
