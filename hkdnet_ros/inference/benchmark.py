"""What a frame costs on this machine, format by format."""

from __future__ import annotations

import time

import numpy as np
from tqdm import tqdm

from ..errors import ConfigError
from .config import EngineConfig
from .device import choose_device, has_bf16
from .engine_api import load_engine


def time_formats(
    model: str, scale: int, size: tuple[int, int], *, device: str = "auto", threads: int = 0, frames: int = 30
) -> tuple[str, dict[str, list[float]]]:
    """Fuse ``frames`` pairs of ``size`` (width, height) in every format; return the device and by format the times, ms.

    Frame by frame in turn, so that a change of the machine's speed meets all formats alike. Raises
    :class:`ConfigError` for less than one frame, and as the engine does.
    """
    if frames < 1:
        raise ConfigError(f"--frames is {frames}; it must be 1 or more")
    width, height = size
    place = choose_device(device)
    formats = ["fp32"] + ["bf16"] * has_bf16(place) + ["fp16"] * (place.type == "cuda")
    engines = {}
    for name in formats:
        engines[name] = load_engine(
            EngineConfig(model=model, scale=scale, device=str(place), precision=name, threads=threads)
        )
        engines[name].warm_up(height, width)
    random = np.random.default_rng(0)
    thermal, visible = random.random((2, height, width), dtype=np.float32)
    times: dict[str, list[float]] = {name: [] for name in formats}
    for _ in tqdm(range(frames), desc="benchmark", unit="round"):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.fuse(thermal, visible)
            times[name].append((time.perf_counter() - began) * 1e3)
    return str(place), times
