"""Methods to compare: the baselines, models and the teacher."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..inference.config import EngineConfig
from ..inference.engine_api import Engine, load_engine
from .baselines import Method, baselines


def open_methods(
    scale: int, models: Sequence[EngineConfig], stack: contextlib.ExitStack
) -> tuple[dict[str, Method], dict[str, str]]:
    """Return the baselines and the models by name, and of each model what it runs on.

    All enlarge by ``scale``, the models too. They are closed by ``stack``. Raises :class:`ConfigError` and
    :class:`CheckpointError` as the engine does, and for two models of one name.
    """
    methods, facts = baselines(scale), {}
    for engine in _open_engines(models, stack):
        name = f"hkdnet({engine.model_name})"
        if name in methods:
            raise ConfigError(f"two models are called {engine.model_name}; evaluate one at a time")
        methods[name] = _method(engine)
        facts[name] = f"{engine.precision} on {engine.device}"
    return methods, facts


def _open_engines(models: Sequence[EngineConfig], stack: contextlib.ExitStack) -> list[Engine]:
    engines = []
    for model in models:
        engine = load_engine(model)
        stack.callback(engine.close)
        engines.append(engine)
    return engines


def _method(engine: Engine) -> Method:
    def fuse(thermal: NDArray[np.uint8], visible: NDArray[np.uint8]) -> NDArray[np.float32]:
        fused: NDArray[np.float32] = engine.fuse(thermal, visible) * np.float32(255)
        return fused

    return fuse


def open_teacher(path: Path, device: str) -> Method:
    """Return the fusion by the teacher in ``path``, in fp32: takes a pair at full size and enlarges nothing.

    ``device`` is as for the engine. Raises :class:`CheckpointError` for weights that are not a teacher's.
    """
    import torch

    from ..inference.checkpoint import load_teacher
    from ..inference.compute_thread import compute
    from ..inference.device import choose_device

    place = choose_device(device)
    teacher = compute(lambda: load_teacher(path)[0].to(place))

    @torch.inference_mode()
    def forward(thermal: NDArray[np.uint8], visible: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = (torch.tensor(image, device=place)[None, None] / 255 for image in (thermal, visible))
        fused: NDArray[np.float32] = (teacher(*images).fused[0, 0].clamp(0, 1) * 255).cpu().numpy()
        return fused

    return lambda thermal, visible: compute(forward, thermal, visible)
