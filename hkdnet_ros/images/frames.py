"""The types that cross a border between layers. Images are numpy arrays, (H, W) or (H, W, C); time is integer ns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

THERMAL = "thermal"
VISIBLE = "visible"

# encoding -> (numpy scalar type, channels)
ENCODINGS: dict[str, tuple[str, int]] = {
    "mono8": ("u1", 1),
    "8UC1": ("u1", 1),
    "mono16": ("u2", 1),
    "16UC1": ("u2", 1),
    "32FC1": ("f4", 1),
    "rgb8": ("u1", 3),
    "bgr8": ("u1", 3),
    "rgba8": ("u1", 4),
    "bgra8": ("u1", 4),
}
"""What a frame may hold. Images of other encodings are brought to one of these (:mod:`.decoding`)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image.

    ``image`` is (H, W) or (H, W, C), native byte order, in the channel order and range that ``encoding`` (a
    sensor_msgs/image_encodings name, one of :data:`ENCODINGS`) says. ``stamp_ns`` is the time of exposure.
    ``unmeasured`` (H, W) is true for pixels of a thermal image whose value was put in for a missing one; None where
    there are none.

    Raises :class:`ImageError` where the image is not what its encoding says, or has no pixels: who is given a frame
    need not ask again.
    """

    image: NDArray[np.generic]
    stamp_ns: int
    frame_id: str
    encoding: str
    unmeasured: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        image, encoding = self.image, self.encoding
        if encoding not in ENCODINGS:
            raise ImageError(f"image has encoding {encoding!r}; expected one of {', '.join(ENCODINGS)}")
        scalar, channels = ENCODINGS[encoding]
        if image.dtype != scalar or image.ndim < 2 or image.shape[2:] != (() if channels == 1 else (channels,)):
            raise ImageError(
                f"image is {image.dtype} of shape {image.shape}; {encoding} is {np.dtype(scalar)} with "
                f"{channels} channel{'s' if channels > 1 else ''}"
            )
        if 0 in image.shape:
            raise ImageError(f"image has {image.shape[1]}x{image.shape[0]} pixels; expected at least 1x1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A thermal and a visible frame taken for one moment; ``depth`` registers them where a depth image does."""

    thermal: Frame
    visible: Frame
    depth: Frame | None = None

    @property
    def skew_ns(self) -> int:
        """Thermal stamp minus visible stamp, in ns."""
        return self.thermal.stamp_ns - self.visible.stamp_ns


@dataclass(frozen=True, slots=True)
class FusedFrame:
    """One fused, super-resolved image.

    ``image`` is uint8, (H, W) gray or (H, W, 3) bgr8. ``stamp_ns`` and ``frame_id`` are the visible frame's
    (the thermal frame's in mode THERMAL). ``mode`` says what went into it (perception/mode.py). ``timings`` are
    milliseconds by stage. ``thermal`` is the conditioned thermal image at its camera's size, (H, W) float32 in [0, 1],
    None where there was none.

    ``reference`` is the camera whose view and calibration the image has, ``window`` the part of that camera's image
    that it shows (left, top, width, height), None for all of it. Where they were asked for, ``validity`` is (H, W)
    uint8, 255 where both cameras see the place, else 0, ``temperature`` (H, W) float32 in kelvin, NaN where none is
    measured, and ``overlay`` (H, W, 3) bgr8, outlines of heat over the visible image; all have the size of ``image``.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str
    mode: str = "fused"
    timings: Mapping[str, float] = field(default_factory=dict)
    thermal: NDArray[np.float32] | None = None
    reference: str = VISIBLE
    window: tuple[int, int, int, int] | None = None
    validity: NDArray[np.uint8] | None = None
    temperature: NDArray[np.float32] | None = None
    overlay: NDArray[np.uint8] | None = None
