"""Thermal counts or temperatures to [0, 1], by a range that is fixed or follows the scene slowly.

A range taken anew from every frame makes the whole picture jump when a hot object enters. Here percentiles are
smoothed over time, as a first-order low-pass in the time of the stamps, so that the frame rate does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..options import check_options, option
from . import color
from .frames import THERMAL, Frame, check_frame

_SAMPLES = 20_000  # pixels enough for percentiles: 0.5 % are 100 of them


@dataclass(frozen=True, slots=True)
class ThermalConfig:
    """How 16-bit and float thermal images become [0, 1]; 8-bit ones are taken to be conditioned by the camera."""

    range_low: float = option(
        0.0, "value shown as black; equal to range_high: the range follows the scene", low=-1e9, high=1e9
    )
    range_high: float = option(0.0, "value shown as white, counts or kelvin as the camera sends", low=-1e9, high=1e9)
    percentile_low: float = option(0.5, "percentile of the scene shown as black", unit="%", low=0, high=100)
    percentile_high: float = option(99.5, "percentile of the scene shown as white", unit="%", low=0, high=100)
    time_constant: float = option(
        2.0, "time in which the range covers 63 % of a change of the scene; 0: at once", unit="s", low=0, high=3600
    )

    def __post_init__(self) -> None:
        check_options(self)
        for low, high, least in (("range_low", "range_high", 0.0), ("percentile_low", "percentile_high", 1e-9)):
            if getattr(self, high) - getattr(self, low) < least:
                raise ConfigError(
                    f"{high} is {getattr(self, high)}, {low} is {getattr(self, low)}; {high} must be the larger"
                )


class ThermalConditioner:
    """Conditions the frames of one camera in turn; keeps the range between them."""

    def __init__(self, config: ThermalConfig | None = None) -> None:
        self._config = config or ThermalConfig()
        self._range = (0.0, 0.0)  # empty: nothing known yet
        self._stamp_ns = 0
        self._encoding = ""

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the image as float32 (H, W) in [0, 1].

        8-bit gray is divided by 255; colour gives its luma; 16-bit counts and floats are stretched from the configured
        range, or from the scene's smoothed percentiles. Those start with the first frame, and again when a stamp goes
        back or the encoding changes. A uniform image (a closed shutter) leaves them as they are.

        Raises :class:`ImageError` for an image that does not fit its encoding and for NaN or infinite pixels.
        """
        check_frame(frame, THERMAL)
        image: NDArray[np.float32]
        if color.is_color(frame.encoding) or frame.image.dtype == np.uint8:
            image = np.divide(color.luma(frame.image, frame.encoding), np.float32(255), dtype=np.float32)
            return image
        if frame.image.dtype.kind == "f":
            finite = np.isfinite(frame.image)
            if not finite.all():
                raise ImageError(f"thermal image has {finite.size - np.count_nonzero(finite)} NaN or infinite pixels")
        low, high = self._follow(frame)
        image = np.subtract(frame.image, np.float32(low), dtype=np.float32)
        image *= np.float32(1 / max(high - low, 1e-6))
        return np.clip(image, 0, 1, out=image)

    def _follow(self, frame: Frame) -> tuple[float, float]:
        """Return the range for ``frame`` after it has had its share in it."""
        config = self._config
        if config.range_high > config.range_low:
            return config.range_low, config.range_high
        low, high = _percentiles(frame.image, config.percentile_low, config.percentile_high)
        old_low, old_high = self._range
        elapsed = (frame.stamp_ns - self._stamp_ns) / 1e9
        if old_low == old_high or elapsed < 0 or frame.encoding != self._encoding:
            self._range = low, high
        elif high > low:
            share = -math.expm1(-elapsed / config.time_constant) if config.time_constant else 1.0
            self._range = old_low + share * (low - old_low), old_high + share * (high - old_high)
        self._stamp_ns, self._encoding = frame.stamp_ns, frame.encoding
        return self._range


def _percentiles(image: NDArray[np.generic], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles (nearest rank) of a regular sample of the pixels."""
    stride = max(1, round(math.sqrt(image.size / _SAMPLES)))
    sample = image[::stride, ::stride]
    ranks = [round(percent / 100 * (sample.size - 1)) for percent in (low, high)]
    ordered = np.partition(sample, ranks, axis=None)
    return float(ordered[ranks[0]]), float(ordered[ranks[1]])
