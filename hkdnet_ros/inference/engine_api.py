"""What an inference engine promises to those who call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Fuses and super-resolves pairs of luma images on one device; one thread at a time calls it."""

    @property
    def model_name(self) -> str:
        """The weights' file name without suffix, such as ``realtime_x2``."""

    @property
    def scale(self) -> int:
        """Output size over input size."""

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

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse two (H, W) images, float32 in [0, 1] or uint8, to (scale H, scale W) float32 in [0, 1].

        The images may be read-only and strided: views on a message.
        """

    def warm_up(self, height: int, width: int) -> float:
        """Do what the first call of a size would otherwise do; return the seconds it took."""

    def close(self) -> None:
        """Free the model and its device memory."""
