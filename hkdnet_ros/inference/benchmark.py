"""What a frame costs on this machine: back end by back end, format by format, beside what else one could do."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import ConfigError
from .auto_engine import model_for
from .backend_choice import can_be_imported
from .checkpoint import weights_path
from .compute_thread import compute
from .config import AUTO, CPU, EngineConfig
from .device import choose_device, has_bf16
from .engine_api import CANDIDATES, CUDA_CANDIDATES, Engine, load_engine
from .torch_backend import load_fusing

Size = tuple[int, int]  # width, height
Way = Callable[[NDArray[Any], NDArray[Any]], Any]

EAGER = "torch eager fp32"
"""The network called as torch calls any: what all else is compared with."""
BICUBIC = "bicubic upscaling"
"""OpenCV's, of the thermal image to the output's size."""
PAPER = "paper"
"""The preset of the paper's size, x2, with the thermal image on one half of the output's size."""

_PAPER_EVERY = 10  # rounds: it takes as long as a hundred others

SWEEP: Sequence[Size] = ((80, 60), (160, 120), (320, 240), (640, 480), (1280, 1024))
"""Sizes of the visible image by which :func:`cost_by_size` goes."""


@dataclass(frozen=True, slots=True)
class WayTimes:
    """What was timed: the network, the sizes of its inputs and output, and by way the times in ms."""

    model: str
    device: str
    thermal: Size
    visible: Size
    output: Size
    times: Mapping[str, Sequence[float]]

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Return p50 and p95 by way, in ms."""
        found = {}
        for name, spent in self.times.items():
            p50, p95 = np.percentile(spent, (50, 95))
            found[name] = (float(p50), float(p95))
        return found


def time_ways(
    config: EngineConfig, size: Size, *, thermal_size: Size | None = None, frames: int = 30, paper: bool = False
) -> WayTimes:
    """Fuse ``frames`` pairs in every way, of cameras whose visible image has ``size``, the thermal ``thermal_size``.

    Without the latter both have one size. The network gets what the node would give it: both images at thermal's size,
    or visible as it is and thermal at half of it. Model ``auto`` is the network that it would choose. The ways are
    EAGER, each back end that is installed in each of its formats, BICUBIC and, with ``paper``, PAPER.

    Frame by frame in turn, so that a change of the machine's speed meets all alike. Raises :class:`ConfigError` for
    less than one frame, and as the engine does.
    """
    if frames < 1:
        raise ConfigError(f"--frames is {frames}; it must be 1 or more")
    if config.backend == "onnxruntime":
        raise ConfigError(
            "backend onnxruntime runs exported files, which torch cannot run beside it to compare with; choose another"
        )
    thermal_size = thermal_size or size
    place = choose_device(config.device)
    model = model_for(thermal_size, size) if config.model == AUTO else config.model
    config = dataclasses.replace(config, model=model, device=str(place))
    with contextlib.ExitStack() as stack:
        engines = _open_engines(config, place, stack)
        first = next(iter(engines.values()))
        visible_size = size if first.sizes.visible == 1 else thermal_size
        output_size = first.sizes.output_for(visible_size)
        taken_size = first.sizes.thermal_for(output_size)
        random = np.random.default_rng(0)
        thermal, visible = (random.random(taken[::-1], dtype=np.float32) for taken in (taken_size, visible_size))
        for engine in engines.values():
            engine.warm_up(*visible.shape)
        ways: dict[str, Way] = {EAGER: _eager(config, place)}
        ways |= {name: engine.fuse for name, engine in engines.items()}
        ways[BICUBIC] = lambda thermal, visible: cv2.resize(thermal, output_size, interpolation=cv2.INTER_CUBIC)
        if paper:
            ways[PAPER] = _paper(config, output_size, stack)
        times = _in_turn(ways, thermal, visible, frames)
        return WayTimes(first.model_name, str(place), taken_size, visible_size, output_size, times)


def cost_by_size(config: EngineConfig, *, frames: int = 10) -> tuple[Mapping[Size, float], float]:
    """Return the median time in ms by size of the visible image, of SWEEP, and the exponent of pixels that fits it.

    Thermal has half of visible's size. The times of the ends would be equal per pixel at an exponent of 1.
    """
    times: dict[Size, float] = {}
    for size in SWEEP:
        thermal = (size[0] // 2, size[1] // 2)
        model = model_for(thermal, size) if config.model == AUTO else config.model
        with contextlib.closing(load_engine(dataclasses.replace(config, model=model))) as engine:
            visible_size = size if engine.sizes.visible == 1 else thermal
            taken = engine.sizes.thermal_for(engine.sizes.output_for(visible_size))
            random = np.random.default_rng(0)
            pair = [random.random(each[::-1], dtype=np.float32) for each in (taken, visible_size)]
            engine.warm_up(*pair[1].shape)
            (spent,) = _in_turn({"": engine.fuse}, pair[0], pair[1], frames).values()
            times[size] = float(np.median(spent))
    pixels = [width * height for width, height in times]
    exponent, _ = np.polyfit(np.log(pixels), np.log(list(times.values())), 1)
    return times, float(exponent)


def _in_turn(
    ways: Mapping[str, Way], thermal: NDArray[Any], visible: NDArray[Any], frames: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    with tqdm(range(frames), desc="benchmark", unit="round") as bar:
        for index in bar:
            for name, way in ways.items():
                if name == PAPER and index % _PAPER_EVERY:
                    continue
                began = time.perf_counter()
                way(thermal, visible)
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def _open_engines(config: EngineConfig, place: torch.device, stack: contextlib.ExitStack) -> dict[str, Engine]:
    """Return an engine for each back end, the one asked for or all that are installed, in each format."""
    possible = CANDIDATES if place.type == CPU else CUDA_CANDIDATES
    names = [name for name in possible if can_be_imported(name)] if config.backend == AUTO else [config.backend]
    formats = ["fp32"] + ["bf16"] * has_bf16(place) + ["fp16"] * (place.type == "cuda")
    engines = {}
    for backend in names:
        for precision in formats:
            if (backend, precision) == ("tensorrt", "bf16"):
                continue  # which it does not compute in
            engine = load_engine(dataclasses.replace(config, backend=backend, precision=precision))
            engines[f"{backend} {precision}"] = stack.enter_context(contextlib.closing(engine))
    return engines


def _eager(config: EngineConfig, place: torch.device) -> Way:
    network = load_fusing(weights_path(config.model, config.scale), config.scale).eval().to(place)

    @torch.inference_mode()
    def run(thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[Any]:
        inputs = [torch.from_numpy(image)[None, None].to(place) for image in (thermal, visible)]
        return network(*inputs).fused.clamp(0, 1).cpu().numpy()

    return lambda thermal, visible: compute(run, thermal, visible)


def _paper(config: EngineConfig, output: Size, stack: contextlib.ExitStack) -> Way:
    paper = dataclasses.replace(config, model="paper", scale=2, backend="torch", precision="auto")
    engine = stack.enter_context(contextlib.closing(load_engine(paper)))
    halves = [np.full((output[1] // 2, output[0] // 2), 0.5, np.float32)] * 2
    return lambda thermal, visible: engine.fuse(*halves)
