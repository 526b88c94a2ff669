"""The figures of a session at one moment, for a report on its health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .misalignment import Misalignment


@dataclass(frozen=True, slots=True)
class CalibrationHealth:
    """What came of calibrations, and how they fit."""

    received: Mapping[str, int] = field(default_factory=dict)  # messages, by stream
    mismatches: Mapping[str, int] = field(default_factory=dict)  # images that it does not fit, by what is wrong
    current: Sequence[str] = ()  # what is wrong for the latest images


@dataclass(frozen=True, slots=True)
class Health:
    """The figures of one moment."""

    mode: str
    cause: str  # of the mode, as it is now; empty where it never changed
    thermal_interruption: str  # why the thermal image is no live view; empty where it is one
    is_wanted: bool  # somebody listens to an output; else nothing is fused
    rates: Mapping[str, float]  # Hz, by stream, OUTPUT among them
    received: Mapping[str, int]  # by stream
    pairs: int
    published: int
    drops: Mapping[str, int]  # by reason
    latencies: Mapping[str, tuple[float, float]]  # p50 and p95 in s, by stage, "age" among them
    since_output: float | None  # s since the latest image went out
    skews: Mapping[str, int]  # pairs by range of skew
    stamp_oddities: Mapping[str, Mapping[str, int]]  # by stream, then by reason
    drift_ppm: float | None  # the thermal camera's clock against the visible one's
    calibration: CalibrationHealth = CalibrationHealth()
    trouble: str = ""  # with pairs: why nothing pairs, or why it should not be trusted
    is_watched: bool = True  # whether misalignment is looked for
    misalignment: Misalignment | None = None  # None where the scene does not tell
    misaligned: str = ""  # what is wrong with it
    not_registered: str = ""  # why the latest pair could not be registered
    poorly_registered: str = ""  # why it should not be trusted, where it was
    delays: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # s from stamp to arrival: p50, most
