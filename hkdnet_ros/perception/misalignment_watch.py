"""Looks now and then at how far thermal lies off the visible image, and warns where it lies too far off.

One pair a second is looked at, in a thread of its own where pairs are worked on live. A look counts only while the
scene stands still: clocks that differ shift what moves, and registration is not to blame for that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images import color
from ..images.frames import Frame, FusedFrame
from ..images.resampling import resample
from .log import Log
from .misalignment import (
    LEAST_SIDE,
    Look,
    Misalignment,
    Size,
    edges_for_look,
    look,
    misalignment,
    reduced_size,
    shift_of,
)
from .registered_view import View
from .worker import LATEST, EveryWorker, LatestWorker, Worker

PERIOD_NS = 1_000_000_000
"""Time between two looks."""

LOOKS = 8
"""Looks that are added up; with fewer than three quarters of them nothing is said."""

FINEST = 0.005
"""The share of the image's width below which nothing is called misaligned: the pairs of data/val, registered to 0 to 2
pixels, and the clips of data/replay measure up to 0.0046."""

_APART_NS = 100_000_000, 2_000_000_000  # between two visible images that tell whether the scene moves
_STILL = 1 / 32  # of the width, per second: clocks 0.1 s apart make 2 px of 640 of that
_FORGOTTEN_NS = 60_000_000_000  # after which what was known without a look that counted is known no more
_MOTION_REACH = 8  # px, of images half as large as those that are looked at


@dataclass(frozen=True, slots=True)
class _Glance:
    """A pair on the small grid, and the visible image ``apart_ns`` before; ``width`` is that of the fused image."""

    stamp_ns: int
    before: NDArray[Any]
    apart_ns: int
    thermal: NDArray[np.float32]
    visible: NDArray[Any]
    shown: NDArray[np.uint8] | None
    width: int


class MisalignmentWatch:
    """Knows how far thermal lies off. One thread calls :meth:`see`, any thread the others."""

    def __init__(self, limit: float, log: Log, policy: str) -> None:
        """``limit`` is in pixels of the fused image, 0 to look at nothing; ``policy`` is that of the session."""
        self.limit = limit  # may be exchanged at any time
        self._log = log
        self._before: tuple[NDArray[Any], int] | None = None
        self._looked_ns: int | None = None
        self._seen: tuple[object, ...] = ()  # what must stay the same from look to look
        self._looks: deque[Look] = deque(maxlen=LOOKS)
        self._known: tuple[Misalignment | None, int] = None, 0
        self._counted_ns = 0  # the stamp of the latest look that counted
        self._was_off = False
        self._worker: Worker[_Glance] = (
            LatestWorker(self._look, name="misalignment") if policy == LATEST else EveryWorker(self._look)
        )

    @property
    def found(self) -> Misalignment | None:
        """What is known now, in pixels of the fused image; None where the scene does not tell, or nobody looks."""
        return self._known[0] if self.limit > 0 else None

    @property
    def warning(self) -> str:
        """What is wrong, for a person; empty where nothing is known to be."""
        found, width = self._known
        most = max(self.limit, FINEST * width)
        if self.limit == 0 or found is None or found.at_least <= most:
            return ""
        return (
            f"thermal lies ({-found.shift.x:+.1f}, {-found.shift.y:+.1f}) px off the visible image, by the edges of "
            f"{found.looks} moments; expected {most:.3g} px at most (registration.misalignment_limit): register anew "
            "(hkdnet calibrate), unless most of what is seen is off the registered distance"
        )

    @property
    def wants_thermal(self) -> bool:
        """Whether the conditioned thermal image of the next pair is needed."""
        return self.limit > 0 and self._before is not None

    def see(self, fused: FusedFrame, thermal: Frame, visible: Frame, view: View) -> None:
        """Take a pair that was fused in ``view``; where :attr:`wants_thermal`, with the conditioned thermal image."""
        height, width = fused.image.shape[:2]
        size, stamp_ns = reduced_size((width, height)), visible.stamp_ns
        if self.limit == 0 or min(size) < LEAST_SIDE:
            return
        seen = (width, height, fused.reference, fused.window, thermal.image.shape)
        if seen != self._seen:
            self.begin_anew()
            self._seen = seen
        if self._looked_ns is not None and stamp_ns < self._looked_ns:
            # A clock jumped back, as where a bag loops; the cameras stay as they were.
            self._looked_ns, self._counted_ns = None, min(self._counted_ns, stamp_ns)
        before = self._before  # once: another thread may forget it
        if before is None:
            if self._looked_ns is None or stamp_ns - self._looked_ns >= PERIOD_NS:
                self._before = _gray(visible, view, size), stamp_ns
            return
        apart_ns = stamp_ns - before[1]
        if 0 <= apart_ns < _APART_NS[0]:
            return
        gray = _gray(visible, view, size)
        if not 0 <= apart_ns <= _APART_NS[1]:
            self._before = gray, stamp_ns
            return
        if fused.thermal is None:  # it was not wanted when this pair was fused
            return
        self._before, self._looked_ns = None, before[1]
        if stamp_ns - self._counted_ns > _FORGOTTEN_NS:
            self._forget()
        self._worker.put(
            _Glance(stamp_ns, before[0], apart_ns, view.thermal(fused.thermal, size), gray, view.validity(size), width)
        )

    def begin_anew(self) -> None:
        """Forget the looks so far: they are of another view."""
        self._before, self._looked_ns = None, None
        self._forget()

    def stop(self) -> None:
        """Look at nothing more; waits for the look in work."""
        self._worker.stop()

    def _forget(self) -> None:
        self._looks = deque(maxlen=LOOKS)
        self._known = None, 0

    def _look(self, glance: _Glance) -> None:
        looks = self._looks  # once: another thread may exchange it
        if not _is_still(glance):
            return
        thermal, visible = (edges_for_look(image, glance.shown) for image in (glance.thermal, glance.visible))
        found = look(thermal, visible)
        if found is None:
            return
        looks.append(found)
        self._counted_ns = glance.stamp_ns
        if len(looks) >= LOOKS * 3 // 4 and looks is self._looks:
            self._known = misalignment(list(looks), glance.width), glance.width
            self._say()

    def _say(self) -> None:
        """Log it once where it becomes bad, and once where it is known to be good again."""
        if warning := self.warning:
            if not self._was_off:
                self._log.warning(warning)
            self._was_off = True
        elif self._was_off and self.found is not None:
            self._log.info(f"thermal lies within {self.found.shift.length:.1f} px of the visible image again")
            self._was_off = False


def _gray(visible: Frame, view: View, size: Size) -> NDArray[Any]:
    return color.luma(view.visible(visible.image, size), visible.encoding)


def _is_still(glance: _Glance) -> bool:
    """Return whether the scene as a whole stands still in the visible image; one who walks by does not count."""
    height, width = glance.visible.shape
    half = max(1, width // 2), max(1, height // 2)
    before, now = (edges_for_look(resample(image, *half)) for image in (glance.before, glance.visible))
    found = look(before, now, _MOTION_REACH)
    if found is None:
        return False
    moved = shift_of([found], 1)
    return moved.is_certain and moved.length <= _STILL * glance.apart_ns / 1e9
