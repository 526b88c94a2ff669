#!/usr/bin/env python3
"""Measures what keeps its pace beside other programs, by how its threads wait and how many they are.

    PYTHONPATH=. .venv/bin/python scripts/measure_threads.py --rounds 3 --frames 8

Each of WAYS is a process of its own that works on frames when it is told to. All take turns, first with nothing beside
them, then beside a busy process, then beside a torch program of two spinning threads, so that a change of the machine's
speed meets all alike. Prints p50 and p95 in ms as a table in Markdown and, behind a slash, how many times those of idle
they are. Nothing else should run. A niceness below 0 needs root, a slice Linux 6.12.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOADS = ("", "spin", "torch")


@dataclass(frozen=True)
class Way:
    """What one process does.

    It fuses by ``backend``, with these ``threads`` and these settings of OpenVINO, `realtime` x2 of 320x240; without
    one it does all of the pipeline but the network at 1280x960. The scheduler is asked for turns of ``slice_ms``.
    """

    backend: str = ""
    threads: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    openvino: Mapping[str, Any] = field(default_factory=dict)
    is_torch_first: bool = False  # imported before the product could say how its threads wait
    opencv_threads: int = 1
    nice: int = 0
    slice_ms: float = 0.0


WAYS = {
    "torch, 1,000 spins": Way("torch"),  # as the product has it
    "torch, 10,000 spins": Way("torch", environment={"GOMP_SPINCOUNT": "10000"}),
    "torch, as it comes": Way("torch", is_torch_first=True),
    "torch, OMP_WAIT_POLICY=PASSIVE": Way("torch", environment={"OMP_WAIT_POLICY": "PASSIVE"}),
    "torch, 1 thread": Way("torch", threads=1),
    "torch, turns of 0.1 ms": Way("torch", slice_ms=0.1),
    "OpenVINO": Way("openvino"),
    "OpenVINO, 1 thread": Way("openvino", threads=1),
    "OpenVINO, pinned to cores": Way("openvino", openvino={"ENABLE_CPU_PINNING": True}),
    "OpenVINO, TBB_PARTITIONER AUTO": Way("openvino", openvino={"TBB_PARTITIONER": "AUTO"}),
    "OpenVINO, hint THROUGHPUT": Way("openvino", openvino={"PERFORMANCE_HINT": "THROUGHPUT"}),
    "OpenVINO, turns of 0.1 ms": Way("openvino", slice_ms=0.1),
    "OpenVINO, nice -5": Way("openvino", nice=-5),
    "pipeline, OpenCV 1 thread": Way(opencv_threads=1),
    "pipeline, OpenCV 2 threads": Way(opencv_threads=2),
}


def fusing(way: Way) -> Callable[[], object]:
    """Return what fuses one frame by ``way``."""
    import numpy as np

    if way.is_torch_first:
        import torch  # noqa: F401

    from hkdnet_ros.inference.config import EngineConfig
    from hkdnet_ros.inference.engine_api import load_engine

    engine = load_engine(EngineConfig(model="realtime", backend=way.backend, threads=way.threads))
    if way.openvino:
        engine._backend._settings.update(way.openvino)  # type: ignore[attr-defined]  # the product offers none of them
    thermal, visible = np.random.default_rng(0).random((2, 240, 320), dtype=np.float32)
    engine.warm_up(240, 320)
    return lambda: engine.fuse(thermal, visible)


def all_but_the_network(way: Way) -> Callable[[], object]:
    """Return what brings one pair through the pipeline without a network."""
    import cv2
    import numpy as np

    from hkdnet_ros.images.frames import Frame, Pair
    from hkdnet_ros.inference.config import EngineConfig
    from hkdnet_ros.perception.pipeline import FusionPipeline
    from hkdnet_ros.trials.benchmark.bare_node import NoNetwork

    cv2.setNumThreads(way.opencv_threads)
    pipeline = FusionPipeline(NoNetwork(EngineConfig()))
    random = np.random.default_rng(0)
    counts = random.integers(28000, 32000, (512, 640), np.uint16)
    colour = random.integers(0, 256, (960, 1280, 3), np.uint8)
    return lambda: pipeline.process(Pair(Frame(counts, 1, "", "mono16"), Frame(colour, 1, "", "bgr8")))


def ask_for_turns(milliseconds: float) -> None:
    """Ask the scheduler for turns of this length, for this thread and those that it starts (sched_setattr(2))."""
    number = {"x86_64": 314, "aarch64": 274}[platform.machine()]
    attributes = struct.pack(
        "=IIQiIQQQ", 48, 0, 0, os.getpriority(os.PRIO_PROCESS, 0), 0, int(milliseconds * 1e6), 0, 0
    )
    if ctypes.CDLL(None).syscall(number, 0, attributes, 0):
        raise OSError("this kernel gives no slices; Linux 6.12 does")


def work(way: Way) -> None:
    """Work on as many frames as each line of standard input says, and print their times in ms."""
    os.setpriority(os.PRIO_PROCESS, 0, way.nice)  # of this thread, and of those that it starts
    if way.slice_ms:
        ask_for_turns(way.slice_ms)
    frame = fusing(way) if way.backend else all_but_the_network(way)
    frame()
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            frame()
            times.append((time.perf_counter() - begun) * 1e3)
        print(json.dumps(times), flush=True)


class Worker:
    """A process of this script, or of the benchmark's load."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**own, **(environment or {})},
            text=True,
        )

    def ask(self, frames: int) -> list[float]:
        """Return the times in ms of so many frames."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{frames}\n")
        self.process.stdin.flush()
        times: list[float] = json.loads(self.said())
        return times

    def said(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def measured(names: list[str], rounds: int, frames: int) -> dict[str, dict[str, list[float]]]:
    """Return times in ms by way and load."""
    loads: dict[str, Worker] = {}
    workers: dict[str, Worker] = {}
    times: dict[str, dict[str, list[float]]] = {name: {load: [] for load in LOADS} for name in names}
    try:
        for name in names:
            workers[name] = Worker(__file__, "--work", name, environment=WAYS[name].environment)
        for name, worker in workers.items():
            if worker.said() != "ready\n":
                raise SystemExit(f"{name} did not start")
        for load in LOADS[1:]:
            loads[load] = Worker("-m", "hkdnet_ros.trials.benchmark.load", load)
        time.sleep(5)  # torch is imported
        for program in loads.values():
            program.process.send_signal(signal.SIGSTOP)
        for _ in range(rounds):
            for load in LOADS:
                for name, worker in workers.items():
                    if load:
                        loads[load].process.send_signal(signal.SIGCONT)
                    worker.ask(1)
                    times[name][load] += worker.ask(frames)
                    if load:
                        loads[load].process.send_signal(signal.SIGSTOP)
    finally:
        for each in (*loads.values(), *workers.values()):
            each.process.kill()
    return times


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=8, help="in a round, for each way and load")
    parser.add_argument("--ways", default="", help="only the ways that have one of these in their name, as 'a;b'")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(WAYS[arguments.work])
        return 0
    import numpy as np

    names = [name for name in WAYS if any(part in name for part in arguments.ways.split(";"))]
    found = measured(names, arguments.rounds, arguments.frames)
    print("| way | idle | beside spin | beside torch |")
    print("| --- | --- | --- | --- |")
    for name in names:
        percentiles = {load: np.percentile(times, (50, 95)) for load, times in found[name].items()}
        cells = []
        for load, (p50, p95) in percentiles.items():
            idle = percentiles[""]
            cells.append(f"{p50:.1f}, {p95:.1f}" + (f" / {p50 / idle[0]:.2f}, {p95 / idle[1]:.2f}" if load else ""))
        print(f"| {name} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
