"""The types that cross a border between layers. Images are numpy arrays, (H, W) or (H, W, C); time is integer ns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .decoding import ENCODINGS

THERMAL = "thermal"
VISIBLE = "visible"


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image.

    ``image`` is (H, W) or (H, W, C), native byte order, in the channel order and range that ``encoding`` (a
    sensor_msgs/image_encodings name: mono8, mono16, 32FC1, rgb8, bgr8, ...) says. ``stamp_ns`` is the time of exposure.
    """

    image: NDArray[np.generic]
    stamp_ns: int
    frame_id: str
    encoding: str


def check_frame(frame: Frame, stream: str) -> None:
    """Raise :class:`ImageError`, naming ``stream``, unless the image is what its encoding says and has pixels."""
    image = frame.image
    if frame.encoding not in ENCODINGS:
        raise ImageError(f"{stream} image has encoding {frame.encoding!r}; expected one of {', '.join(ENCODINGS)}")
    scalar, channels = ENCODINGS[frame.encoding]
    if image.dtype != np.dtype(scalar) or image.shape[2:] != (() if channels == 1 else (channels,)) or image.ndim < 2:
        raise ImageError(
            f"{stream} image is {image.dtype} of shape {image.shape}; {frame.encoding} is {np.dtype(scalar)} with "
            f"{channels} channel{'s' if channels > 1 else ''}"
        )
    if 0 in image.shape:
        raise ImageError(f"{stream} image has {image.shape[1]}x{image.shape[0]} pixels; expected at least 1x1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A thermal and a visible frame taken for one moment."""

    thermal: Frame
    visible: Frame

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
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str
    mode: str = "fused"
    timings: Mapping[str, float] = field(default_factory=dict)
    thermal: NDArray[np.float32] | None = None
