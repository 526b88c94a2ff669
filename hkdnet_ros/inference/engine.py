"""What an inference engine promises to those who call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .raw_pair import RawFused, RawPair
from .sizes import Sizes


class Engine(Protocol):
    """Fuses and super-resolves pairs of luma images on one device; one thread at a time calls it."""

    @property
    def model_name(self) -> str:
        """The weights' file name without suffix, such as ``realtime_x2``."""

    @property
    def sizes(self) -> Sizes:
        """The sizes that the engine takes and gives."""

    @property
    def scale(self) -> int:
        """Output size over thermal's."""

    @property
    def backend(self) -> str:
        """The library that runs the network, a name of :data:`~hkdnet_ros.inference.engine_api.BACKENDS`."""

    @property
    def device(self) -> str:
        """The device computed on, such as ``cpu`` or ``cuda``."""

    @property
    def precision(self) -> str:
        """The format computed in: ``fp32``, ``fp16`` or ``bf16``."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Milliseconds by stage of the last call."""

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device, and how many it has; None for the CPU."""

    @property
    def takes_raw(self) -> bool:
        """Whether :meth:`fuse_raw` saves work: only on devices."""

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> Engine:
        """Return the engine for cameras of these two sizes, (width, height): this one, or the one of several."""

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse two (H, W) images of ``sizes``, float32 in [0, 1] or uint8, to float32 in [0, 1].

        The images may be read-only and strided: views on a message. Raises :class:`ImageError` for images that cannot
        be used and :class:`DeviceError` where the device runs out of memory or is lost.
        """

    def fuse_raw(self, pair: RawPair) -> RawFused | None:
        """Return the finished image of a pair as its cameras sent it; None where :meth:`fuse` has to be called.

        That may be from now on, as where a device was lost. Raises what :meth:`fuse` does.
        """

    def warm_up(self, height: int, width: int) -> float:
        """Do what the first call of a size of the visible input would otherwise do; return the seconds it took."""

    def close(self) -> None:
        """Free the model and its device memory."""


class EngineInFront:
    """What stands before another engine, ``_engine``, and says of itself what that one says."""

    _engine: Engine

    @property
    def model_name(self) -> str:
        return self._engine.model_name

    @property
    def sizes(self) -> Sizes:
        return self._engine.sizes

    @property
    def scale(self) -> int:
        return self._engine.scale

    @property
    def backend(self) -> str:
        return self._engine.backend

    @property
    def device(self) -> str:
        return self._engine.device

    @property
    def precision(self) -> str:
        return self._engine.precision

    @property
    def timings(self) -> Mapping[str, float]:
        return self._engine.timings

    @property
    def memory(self) -> tuple[int, int] | None:
        return self._engine.memory

    @property
    def takes_raw(self) -> bool:
        return self._engine.takes_raw
