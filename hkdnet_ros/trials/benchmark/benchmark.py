"""A benchmark from its settings to its figures: the network alone, its stages, its cost by size, the node over DDS."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from ...errors import ConfigError, MissingDependencyError
from ...files import make_folder, write_file
from ...images.frames import Frame, Pair
from ...inference.benchmark import WayTimes, cost_by_size, time_ways
from ...inference.checkpoint import source_revision
from ...inference.config import EngineConfig
from ...inference.engine_api import load_engine
from ...perception.pipeline import FusionPipeline
from ..children import Children, keep_to_this_machine
from ..machine import machine
from .figures import Benchmark, EngineFigures, NodeBenchmark, Scaling
from .load import KINDS
from .page import benchmark_page
from .peak import sustained_rate
from .report import markdown

Size = tuple[int, int]  # width, height

RATES = (10.0, 30.0, 60.0)
"""The pairs a second that a node is tried at once its peak is known."""
COMPARED = 30.0
"""The pairs a second of what is set beside each other: no network, no node of ours, other programs."""
TRIAL_S = 4.0
PAPER_LIMIT = 640 * 480
"""Up to so many pixels of the output the paper's network is timed, too: beyond, a frame takes many seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """What is measured: cameras of these sizes, ``frames`` in every way, and with ``node`` the node over DDS.

    ``loads``, of :data:`~hkdnet_ros.trials.benchmark.load.KINDS`, are programs beside each of which the network and the
    node are measured once more.
    """

    size: Size
    thermal_size: Size
    frames: int = 30
    by_size: bool = False
    node: bool = False
    loads: Sequence[str] = ()
    engine: EngineConfig = dataclasses.field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        for load in self.loads:
            if load not in KINDS:
                raise ConfigError(f"--load is {load}; choose of {', '.join(KINDS)}")


def measure(config: BenchmarkConfig) -> Benchmark:
    """Measure what ``config`` asks for and return the figures.

    Raises :class:`MissingDependencyError` for ``node`` without ROS, and what engines and processes do.
    """
    if config.node and any(importlib.util.find_spec(name) is None for name in ("rclpy", "hkdnet_ros.msg")):
        raise MissingDependencyError("--node needs ROS 2 for Python; run `make bench`, or source a ROS 2 installation")
    with tempfile.TemporaryDirectory(prefix="hkdnet_benchmark_") as logs:
        ways = _time(config, paper=config.size[0] * config.size[1] <= PAPER_LIMIT)
        beside = {}
        for load in config.loads:
            with _running(load, Path(logs)):
                beside[load] = _time(config).percentiles()
        return Benchmark(
            machine=machine(),
            versions=versions(),
            revision=source_revision(),
            model=f"{ways.model} on {ways.device}",
            engine=_engine_figures(ways, beside),
            stages_ms=stages(config),
            scaling=_scaling(config) if config.by_size else None,
            node=_node(config, ways, Path(logs)) if config.node else None,
        )


def versions() -> dict[str, str]:
    """Return the versions of what decides about speed."""
    found = {"python": platform.python_version()}
    for name in ("torch", "openvino", "numpy", "opencv-python-headless", "ros-rclpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def stages(config: BenchmarkConfig) -> dict[str, float]:
    """Return the median time of each stage of the pipeline in ms, for a colour image and 16-bit thermal."""
    random = np.random.default_rng(0)
    (width, height), (thermal_width, thermal_height) = config.size, config.thermal_size
    with contextlib.closing(load_engine(config.engine)) as engine:
        pipeline = FusionPipeline(engine)
        spent: dict[str, list[float]] = {}
        for index in range(config.frames + 2):
            counts = (28000 + 4000 * random.random((thermal_height, thermal_width))).astype(np.uint16)
            colour = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            stamp_ns = index * 33_000_000
            pair = Pair(Frame(counts, stamp_ns, "", "mono16"), Frame(colour, stamp_ns, "", "bgr8"))
            fused = pipeline.process(pair)
            for stage, milliseconds in fused.timings.items() if index >= 2 else ():
                spent.setdefault(stage, []).append(milliseconds)
    return {stage: median(times) for stage, times in spent.items()}


def write(figures: Benchmark, folder: Path) -> None:
    """Write ``benchmark.html``, ``.md`` and ``.json``.

    Raises :class:`~hkdnet_ros.errors.SourceError` where it cannot.
    """
    make_folder(folder)
    write_file(folder / "benchmark.html", benchmark_page(figures).encode())
    write_file(folder / "benchmark.md", markdown(figures).encode())
    write_file(folder / "benchmark.json", json.dumps(dataclasses.asdict(figures), indent=1).encode())


def _time(config: BenchmarkConfig, paper: bool = False) -> WayTimes:
    return time_ways(config.engine, config.size, thermal_size=config.thermal_size, frames=config.frames, paper=paper)


@contextlib.contextmanager
def _running(load: str, logs: Path) -> Iterator[None]:
    with Children() as children:
        children.start("load", ["-m", "hkdnet_ros.trials.benchmark.load", load], logs / "load.log")
        yield


def _engine_figures(ways: WayTimes, beside: Mapping[str, Mapping[str, Sequence[float]]]) -> EngineFigures:
    thermal, visible, output = ("{}x{}".format(*size) for size in (ways.thermal, ways.visible, ways.output))
    return EngineFigures(thermal, visible, output, ways.percentiles(), beside)


def _scaling(config: BenchmarkConfig) -> Scaling:
    times, exponent = cost_by_size(config.engine)
    return Scaling(
        sizes=["{}x{}".format(*size) for size in times],
        pixels=[width * height for width, height in times],
        times_ms=list(times.values()),
        exponent=exponent,
    )


def _node(config: BenchmarkConfig, ways: WayTimes, logs: Path) -> NodeBenchmark:
    from .node_trial import Setting, large_images, try_node

    keep_to_this_machine()
    cameras = (config.thermal_size, config.size)
    parameters: Mapping[str, object] = dataclasses.asdict(config.engine)
    setting = Setting.of_fusion(*cameras, TRIAL_S, parameters)
    fastest = min(p50 for name, (p50, _) in ways.percentiles().items() if name.split()[-1] in ("fp32", "bf16", "fp16"))
    with large_images(ways.output, logs):
        peak = sustained_rate(lambda rate: try_node(setting, rate, logs).dropped, 800 / fastest)
        found = [try_node(setting, rate, logs) for rate in RATES]
        bare = try_node(Setting.of_bare(*cameras, TRIAL_S), COMPARED, logs)
        passing = try_node(Setting.of_pass_through(*cameras, TRIAL_S), COMPARED, logs)
        beside = {}
        for load in config.loads:
            with _running(load, logs):
                beside[load] = try_node(setting, COMPARED, logs)
    return NodeBenchmark(peak, found, bare, passing, beside)
