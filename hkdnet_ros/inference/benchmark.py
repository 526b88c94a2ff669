"""What a frame costs on this machine, format by format."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..errors import ConfigError
from .auto_engine import model_for
from .config import AUTO, EngineConfig
from .device import choose_device, has_bf16
from .engine_api import load_engine

Size = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True)
class FormatTimes:
    """What was timed: the network and the sizes of its inputs and output, and by format the times in ms."""

    model: str
    device: str
    thermal: Size
    visible: Size
    output: Size
    times: dict[str, list[float]]


def time_formats(
    config: EngineConfig, size: Size, *, thermal_size: Size | None = None, frames: int = 30
) -> FormatTimes:
    """Fuse ``frames`` pairs in every format, of cameras whose visible image has ``size``, the thermal ``thermal_size``.

    Without the latter both have one size. The network gets what the node would give it: both images at thermal's size,
    or visible as it is and thermal at half of it. Model ``auto`` is the network that it would choose.

    Frame by frame in turn, so that a change of the machine's speed meets all formats alike. Raises
    :class:`ConfigError` for less than one frame, and as the engine does.
    """
    if frames < 1:
        raise ConfigError(f"--frames is {frames}; it must be 1 or more")
    thermal_size = thermal_size or size
    place = choose_device(config.device)
    model = model_for(thermal_size, size) if config.model == AUTO else config.model
    config = dataclasses.replace(config, model=model, device=str(place))
    formats = ["fp32"] + ["bf16"] * has_bf16(place) + ["fp16"] * (place.type == "cuda")
    with contextlib.ExitStack() as stack:
        engines = {}
        for name in formats:
            engine = load_engine(dataclasses.replace(config, precision=name))
            engines[name] = stack.enter_context(contextlib.closing(engine))
        first = engines[formats[0]]
        visible_size = size if first.sizes.visible == 1 else thermal_size
        output_size = first.sizes.output_for(visible_size)
        taken_size = first.sizes.thermal_for(output_size)
        random = np.random.default_rng(0)
        thermal, visible = (random.random(taken[::-1], dtype=np.float32) for taken in (taken_size, visible_size))
        times: dict[str, list[float]] = {name: [] for name in formats}
        for engine in engines.values():
            engine.warm_up(*visible.shape)
        for _ in tqdm(range(frames), desc="benchmark", unit="round"):
            for name, engine in engines.items():
                began = time.perf_counter()
                engine.fuse(thermal, visible)
                times[name].append((time.perf_counter() - began) * 1e3)
        return FormatTimes(first.model_name, str(place), taken_size, visible_size, output_size, times)
