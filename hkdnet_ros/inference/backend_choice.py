"""Back end ``auto``: whichever of those installed is faster here, measured once and remembered."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import HkdnetError
from ..files import written_whole
from .cache import cache_folder, fingerprint
from .checkpoint import weights_path
from .config import AUTO, CHOSEN, CPU, EngineConfig
from .device import choose_device
from .engine import Engine
from .processor import processor_name

_log = logging.getLogger(__name__)

TRIAL = (240, 320)
"""Height and width of the visible image that the candidates are timed with."""

ROUNDS = 6


def choose_backend(
    load: Callable[[EngineConfig], Engine],
    config: EngineConfig,
    candidates: Sequence[str],
    cuda_candidates: Sequence[str] = ("torch",),
) -> Engine:
    """Return the engine of the fastest back end for ``config``, whose back end is ``auto``.

    That is the one that ``$HKDNET_ROS_BACKEND`` names, where it names one, and the one that is installed where that is
    one alone. Else each of them fuses in turn, on the CPU or on CUDA, and the fastest is remembered for this device,
    these versions and these weights, in :func:`cache_file`. One that cannot be had is left out with a warning, but for
    the first, of which this raises what ``load`` does.
    """
    if (name := os.environ.get(CHOSEN, AUTO)) not in ("", AUTO):
        return load(dataclasses.replace(config, backend=name))
    device = choose_device(config.device)
    possible = candidates if device.type == CPU else cuda_candidates
    installed = [name for name in possible if can_be_imported(name)] or list(possible[:1])
    if len(installed) == 1:
        return load(dataclasses.replace(config, backend=installed[0]))
    key = _key(config, device, installed)
    known = _read_cache().get(key, {}).get("backend")
    if known in installed:
        return load(dataclasses.replace(config, backend=known))
    engines = _load_all(load, config, installed)
    times = _time(engines)
    best = min(times, key=times.__getitem__)
    for name, engine in engines.items():
        if name != best:
            engine.close()
    remember(key, {"backend": best, "ms": {name: round(spent, 2) for name, spent in times.items()}})
    return engines[best]


def cache_file() -> Path:
    """Return the file of what was measured on this machine."""
    return cache_folder() / "backends.json"


def remember(key: str, found: Mapping[str, Any]) -> None:
    """Keep that ``found["backend"]`` is the fastest for what ``key`` says.

    Where nothing can be written, it is measured again next time.
    """
    path = cache_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_text(json.dumps({**_read_cache(), key: dict(found)}, indent=1))


def can_be_imported(name: str) -> bool:
    """Tell whether a package is there and whole: TensorRT's may be there without its libraries."""
    if importlib.util.find_spec(name) is None:
        return False
    if name != "tensorrt":  # else it is imported when it is loaded
        return True
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _load_all(
    load: Callable[[EngineConfig], Engine], config: EngineConfig, installed: Sequence[str]
) -> dict[str, Engine]:
    """Return an engine for each back end that can be had for ``config``, warmed up for the trial."""
    engines: dict[str, Engine] = {}
    for name in installed:
        try:
            engines[name] = load(dataclasses.replace(config, backend=name))
            engines[name].warm_up(*TRIAL)
        except HkdnetError as error:
            if name == installed[0]:
                raise
            if engine := engines.pop(name, None):
                engine.close()
            _log.warning("back end %s is left out: %s", name, error)
    return engines


def _time(engines: Mapping[str, Engine]) -> dict[str, float]:
    """Return each engine's median time for a frame in ms; frame by frame in turn, so that load meets all alike."""
    visible: NDArray[Any] = np.full(TRIAL, 0.5, np.float32)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            thermal = np.full(engine.sizes.thermal_for(engine.sizes.output_for(TRIAL)), 0.25, np.float32)
            begun = time.perf_counter()
            engine.fuse(thermal, visible)
            times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: float(np.median(spent)) for name, spent in times.items()}


def _key(config: EngineConfig, device: torch.device, installed: Sequence[str]) -> str:
    """Return what a measurement holds for: device, versions, weights, threads and the format asked for."""
    path = weights_path(config.model, config.scale)
    versions = [f"{name} {_version(name)}" for name in installed]
    where = [processor_name(), f"{len(os.sched_getaffinity(0))} cores"]
    if device.type != CPU:
        where.append(torch.cuda.get_device_name(device))
    facts = [*where, *versions, f"{path.stem} {fingerprint(path)}"]
    return ", ".join([*facts, f"x{config.scale}", f"threads {config.threads}", config.precision])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # as that of JetPack's packages may be
        return str(getattr(importlib.import_module(package), "__version__", "unknown"))


def _read_cache() -> dict[str, Any]:
    """Return what is remembered; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(cache_file().read_text())
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if isinstance(value, dict)}
    return {}
