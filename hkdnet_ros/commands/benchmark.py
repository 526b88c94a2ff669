"""``hkdnet benchmark``: what a frame costs on this machine, beside what else one could do."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..files import make_folder
from ..inference.config import EngineConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet benchmark``."""
    add_options(parser, EngineConfig, skip=("precision",), metavars={"model": "PRESET|FILE"})
    parser.add_argument(
        "--size", type=parse_size, default="320x240", metavar="WxH",
        help="size of both camera images, or of the visible one where --thermal-size is given",
    )  # fmt: skip
    parser.add_argument(
        "--thermal-size", type=parse_size, default=argparse.SUPPRESS, metavar="WxH", help="size of the thermal image"
    )
    parser.add_argument("--frames", type=int, default=30, help="measured frames for each way")
    parser.add_argument("--by-size", action="store_true", help="also the cost of a frame from 80x60 to 1280x1024")
    parser.add_argument(
        "--node", action="store_true",
        help="also the whole node over DDS: the highest rate it sustains, and 10, 30 and 60 pairs a second (minutes)",
    )  # fmt: skip
    parser.add_argument(
        "--load", nargs="+", choices=("spin", "torch"), default=[],
        help="also beside each of these: a busy Python process, or a torch program of as many threads as cores",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=argparse.SUPPRESS, metavar="DIR",
        help="write the figures to this folder: benchmark.html with plots, benchmark.md as printed, benchmark.json",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables and write what was asked for."""
    from ..trials.benchmark.benchmark import BenchmarkConfig, measure, write  # here: the help does not wait for torch
    from ..trials.benchmark.report import markdown

    config = BenchmarkConfig(
        size=arguments.size,
        thermal_size=getattr(arguments, "thermal_size", arguments.size),
        frames=arguments.frames,
        by_size=arguments.by_size,
        node=arguments.node,
        loads=arguments.load,
        engine=read_options(arguments, EngineConfig),
    )
    if "out" in arguments:
        make_folder(arguments.out)  # before minutes of measuring
    figures = measure(config)
    print(markdown(figures), end="")
    if "out" in arguments:
        write(figures, arguments.out)
    return 0
