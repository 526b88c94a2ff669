"""Quality of images that were fused from the simulator's, against the high-resolution scene behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ImageError
from ...evaluation.baselines import average, maximum
from ...images.color import luma
from ...images.resampling import resample
from ...metrics.fusion import fusion_metrics
from ...simulator.simulator import SimulatedPair, Simulator

KEYS = ("Qabf", "VIFp", "MI", "SCD", "SSIM")
BASELINES = {"bicubic>average": average, "bicubic>maximum": maximum}
"""Rules over both camera images, each brought to the fused image's size."""

_REACH = 64  # frames to either side of where one is looked for


@dataclass(frozen=True, slots=True)
class FusedSample:
    """A fused image, 8-bit luma, and the visible image it was made of: bgr8, the ``number``-th, counted from 0."""

    number: int
    visible: NDArray[np.uint8]
    fused: NDArray[np.uint8]


def find_pair(simulator: Simulator, visible: NDArray[np.uint8], guess: int) -> SimulatedPair | None:
    """Return the pair whose visible image is ``visible``, pixel for pixel, looked for near ``guess``, if there is one.

    Stamps do not tell which it is: a player that falls behind moves them, and frames may be lost before the first.
    """
    for distance in range(_REACH):
        for index in {guess + distance, guess - distance}:
            if index >= 0:
                pair = simulator.render(index)
                if np.array_equal(pair.visible.image, visible):
                    return pair
    return None


def measure(simulator: Simulator, sample: FusedSample) -> dict[str, dict[str, float]] | None:
    """Return {"fused" or baseline: {measure: value}} against the truth; None where its frame is not found.

    The thermal truth spans the simulator's ``thermal_range``, so the fused image must have been made with that range.
    All is measured at the fused image's size; a larger truth is reduced to it. The baselines are made from the same two
    camera images. Raises :class:`ImageError` where the fused image is larger than the truth.
    """
    pair = find_pair(simulator, sample.visible, sample.number)
    if pair is None:
        return None
    low, high = simulator.thermal_range
    thermal = np.clip((pair.thermal.image.astype(np.float32) - low) / (high - low), 0, 1)
    seen = luma(pair.visible.image, pair.visible.encoding)
    height, width = sample.fused.shape
    known = pair.truth_thermal.shape
    if height > known[0] or width > known[1]:
        raise ImageError(f"the fused image is {width}x{height}, larger than the truth of {known[1]}x{known[0]}")
    truth = [
        resample(image, width, height)
        for image in (pair.truth_thermal * np.float32(255), luma(pair.truth_visible, "bgr8"))
    ]
    taken = [resample(image, width, height) for image in (thermal * np.float32(255), seen.astype(np.float32))]
    images: dict[str, NDArray[Any]] = {
        "fused": sample.fused,
        **{name: rule(*taken) for name, rule in BASELINES.items()},
    }
    return {name: fusion_metrics(truth[0], truth[1], image, KEYS) for name, image in images.items()}


def mean_of(measured: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the means over images, by method and measure; empty for none."""
    if not measured:
        return {}
    return {
        method: {key: float(np.mean([values[method][key] for values in measured])) for key in KEYS}
        for method in measured[0]
    }
