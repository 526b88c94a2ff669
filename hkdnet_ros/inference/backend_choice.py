"""Back end ``auto``: whichever of those installed is faster here, measured once and remembered."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import written_whole
from .cache import cache_folder, fingerprint
from .checkpoint import weights_path
from .config import CPU, EngineConfig
from .device import choose_device
from .engine import Engine
from .processor import processor_name

TRIAL = (240, 320)
"""Height and width of the visible image that the candidates are timed with."""

ROUNDS = 6


def choose_backend(load: Callable[[EngineConfig], Engine], config: EngineConfig, candidates: Sequence[str]) -> Engine:
    """Return the engine of the fastest back end for ``config``, whose back end is ``auto``.

    That is the one that ``$HKDNET_ROS_BACKEND`` names, where it is set; the first candidate on CUDA, and where one
    alone is installed. On the CPU each of them fuses in turn, and the fastest is remembered for this processor, these
    versions and these weights, in :func:`cache_file`. Raises what ``load`` does.
    """
    if name := os.environ.get("HKDNET_ROS_BACKEND"):
        return load(dataclasses.replace(config, backend=name))
    installed = [name for name in candidates if importlib.util.find_spec(name) is not None] or list(candidates[:1])
    if len(installed) == 1 or choose_device(config.device).type != CPU:
        return load(dataclasses.replace(config, backend=installed[0]))
    known = _read_cache().get(_key(config, installed), {}).get("backend")
    if known in installed:
        return load(dataclasses.replace(config, backend=known))
    engines = {name: load(dataclasses.replace(config, backend=name)) for name in installed}
    times = _time(engines)
    best = min(times, key=times.__getitem__)
    for name, engine in engines.items():
        if name != best:
            engine.close()
    remember(config, installed, {"backend": best, "ms": {name: round(spent, 2) for name, spent in times.items()}})
    return engines[best]


def cache_file() -> Path:
    """Return the file of what was measured on this machine."""
    return cache_folder() / "backends.json"


def remember(config: EngineConfig, installed: Sequence[str], found: Mapping[str, Any]) -> None:
    """Keep that ``found["backend"]`` is the fastest of ``installed`` for ``config``.

    Where nothing can be written, it is measured again next time.
    """
    path = cache_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_text(json.dumps({**_read_cache(), _key(config, installed): dict(found)}, indent=1))


def _time(engines: Mapping[str, Engine]) -> dict[str, float]:
    """Return each engine's median time for a frame in ms; frame by frame in turn, so that load meets all alike."""
    visible: NDArray[Any] = np.full(TRIAL, 0.5, np.float32)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.warm_up(*TRIAL)
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            thermal = np.full(engine.sizes.thermal_for(engine.sizes.output_for(TRIAL)), 0.25, np.float32)
            begun = time.perf_counter()
            engine.fuse(thermal, visible)
            times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: float(np.median(spent)) for name, spent in times.items()}


def _key(config: EngineConfig, installed: Sequence[str]) -> str:
    """Return what a measurement holds for: processor, versions, weights, threads and the format asked for."""
    path = weights_path(config.model, config.scale)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in installed]
    cores = len(os.sched_getaffinity(0))
    facts = [processor_name(), f"{cores} cores", *versions, f"{path.stem} {fingerprint(path)}"]
    return ", ".join([*facts, f"x{config.scale}", f"threads {config.threads}", config.precision])


def _read_cache() -> dict[str, Any]:
    """Return what is remembered; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(cache_file().read_text())
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if isinstance(value, dict)}
    return {}
