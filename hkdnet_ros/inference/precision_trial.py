"""Whether a shorter number format than fp32 keeps the picture: tried on one scene, for any back end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from .backend import Backend
from .checked_engine import CheckedEngine
from .config import EngineConfig
from .sizes import Sizes

LEAST_AGREEMENT = 55.0
"""PSNR in dB to fp32 that a faster format must reach for ``precision: auto`` to use it."""


def choose_precision(load: Callable[[EngineConfig], Backend], config: EngineConfig) -> Backend:
    """Return the back end in the precision of ``config``; ``auto`` is the device's fastest that agrees with fp32.

    Raises what ``load`` does, and :class:`ConfigError` for a format asked for by name that overflows.
    """
    fast = load(config)
    if fast.precision == "fp32":
        return fast
    scene = rounding_scene(fast.sizes)
    try:
        picture = CheckedEngine(fast, config.backend).fuse(*scene)
    except ImageError as error:  # fp16 ends at 65504
        fast.close()
        if config.precision != "auto":
            raise ConfigError(
                f"precision {config.precision} overflows in {fast.model_name}; choose auto or fp32"
            ) from error
        return load(dataclasses.replace(config, precision="fp32"))
    if config.precision != "auto":
        return fast
    exact = load(dataclasses.replace(config, precision="fp32"))
    agrees = agreement(CheckedEngine(exact, config.backend).fuse(*scene), picture) >= LEAST_AGREEMENT
    kept, other = (fast, exact) if agrees else (exact, fast)
    other.close()
    return kept


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the PSNR in dB between two images in [0, 1]; infinite where they are equal."""
    error = float(np.square(one - other, dtype=np.float64).mean())
    return 10 * math.log10(1 / error) if error > 0 else math.inf


def rounding_scene(
    sizes: Sizes, side: int = 96, width: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return thermal and visible with what matters to rounding: ramps, edges, fine texture, a hot disc.

    The visible image is ``side`` high and ``width`` wide, without that ``side``; thermal is as ``sizes`` says.
    """
    shape = side, width or side
    y, x = _coordinates(shape)
    texture = 0.1 * np.sin(40 * math.pi * x) * np.sin(28 * math.pi * y)
    visible = np.clip(0.5 * x + 0.3 * (y > 0.4) + texture + 0.1, 0, 1)
    y, x = _coordinates(sizes.thermal_for(sizes.output_for(shape)))
    disc = (x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.03
    thermal = np.clip(0.3 * y + 0.6 * disc + 0.05, 0, 1)
    return thermal.astype(np.float32), visible.astype(np.float32)


def _coordinates(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return y and x of every pixel, from 0 at the first to 1 at the last."""
    height, width = shape
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    return y, x
