"""Methods to compare: the baselines, models and the teacher."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..images.resampling import resample
from ..inference.config import EngineConfig
from ..inference.engine_api import Engine, load_engine, runs_on
from ..inference.sizes import Sizes
from .baselines import Method, baselines
from .resampling import enlarge_bicubic, reduce_bilinear


def open_methods(
    sizes: Sizes, models: Sequence[EngineConfig], stack: contextlib.ExitStack
) -> tuple[dict[str, Method], dict[str, str]]:
    """Return the baselines and the models by name, and of each model what it runs on.

    All take and give images of ``sizes``, in which thermal is as large as visible or smaller. A model that takes the
    visible image at the output's size gets both images brought to what it takes, as the node brings them. Any other
    gets the visible image reduced to thermal's size, as the published comparisons reduce; what it leaves below the
    output's size is enlarged bicubically. Models are closed by ``stack``. Raises :class:`ConfigError` and
    :class:`CheckpointError` as the engine does, and for two models of one name and one that would enlarge too much.
    """
    methods, facts = baselines(sizes), {}
    for engine in _open_engines(sizes, models, stack):
        name = f"hkdnet({engine.model_name})"
        if name in methods:
            raise ConfigError(f"two models are called {engine.model_name}; evaluate one at a time")
        if engine.sizes.visible > 1 and engine.scale > sizes.thermal:
            raise ConfigError(f"{engine.model_name} enlarges by {engine.scale}; thermal is reduced by {sizes.thermal}")
        methods[name] = _guided(engine, sizes) if engine.sizes.visible == 1 else _on_one_grid(engine, sizes)
        facts[name] = ", ".join((runs_on(engine), *_adapted(engine.sizes, sizes)))
    return methods, facts


def _open_engines(sizes: Sizes, models: Sequence[EngineConfig], stack: contextlib.ExitStack) -> list[Engine]:
    engines = []
    for model in models:
        engine = load_engine(model)
        stack.callback(engine.close)
        # For images of usual size that differ as the inputs do: reduced by ``thermal`` and by ``visible``.
        engines.append(engine.choose((100 * sizes.visible,) * 2, (100 * sizes.thermal,) * 2))
    return engines


def _guided(engine: Engine, sizes: Sizes) -> Method:
    def fuse(thermal: NDArray[np.uint8], visible: NDArray[np.uint8]) -> NDArray[np.float32]:
        output = sizes.output_for(visible.shape)
        thermal_taken = _brought(thermal, engine.sizes.thermal_for(output))
        fused: NDArray[np.float32] = engine.fuse(thermal_taken, _brought(visible, output)) * np.float32(255)
        return fused

    return fuse


def _on_one_grid(engine: Engine, sizes: Sizes) -> Method:
    def fuse(thermal: NDArray[np.uint8], visible: NDArray[np.uint8]) -> NDArray[np.float32]:
        if visible.shape != thermal.shape:
            visible = reduce_bilinear(visible, sizes.thermal // sizes.visible)
        fused: NDArray[np.float32] = engine.fuse(thermal, visible) * np.float32(255)
        left = sizes.thermal // engine.scale
        return enlarge_bicubic(fused, left) if left > 1 else fused

    return fuse


def _brought(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[Any]:
    """Return the image at another size as the node resamples, in floating point; itself where it has the size."""
    if image.shape == shape:
        return image
    height, width = shape
    return resample(np.divide(image, np.float32(255), dtype=np.float32), width, height)


def _adapted(taken: Sizes, given: Sizes) -> Iterator[str]:
    """Yield what is done to the images of ``given`` sizes around a model of the sizes ``taken``."""
    if taken.visible == 1:
        if given.visible > 1:
            yield f"visible enlarged by {given.visible} before"
        return
    if given.visible < given.thermal:
        yield f"visible reduced by {given.thermal // given.visible} before"
    if taken.thermal < given.thermal:
        yield f"output enlarged by {given.thermal // taken.thermal} after"


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
