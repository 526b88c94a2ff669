"""A recording as the node would treat it: what is fused, held and dropped, and how good the fused images are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..images.color import luma
from ..images.frames import THERMAL, VISIBLE, Frame
from ..images.resampling import resample
from ..inference.engine_api import Engine
from ..metrics.fusion import fusion_metrics
from ..perception.config import PerceptionConfig
from ..perception.mode import ModeChange
from ..perception.run import run
from ..perception.session import Session
from ..perception.sink import Drop, Figures, Output, Wants
from ..perception.statistics import Totals
from ..perception.worker import EVERY
from ..sources.camera_source import CameraSource

KEYS = ("MI", "VIFp", "Qabf", "SSIM")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a recording: counts, fused frames by mode, and means of measures over those of both cameras."""

    totals: Totals
    modes: Mapping[str, int]
    values: Mapping[str, float]


def judge(
    source: CameraSource, engine: Engine, config: PerceptionConfig | None = None, keys: Sequence[str] = KEYS
) -> Judgement:
    """Run ``source`` through the core, every pair of it, in the time of the recording; the same in every run on a CPU.

    The calibration known at the start holds from the first image on, as a driver that latches it would have it.

    Measures (``keys`` of :data:`~hkdnet_ros.metrics.fusion.FUSION_KEYS`) compare each fused luma with the conditioned
    thermal and the visible luma, both brought to its size; no larger truth is known. Raises :class:`SourceError` where
    the recording cannot be read on.
    """
    sink = _Measuring(keys)
    session = Session(config or PerceptionConfig(), engine, sink, _log, policy=EVERY)
    for stream in (THERMAL, VISIBLE):
        if (model := source.camera_model(stream)) is not None:
            session.receive_calibration(stream, model, 0)
    run(session, source.arrivals())
    session.flush()
    means = {key: float(np.mean([values[key] for values in sink.values])) for key in keys if sink.values}
    return Judgement(session.totals(), dict(sink.modes), means)


class _Measuring:
    """A sink that measures and counts (perception/sink.py)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self.modes: Counter[str] = Counter()
        self.values: list[Mapping[str, float]] = []

    def wants(self) -> Wants:
        return Wants(conditioned=True)

    def fused(self, output: Output) -> Mapping[str, float]:
        fused = output.fused
        self.modes[fused.mode] += 1
        if fused.thermal is not None and output.visible is not None:
            image = fused.image if fused.image.ndim == 2 else luma(fused.image, "bgr8")
            height, width = image.shape
            visible = luma(output.visible.image, output.visible.encoding)
            if visible.dtype != np.uint8:
                visible = visible * np.float32(255)
            thermal = resample(fused.thermal * np.float32(255), width, height)
            self.values.append(fusion_metrics(thermal, resample(visible, width, height), image, self._keys))
        return {}

    def figures(self, output: Output, figures: Figures) -> None:
        """Do nothing: a recording has no latencies of its own."""

    def conditioned(self, thermal: Frame, conditioned: NDArray[np.float32]) -> None:
        """Do nothing: this is not asked for."""

    def dropped(self, drop: Drop) -> None:
        """Do nothing: the session counts drops."""

    def mode_changed(self, change: ModeChange, now_ns: int) -> None:
        """Do nothing: the fused frames say their mode."""

    def device_failed(self) -> None:
        """Do nothing: each pair that is lost for this is counted."""
