"""``hkdnet demo``: the fusion node at work on a recording or the simulator, as pictures, a video and figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..images.frames import THERMAL, VISIBLE
from ..inference.config import EngineConfig
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC
from ..trials.demo.demo import FPS, SECONDS, SIMULATOR, WIDEST, DemoConfig, demonstrate
from ..trials.demo.files import FRAMES, OVERVIEW, VIDEO


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet demo``."""
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
        help="bring both images to this size; if not given, each keeps its own, in a recording at most "
        f"{WIDEST[THERMAL]} (thermal) and {WIDEST[VISIBLE]} (visible) wide",
    )  # fmt: skip
    parser.add_argument("--thermal-topic", default=THERMAL_TOPIC, metavar="TOPIC", help="thermal images of a bag")
    parser.add_argument("--visible-topic", default=VISIBLE_TOPIC, metavar="TOPIC", help="visible images of a bag")
    add_options(parser, EngineConfig, skip=("scale", "threads"), metavars={"model": "PRESET|FILE"})


def run(arguments: argparse.Namespace) -> int:
    """Stream, write what came of it, and say where it is."""
    source = SIMULATOR if arguments.source == "simulator" else arguments.source
    config = read_options(arguments, DemoConfig, source=source, engine=read_options(arguments, EngineConfig))
    figures = demonstrate(config, arguments.out)
    print(
        f"{figures.published} fused images, thermal {figures.thermal_size} and visible {figures.visible_size} to "
        f"{figures.fused_size}, {figures.fps:.1f} per second: {figures.model}, {figures.precision} on "
        f"{figures.device}.\n"
        f"In {arguments.out}:\n"
        f"  {VIDEO:18}thermal, visible and fused\n"
        f"  {OVERVIEW:18}three moments of it\n"
        f"  {FRAMES + '/':18}{figures.kept} fused images\n"
        f"  {'summary.md, .json':18}rates, latencies, memory{', quality' if figures.quality else ''}"
    )
    return 0
