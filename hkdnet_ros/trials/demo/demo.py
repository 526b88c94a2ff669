"""A demo from its settings to its figures: what is streamed, through a node with which parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError, MissingDependencyError, SourceError
from ...images.frames import THERMAL, VISIBLE
from ...inference.config import EngineConfig
from ...perception.pairing import PairingConfig
from ...perception.thermal import ThermalConfig
from ...sources.camera_source import NOMINAL_FPS, CameraSource, matches
from ...sources.no_pair import OPTIONS, StreamWatch
from ...sources.opening import THERMAL_TOPIC, VISIBLE_TOPIC, open_source
from ...sources.simulated import SimulatedSource
from ..children import keep_to_this_machine, termination_interrupts
from .files import DemoFiles

if TYPE_CHECKING:
    from .report import DemoFigures

SECONDS = 20.0
FPS = 30.0  # as most cameras have
SIMULATOR = "simulator:night"  # of its settings the one in which a thermal camera is needed most
PREPARED_BYTES = 640 << 20
BYTES_PER_PIXEL = {THERMAL: 2, VISIBLE: 3}  # mono16, bgr8
WIDEST = {THERMAL: 320, VISIBLE: 640}
"""A recording's images are reduced to these widths, in pixels, unless --size says otherwise."""

Size = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """What is streamed. Raises :class:`ConfigError` for a time, a number or a rate that is not above 0.

    ``seconds`` of the stream or ``frames`` fused images end it, a recording is looped for them; where neither is given,
    it is SECONDS or a shorter recording once. ``rate`` is the speed, 1 as recorded; ``fps`` in Hz is that of the
    simulator and of image folders. Both images are brought to ``size`` (width, height); where that is None, each keeps
    its own, in a recording at most WIDEST wide. The topics are those of images in a bag.
    """

    source: str = SIMULATOR
    seconds: float | None = None
    frames: int | None = None
    rate: float = 1.0
    fps: float = FPS
    size: Size | None = None
    thermal_topic: str = THERMAL_TOPIC
    visible_topic: str = VISIBLE_TOPIC
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        for name in ("seconds", "frames", "rate", "fps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} is {value:g}; it must be more than 0")


def demonstrate(config: DemoConfig, out: Path) -> DemoFigures:
    """Stream, write pictures, a video and a summary to the folder ``out``, and return the figures.

    Raises :class:`SourceError` for a source that cannot be shown and a folder that cannot be written,
    :class:`MissingDependencyError` without ROS, :class:`~hkdnet_ros.errors.ProcessError` for a process that fails.
    """
    with termination_interrupts():
        files = DemoFiles(out)
        print(f"Preparing {config.source} ...")
        source = open_source(
            config.source, size=config.size, fps=config.fps,
            thermal_topic=config.thermal_topic, visible_topic=config.visible_topic,
        )  # fmt: skip
        try:
            return _stream(config, source, files)
        finally:
            source.close()


def _stream(config: DemoConfig, source: CameraSource, files: DemoFiles) -> DemoFigures:
    try:
        from .results import write_results
        from .stream import StreamSettings, run_stream
    except ImportError as error:
        raise MissingDependencyError(
            f"the demo needs ROS 2 for Python and this package's messages ({error}); run `make demo`, or source a "
            "ROS 2 workspace in which this package is built"
        ) from error
    keep_to_this_machine()
    sizes = dict.fromkeys(WIDEST, config.size) if config.size else _own_sizes(source)
    _look_for_a_pair(source)
    thermal = _thermal_config(source)
    settings = StreamSettings(
        replay=(
            config.source, "--size", "{}x{}".format(*sizes[VISIBLE]), "--thermal-size", "{}x{}".format(*sizes[THERMAL]),
            "--thermal-topic", config.thermal_topic, "--visible-topic", config.visible_topic, *_pace(config, sizes),
        ),
        parameters={
            "model": config.engine.model, "device": config.engine.device, "precision": config.engine.precision,
            "thermal.range_low": thermal.range_low, "thermal.range_high": thermal.range_high,
        },
        seconds=config.seconds or (0.0 if config.frames else SECONDS),
        frames=config.frames or 0,
    )  # fmt: skip
    files.clear()
    print(f"Starting the fusion node, in ROS domain {os.environ['ROS_DOMAIN_ID']} ...")
    return write_results(run_stream(settings, files), thermal, source, files)


def _pace(config: DemoConfig, sizes: Mapping[str, Size]) -> list[str]:
    """Return the replay's options on time, for images of ``sizes`` by stream."""
    words = ["--fps", f"{config.fps}", "--rate", f"{config.rate}"]
    if config.seconds is not None or config.frames is not None:
        words.append("--loop")
    if config.frames is None:
        recorded_s = (config.seconds or SECONDS) * config.rate + 1.0
        pairs = math.ceil(recorded_s * max(config.fps, NOMINAL_FPS))
        pair_bytes = sum(width * height * BYTES_PER_PIXEL[stream] for stream, (width, height) in sizes.items())
        words += ["--duration", f"{recorded_s}"]
        if pairs * pair_bytes <= PREPARED_BYTES:
            # All rendered or decoded before the stream begins, so that both processor cores are the node's.
            words += ["--ahead", f"{2 * pairs}"]
    return words


def _own_sizes(source: CameraSource) -> dict[str, Size]:
    """Return the size that each stream's images are to have where none is asked for.

    Raises :class:`SourceError` where the source lacks a stream.
    """
    sizes = _first_sizes(source)
    if isinstance(source, SimulatedSource):
        return sizes
    for stream, (width, height) in sizes.items():
        widest = WIDEST[stream]
        if width > widest:
            sizes[stream] = widest, max(1, round(height * widest / width))
            print(
                f"The {stream} images of {width}x{height} are reduced to {widest}x{sizes[stream][1]}; --size brings "
                "both images to another size."
            )
    return sizes


def _first_sizes(source: CameraSource) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for stream, frame in source.events():
        height, width = frame.image.shape[:2]
        sizes.setdefault(stream, (width, height))
        if len(sizes) == 2:
            return sizes
    lacking = " and ".join(stream for stream in (THERMAL, VISIBLE) if stream not in sizes)
    raise SourceError(f"{source.name}: has no {lacking} images; the demo needs both")


def _look_for_a_pair(source: CameraSource) -> None:
    """Raise :class:`SourceError` where the node would pair nothing of the source, before it is waited for in vain."""
    watch = StreamWatch()
    if next(matches(source, watch=watch), None) is None:
        raise watch.error(source, PairingConfig().slop, OPTIONS)


def _thermal_config(source: CameraSource) -> ThermalConfig:
    """Return the range of the truth for the simulator, so that fused images can be measured against it."""
    if not isinstance(source, SimulatedSource):
        return ThermalConfig()
    low, high = source.simulator.thermal_range
    return ThermalConfig(range_low=low, range_high=high)
