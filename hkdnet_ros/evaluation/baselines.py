"""Baselines of fusion with super-resolution: what is below the output's size enlarged bicubically, then a rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..inference.sizes import Sizes
from .resampling import enlarge_bicubic

_Image = NDArray[np.float32]

Method = Callable[[NDArray[np.uint8], NDArray[np.uint8]], _Image]
"""Thermal and visible, gray (h, w) of the sizes that belong together, to the fused image at the output's, 0..255."""


def baselines(sizes: Sizes) -> dict[str, Method]:
    """Return the baselines by name; each image is enlarged by what ``sizes`` says of it, by 1 not at all."""
    rules = {"average": average, "maximum": maximum, "laplacian": laplacian_pyramid}
    return {f"bicubic>{name}": partial(_enlarge_and_fuse, rule=rule, sizes=sizes) for name, rule in rules.items()}


def _enlarge_and_fuse(
    thermal: NDArray[np.uint8],
    visible: NDArray[np.uint8],
    *,
    rule: Callable[[_Image, _Image], _Image],
    sizes: Sizes,
) -> _Image:
    return rule(enlarge_bicubic(thermal, sizes.thermal), enlarge_bicubic(visible, sizes.visible))


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
