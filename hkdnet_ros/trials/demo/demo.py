"""``hkdnet demo``: the fusion node at work on a recording or the simulator, as pictures, a video and figures."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from ...arguments import parse_size
from ...errors import ConfigError, MissingDependencyError, SourceError
from ...images.frames import THERMAL, VISIBLE
from ...inference.config import EngineConfig
from ...perception.thermal import ThermalConfig
from ...sources.camera_source import NOMINAL_FPS, CameraSource
from ...sources.opening import FORMS, open_source
from ...sources.simulated import SimulatedSource
from ..children import keep_to_this_machine, termination_interrupts
from .files import FRAMES, OVERVIEW, VIDEO, DemoFiles

SECONDS = 20.0
FPS = 15.0  # more than two processor cores fuse, so that the node always has a pair to work on
SIMULATOR = "simulator:night"  # of its settings the one in which a thermal camera is needed most
PREPARED_BYTES, BYTES_PER_PIXEL = 512 << 20, 2.5  # mono16 and bgr8 in turn
WIDEST = 320  # of a recording, unless --size says otherwise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet demo``."""
    default = EngineConfig()
    parser.add_argument("--source", default="simulator", help=f"{FORMS}; the simulator alone stands for {SIMULATOR}")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="FOLDER", help="where the results go")
    parser.add_argument(
        "--seconds", type=float, default=argparse.SUPPRESS,
        help=f"length of the stream, a recording looped; if not given, {SECONDS:g} or a shorter recording once",
    )  # fmt: skip
    parser.add_argument(
        "--frames", type=int, default=argparse.SUPPRESS, help="end after that many fused images, a recording looped"
    )
    parser.add_argument("--rate", type=float, default=1.0, metavar="FACTOR", help="speed, 1 as recorded")
    parser.add_argument(
        "--fps", type=float, default=FPS, metavar="HZ", help="frame rate of the simulator and of image folders"
    )
    parser.add_argument(
        "--size", type=parse_size, default=argparse.SUPPRESS, metavar="WxH",
        help=f"bring both images to this size; if not given, the thermal image's, at most {WIDEST} wide",
    )  # fmt: skip
    parser.add_argument("--model", default=default.model, metavar="PRESET|FILE", help="preset or .safetensors file")
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default=default.precision, help="auto, fp32, fp16 or bf16")


def run(arguments: argparse.Namespace) -> int:
    """Stream, write what came of it, and say where it is."""
    options = argparse.Namespace(**{"seconds": None, "frames": None, "size": None, **vars(arguments)})
    for name in ("seconds", "frames", "rate", "fps"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name} is {value:g}; it must be more than 0")
    if options.source == "simulator":
        options.source = SIMULATOR
    EngineConfig(model=options.model, device=options.device, precision=options.precision)
    with termination_interrupts():
        files = DemoFiles(options.out)
        print(f"Preparing {options.source} ...")
        source = open_source(options.source, size=options.size, fps=options.fps)
        try:
            _demonstrate(options, source, files)
        finally:
            source.close()
    return 0


def _demonstrate(options: argparse.Namespace, source: CameraSource, files: DemoFiles) -> None:
    keep_to_this_machine()
    try:
        from .results import write_results
        from .stream import StreamSettings, run_stream
    except ImportError as error:
        raise MissingDependencyError(
            f"the demo needs ROS 2 for Python and this package's messages ({error}); run `make demo`, or source a "
            "ROS 2 workspace in which this package is built"
        ) from error
    width, height = _replayed_size(source, options.size)
    thermal = _thermal_config(source)
    settings = StreamSettings(
        replay=(options.source, "--size", f"{width}x{height}", *_pace(options, width * height)),
        parameters={
            "model": options.model, "device": options.device, "precision": options.precision,
            "grid": [width, height], "thermal.range_low": thermal.range_low, "thermal.range_high": thermal.range_high,
        },
        seconds=options.seconds or (0.0 if options.frames else SECONDS),
        frames=options.frames or 0,
    )  # fmt: skip
    files.clear()
    print(f"Starting the fusion node, in ROS domain {os.environ['ROS_DOMAIN_ID']} ...")
    figures = write_results(run_stream(settings, files), thermal, source, files)
    print(
        f"{figures.published} fused images, {figures.thermal_size} to {figures.fused_size}, {figures.fps:.1f} per "
        f"second: {figures.model}, {figures.precision} on {figures.device}.\n"
        f"In {files.folder}:\n"
        f"  {VIDEO:18}thermal, visible and fused\n"
        f"  {OVERVIEW:18}three moments of it\n"
        f"  {FRAMES + '/':18}{figures.kept} fused images\n"
        f"  {'summary.md, .json':18}rates, latencies, memory{', quality' if figures.quality else ''}"
    )


def _pace(options: argparse.Namespace, pixels: int) -> list[str]:
    """Return the replay's options on time."""
    words = ["--fps", f"{options.fps}", "--rate", f"{options.rate}"]
    if options.seconds is not None or options.frames is not None:
        words.append("--loop")
    if options.frames is None:
        recorded_s = (options.seconds or SECONDS) * options.rate + 1.0
        images = math.ceil(2 * recorded_s * max(options.fps, NOMINAL_FPS))
        words += ["--duration", f"{recorded_s}"]
        if images * pixels * BYTES_PER_PIXEL <= PREPARED_BYTES:
            # All rendered or decoded before the stream begins, so that both processor cores are the node's.
            words += ["--ahead", f"{images}"]
    return words


def _replayed_size(source: CameraSource, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Return the (width, height) that both images are to have.

    Raises :class:`SourceError` where the source lacks a stream.
    """
    width, height = wanted or _thermal_size(source)
    if wanted or width <= WIDEST or isinstance(source, SimulatedSource):
        return width, height
    size = WIDEST, max(1, round(height * WIDEST / width))
    print(f"Both images are reduced to {size[0]}x{size[1]}; --size {width}x{height} shows them as recorded.")
    return size


def _thermal_size(source: CameraSource) -> tuple[int, int]:
    sizes: dict[str, tuple[int, ...]] = {}
    for stream, frame in source.events():
        sizes.setdefault(stream, frame.image.shape)
        if len(sizes) == 2:
            return sizes[THERMAL][1], sizes[THERMAL][0]
    lacking = " and ".join(stream for stream in (THERMAL, VISIBLE) if stream not in sizes)
    raise SourceError(f"{source.name}: has no {lacking} images; the demo needs both")


def _thermal_config(source: CameraSource) -> ThermalConfig:
    """Return the range of the truth for the simulator, so that fused images can be measured against it."""
    if not isinstance(source, SimulatedSource):
        return ThermalConfig()
    low, high = source.simulator.thermal_range
    return ThermalConfig(range_low=low, range_high=high)
