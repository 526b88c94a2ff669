"""A pair as its cameras send it, for an engine that does on its device what else is done to images before and after.

Without torch, for the core makes these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry.lookup import LookupTable, Size

THERMAL_TYPES = ("uint8", "uint16", "float32")
VISIBLE_ENCODINGS = ("mono8", "8UC1", "bgr8", "rgb8", "bgra8", "rgba8")


@dataclass(frozen=True, slots=True)
class PairPlan:
    """All of a pair that stays from frame to frame, by which a device is prepared; sizes are (width, height).

    The output has the visible camera's view.
    """

    thermal_size: Size
    thermal_type: str
    """One of :data:`THERMAL_TYPES`."""
    visible_shape: tuple[int, ...]
    """(H, W) or (H, W, C)."""
    encoding: str
    """One of :data:`VISIBLE_ENCODINGS`."""
    window: tuple[int, int, int, int]
    """The part of the visible image that is shown: left, top, width, height."""
    table: LookupTable | None
    """Brings thermal to ``thermal_input``; None where that takes another size alone."""
    shown: Size
    """What the window is brought to first; chroma is taken from there."""
    thermal_input: Size
    """The size at which the network takes thermal."""
    visible_input: Size
    """The size at which the network takes the visible luma."""
    output: Size
    is_color: bool
    """Whether the output has the visible image's colour."""
    is_filled: bool
    """Whether the visible image is shown where the thermal camera sees nothing, by ``weights``."""
    weights: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None] = field(default=(None, None), compare=False)
    """How far both cameras see, in [0, 1], at the size of ``thermal_input`` and of ``output``: follows from table."""


@dataclass(frozen=True, slots=True)
class RawPair:
    """The images of one moment, and what is made of this one's values."""

    plan: PairPlan
    thermal: NDArray[Any]
    """(H, W), gray, without NaN."""
    visible: NDArray[Any]
    black: float
    """The thermal value that is shown as black, or as white where that is hot."""
    span: float
    """How far above it the other end of the range lies."""
    is_black_hot: bool
    gain: float
    """The share of what thermal adds that is shown, in (0, 1]."""


@dataclass(frozen=True, slots=True)
class RawFused:
    """What came of a :class:`RawPair`."""

    image: NDArray[np.uint8]
    """bgr8 (H, W, 3) or gray (H, W), a new array."""
    is_finite: bool
    """Whether the network did not overflow; else the image is of no use."""
    thermal_spread: float
    """By which :func:`~hkdnet_ros.images.blank.is_blank` judges the thermal image; of full scale."""
    visible_spread: float
