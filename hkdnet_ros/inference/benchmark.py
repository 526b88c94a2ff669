"""``hkdnet benchmark``: what a frame costs on this machine, format by format."""

from __future__ import annotations

import argparse
import time

import numpy as np
from tqdm import tqdm

from ..errors import ConfigError
from ..network.presets import SCALES
from .config import EngineConfig
from .device import choose_device, has_bf16
from .engine_api import load_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet benchmark``."""
    default = EngineConfig()
    parser.add_argument("--model", default=default.model, metavar="PRESET|FILE", help="preset or .safetensors file")
    parser.add_argument("--scale", type=int, choices=SCALES, default=default.scale, help="output size over input size")
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=default.threads, help="CPU threads; 0: one per core")
    parser.add_argument("--size", default="320x240", metavar="WxH", help="input size")
    parser.add_argument("--frames", type=int, default=30, help="measured frames for each format")


def run(arguments: argparse.Namespace) -> int:
    """Time every format in turn, frame by frame, so that a change of the machine's speed meets all alike."""
    width, cross, height = arguments.size.partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise ConfigError(f"--size {arguments.size}: expected WIDTHxHEIGHT, such as 320x240")
    if arguments.frames < 1:
        raise ConfigError(f"--frames is {arguments.frames}; it must be 1 or more")
    device = choose_device(arguments.device)
    formats = ["fp32"] + ["bf16"] * has_bf16(device) + ["fp16"] * (device.type == "cuda")
    engines = {}
    for name in formats:
        engines[name] = load_engine(
            EngineConfig(
                model=arguments.model, scale=arguments.scale, device=str(device), precision=name,
                threads=arguments.threads,
            )
        )  # fmt: skip
        engines[name].warm_up(int(height), int(width))
    random = np.random.default_rng(0)
    thermal, visible = random.random((2, int(height), int(width)), dtype=np.float32)
    times: dict[str, list[float]] = {name: [] for name in formats}
    for _ in tqdm(range(arguments.frames), desc="benchmark", unit="round"):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.fuse(thermal, visible)
            times[name].append((time.perf_counter() - began) * 1e3)
    print(
        f"{arguments.model} x{arguments.scale}, {arguments.size} on {device}, {arguments.frames} frames, ms per frame"
    )
    baseline = float(np.median(times["fp32"]))
    for name in formats:
        p50, p95 = np.percentile(times[name], (50, 95))
        print(f"  {name}  p50 {p50:7.1f}  p95 {p95:7.1f}  {baseline / p50:5.2f} x fp32's speed")
    return 0
