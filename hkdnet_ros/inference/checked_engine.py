"""The engine around any back end: it checks what goes in and what comes out, and times the stages."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..stage_clock import StageClock
from .backend import Backend
from .raw_pair import RawFused, RawPair
from .sizes import Sizes
from .tiles import LARGEST_WHOLE, run_bounded


class CheckedEngine:
    """An :class:`~hkdnet_ros.inference.engine.Engine` of a back end, which it owns."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend = name
        """The name of the back end."""
        self._backend = backend
        self._timings: dict[str, float] = {}

    @property
    def model_name(self) -> str:
        """The weights' file name without suffix, such as ``realtime_x2``."""
        return self._backend.model_name

    @property
    def sizes(self) -> Sizes:
        """The sizes that the engine takes and gives."""
        return self._backend.sizes

    @property
    def scale(self) -> int:
        """Output size over thermal's."""
        return self._backend.sizes.thermal

    @property
    def device(self) -> str:
        """The device computed on, such as ``cpu`` or ``cuda``."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """The format computed in: ``fp32``, ``fp16`` or ``bf16``."""
        return self._backend.precision

    @property
    def timings(self) -> Mapping[str, float]:
        """Milliseconds of the last call by stage: upload, network, download."""
        return self._timings

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device by anyone, and how many it has; None for the CPU or where it does not answer."""
        return self._backend.memory

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> CheckedEngine:
        """Return this: it is for cameras of any sizes."""
        return self

    def warm_up(self, height: int, width: int) -> float:
        """Run twice at this size of the visible input, so that the first real frame is as fast as the rest.

        Return the seconds it took.
        """
        began = time.perf_counter()
        visible = np.full((height, width), 0.5, np.float32)
        thermal = np.full(self.sizes.thermal_for(self.sizes.output_for(visible.shape)), 0.5, np.float32)
        for _ in range(2):
            self.fuse(thermal, visible)
        return time.perf_counter() - began

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return the fused luma, float32 (H, W) in [0, 1], a new array.

        ``thermal`` and ``visible`` are (H, W) of sizes that belong together, at least 16x16, each uint8 or float32 in
        [0, 1]; they may be strided and read-only. Large ones are run in parts where the network allows it
        (:mod:`.tiles`). Raises :class:`ImageError` for anything else, NaN included, and where the network overflows, as
        fp16 might on a scene unlike all that it was tried on, and :class:`OutOfMemoryError` for more than memory holds.
        """
        self.sizes.check(thermal.shape, visible.shape)
        check_values("thermal", thermal)
        check_values("visible", visible)
        clock = StageClock()
        raw = run_bounded(self._backend, thermal, visible, clock.lap)
        if not (math.isfinite(raw.min()) and math.isfinite(raw.max())):
            raise self._overflow()
        # The caller gets memory of its own: the back end's is written again by the next call.
        fused = np.clip(raw, 0, 1, out=np.empty(raw.shape, np.float32))
        clock.lap("download")
        self._timings = clock.timings
        return fused

    @property
    def takes_raw(self) -> bool:
        """Whether whole frames are fused on the device."""
        return self._backend.takes_raw

    def fuse_raw(self, pair: RawPair) -> RawFused | None:
        """Return the finished image of a pair as its cameras sent it; None where it is large and is run in parts.

        Raises :class:`ImageError` where the network overflows, and :class:`OutOfMemoryError` as :meth:`fuse` does.
        """
        height, width = self.sizes.output_for(pair.plan.visible_input[::-1])
        if height * width > LARGEST_WHOLE:
            return None
        clock = StageClock()
        fused = self._backend.fuse_raw(pair, clock.lap)
        if not fused.is_finite:
            raise self._overflow()
        clock.lap("download")
        self._timings = clock.timings
        return fused

    def close(self) -> None:
        """Free the network's memory, here and on the device; the engine cannot be used afterwards."""
        self._backend.close()

    def _overflow(self) -> ImageError:
        return ImageError(f"the output of {self.model_name} is not finite in {self.precision}; set precision to fp32")


def check_values(name: str, image: NDArray[Any]) -> None:
    """Raise :class:`ImageError` for a luma that is neither uint8 nor float32 in [0, 1]."""
    if image.dtype == np.uint8:
        return
    if image.dtype != np.float32:
        raise ImageError(f"{name} luma is {image.dtype}; expected uint8, or float32 in [0, 1]")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # NaN compares false
        raise ImageError(f"{name} luma spans {low:g} to {high:g}; expected float32 in [0, 1] without NaN")
