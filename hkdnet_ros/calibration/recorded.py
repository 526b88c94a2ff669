"""The pairs of a recording that a calibration looks at."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError, SourceError
from ..images import color
from ..images.frames import Frame
from ..perception.pairing import PairingConfig
from ..perception.thermal import ThermalConditioner
from ..sources.camera_source import CameraSource, matches
from ..sources.no_pair import StreamWatch

Gray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RecordedPairs:
    """Pairs of (thermal, visible), each (H, W) in [0, 1], of one size each; thermal is conditioned image by image."""

    pairs: list[tuple[Gray, Gray]]
    thermal_size: tuple[int, int]
    visible_size: tuple[int, int]


def read_pairs(source: CameraSource, *, every: float, frames: int, slop: float) -> RecordedPairs:
    """Return the first ``frames`` pairs of ``source`` that are ``every`` seconds apart at least.

    Their images are up to ``slop`` seconds apart. Raises :class:`SourceError` where there is no pair, none can be used,
    or images change their size, :class:`ConfigError` for numbers out of range.
    """
    if every < 0 or frames < 1:
        raise ConfigError(f"every is {every:g} s, frames {frames}; expected 0 s or more, and at least 1")
    watch = StreamWatch()
    unusable: Counter[str] = Counter()
    pairs: list[tuple[Gray, Gray]] = []
    last_ns: int | None = None
    for match in matches(source, PairingConfig(slop=slop), watch):
        if last_ns is not None and 0 <= match.thermal.stamp_ns - last_ns < round(every * 1e9):
            continue
        try:
            pair = ThermalConditioner().condition(match.thermal), gray_of(match.visible)
        except ImageError as error:
            unusable[str(error)] += 1
            continue
        last_ns = match.thermal.stamp_ns
        if pairs and [image.shape for image in pair] != [image.shape for image in pairs[0]]:
            shapes = " and ".join("{1}x{0}".format(*image.shape) for image in (*pairs[0], *pair))
            raise SourceError(
                f"{source.name}: the images change their size ({shapes}); expected one size of each camera: calibrate "
                "from a part of the recording"
            )
        pairs.append(pair)
        if len(pairs) == frames:
            break
    if not pairs:
        if not unusable:
            raise watch.error(source, slop)
        reasons = "; ".join(f"{count} times {reason}" for reason, count in itertools.islice(unusable.items(), 3))
        raise SourceError(f"{source.name}: no pair can be used: {reasons}")
    thermal, visible = pairs[0]
    return RecordedPairs(pairs, (thermal.shape[1], thermal.shape[0]), (visible.shape[1], visible.shape[0]))


def gray_of(frame: Frame) -> Gray:
    """Return the luma of a visible image as float32 (H, W) in [0, 1]."""
    luma = color.luma(frame.image, frame.encoding)
    return np.divide(luma, np.float32(255), dtype=np.float32) if luma.dtype == np.uint8 else luma
