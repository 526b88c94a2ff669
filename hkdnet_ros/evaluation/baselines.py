"""Baselines of fusion with super-resolution: both low-resolution images enlarged bicubically, then fused by a rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .resampling import enlarge_bicubic

_Image = NDArray[np.float32]

Method = Callable[[NDArray[np.uint8], NDArray[np.uint8]], _Image]
"""Thermal and visible, gray (h, w), to the fused image (scale * h, scale * w), 0..255."""


def baselines(scale: int) -> dict[str, Method]:
    """Return the baselines by name for enlarging by ``scale``."""
    rules = {"average": average, "maximum": maximum, "laplacian": laplacian_pyramid}
    return {f"bicubic>{name}": partial(_enlarge_and_fuse, rule=rule, scale=scale) for name, rule in rules.items()}


def _enlarge_and_fuse(
    thermal: NDArray[np.uint8],
    visible: NDArray[np.uint8],
    *,
    rule: Callable[[_Image, _Image], _Image],
    scale: int,
) -> _Image:
    return rule(enlarge_bicubic(thermal, scale), enlarge_bicubic(visible, scale))


def average(thermal: _Image, visible: _Image) -> _Image:
    """Return the mean of the two images."""
    mean: _Image = (thermal + visible) * np.float32(0.5)
    return mean


def maximum(thermal: _Image, visible: _Image) -> _Image:
    """Return the brighter of the two images at each pixel."""
    return np.maximum(thermal, visible)


def laplacian_pyramid(thermal: _Image, visible: _Image) -> _Image:
    """Return the fusion by Laplacian pyramid (Burt, Adelson 1983), clipped to 0..255.

    At each of five levels (fewer in small images) the stronger detail of the two is taken, of the rest the mean.
    """
    levels = max(0, min(5, min(thermal.shape).bit_length() - 4))  # the rest keeps 8 pixels or more a side
    details: list[_Image] = []
    for _ in range(levels):
        thermal_rest, visible_rest = cv2.pyrDown(thermal), cv2.pyrDown(visible)
        detail_t = thermal - _expand(thermal_rest, thermal.shape)
        detail_v = visible - _expand(visible_rest, visible.shape)
        details.append(np.where(np.abs(detail_t) > np.abs(detail_v), detail_t, detail_v))
        thermal, visible = thermal_rest.astype(np.float32), visible_rest.astype(np.float32)
    fused = average(thermal, visible)
    for detail in reversed(details):
        fused = _expand(fused, detail.shape) + detail
    return np.clip(fused, 0, 255)


def _expand(image: NDArray[np.integer[Any] | np.floating[Any]], shape: tuple[int, ...]) -> _Image:
    return cv2.pyrUp(image, dstsize=(shape[1], shape[0])).astype(np.float32)
