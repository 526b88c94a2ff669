"""What a session gives, and to whom: fused frames with their figures, changes of mode, and all that was dropped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from ..images.frames import Frame, FusedFrame
from .misalignment import Misalignment
from .mode import ModeChange
from .statistics import Totals


@dataclass(frozen=True, slots=True)
class Drop:
    """An image or a pair that was not fused: why, and the stamps of what was dropped, None where there was none."""

    reason: str
    thermal_stamp_ns: int | None = None
    visible_stamp_ns: int | None = None

    @classmethod
    def one(cls, stream: str, stamp_ns: int, reason: str) -> Drop:
        """Return the drop of one image of ``stream``."""
        return cls(reason, **{f"{stream}_stamp_ns": stamp_ns})


@dataclass(frozen=True, slots=True)
class Output:
    """A fused frame, what it was made of, and the calibration it has.

    ``thermal`` and ``visible`` are None where the other was taken alone. ``is_live`` is false where an earlier thermal
    image stands for one that is no live view. ``skew_ns`` is thermal minus visible stamp as they were paired: with the
    offsets. ``camera_model`` is None where none is known or wanted.
    """

    fused: FusedFrame
    thermal: Frame | None
    visible: Frame | None
    is_live: bool
    skew_ns: int
    camera_model: CameraModel | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known when a fused frame has gone out: its age in ns, seconds by stage in order, and all counts.

    ``misalignment`` is what the pairs before show, None where they do not tell, and beside what is no live pair.
    """

    age_ns: int
    latencies: Mapping[str, float]
    totals: Totals
    misalignment: Misalignment | None = None

    @property
    def misalignment_px(self) -> float:
        """The pixels of the fused image by which thermal lies off the visible one; NaN where that is not known."""
        return math.nan if self.misalignment is None else self.misalignment.shift.length


@dataclass(frozen=True, slots=True)
class Wants:
    """What a sink has a use for at a moment."""

    fused: bool = True  # else nothing is fused
    camera_model: bool = True
    validity: bool = False  # where both cameras see, with the fused image
    temperature: bool = False  # kelvin, with the fused image
    overlay: bool = False  # outlines of heat over the visible image, with the fused image
    conditioned: bool = False  # the conditioned thermal image, also where nothing is fused


class Sink(Protocol):
    """Where a session's results go.

    :meth:`wants`, :meth:`dropped` and :meth:`mode_changed` come from the thread that feeds the session, and
    all but the last from its worker.
    """

    def wants(self) -> Wants:
        """Return what there is a use for now."""

    def fused(self, output: Output) -> Mapping[str, float]:
        """Take a fused frame; return the seconds that passing it on took, by stage."""

    def figures(self, output: Output, figures: Figures) -> None:
        """Take the figures of the fused frame just taken."""

    def conditioned(self, thermal: Frame, conditioned: NDArray[np.float32]) -> None:
        """Take a conditioned thermal image, float32 (H, W) in [0, 1], of which nothing was fused for want of a use."""

    def dropped(self, drop: Drop) -> None:
        """Hear of what was dropped; must not call the session."""

    def mode_changed(self, change: ModeChange, now_ns: int) -> None:
        """Hear of a new mode."""

    def device_failed(self) -> None:
        """Hear that the engine's device is lost: nothing more will be fused."""
