"""``hkdnet benchmark``: what a frame costs on this machine, format by format."""

from __future__ import annotations

import argparse

import numpy as np

from ..arguments import add_options, parse_size, read_options
from ..inference.config import EngineConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet benchmark``."""
    add_options(parser, EngineConfig, skip=("precision",), metavars={"model": "PRESET|FILE"})
    parser.add_argument("--size", type=parse_size, default="320x240", metavar="WxH", help="input size")
    parser.add_argument("--frames", type=int, default=30, help="measured frames for each format")


def run(arguments: argparse.Namespace) -> int:
    """Time every format and print a line for each."""
    from ..inference.benchmark import time_formats  # here, so that the help does not wait for torch

    config = read_options(arguments, EngineConfig)
    device, times = time_formats(
        config.model, config.scale, arguments.size, device=config.device, threads=config.threads,
        frames=arguments.frames,
    )  # fmt: skip
    size = "{}x{}".format(*arguments.size)
    print(f"{config.model} x{config.scale}, {size} on {device}, {arguments.frames} frames, ms per frame")
    baseline = float(np.median(times["fp32"]))
    for name, spent in times.items():
        p50, p95 = np.percentile(spent, (50, 95))
        print(f"  {name}  p50 {p50:7.1f}  p95 {p95:7.1f}  {baseline / p50:5.2f} x fp32's speed")
    return 0
