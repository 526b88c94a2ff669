"""``hkdnet benchmark``: what a frame costs on this machine, format by format."""

from __future__ import annotations

import argparse

import numpy as np

from ..arguments import add_options, parse_size, read_options
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
    parser.add_argument("--frames", type=int, default=30, help="measured frames for each format")


def run(arguments: argparse.Namespace) -> int:
    """Time every format and print a line for each."""
    from ..inference.benchmark import time_formats  # here, so that the help does not wait for torch

    config = read_options(arguments, EngineConfig)
    thermal_size = getattr(arguments, "thermal_size", None)
    found = time_formats(config, arguments.size, thermal_size=thermal_size, frames=arguments.frames)
    thermal, visible, output = ("{}x{}".format(*size) for size in (found.thermal, found.visible, found.output))
    print(
        f"{found.model}, thermal {thermal} and visible {visible} to {output} on {found.device}, {arguments.frames} "
        "frames, ms per frame"
    )
    baseline = float(np.median(found.times["fp32"]))
    for name, spent in found.times.items():
        p50, p95 = np.percentile(spent, (50, 95))
        print(f"  {name}  p50 {p50:7.1f}  p95 {p95:7.1f}  {baseline / p50:5.2f} x fp32's speed")
    return 0
