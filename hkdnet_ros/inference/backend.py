"""What a back end is: the least that an engine needs of whatever runs the network.

A back end is one file with a class of this protocol and one row in :data:`hkdnet_ros.inference.engine_api.BACKENDS`.
Images have been checked before it sees them; what it returns is checked and clipped behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .config import EngineConfig
from .raw_pair import RawFused, RawPair
from .sizes import Sizes
from .tiles import Reach


class Backend(Protocol):
    """A network, ready to run on one device in one number format; one thread at a time calls it."""

    model_name: str
    """The weights' file name without suffix, such as ``realtime_x2``."""
    sizes: Sizes
    """The sizes that the network takes and gives."""
    device: str
    """The device computed on, such as ``cpu`` or ``cuda``."""
    precision: str
    """The format computed in: ``fp32``, ``fp16`` or ``bf16``."""
    reach: Reach | None
    """How far the network looks; None where each pixel depends on all, so that it cannot be run in parts."""
    takes_raw: bool = False
    """Whether :meth:`fuse_raw` can be called: on a device to which images go anyway."""

    def __init__(self, config: EngineConfig) -> None:
        """Load the network. Precision ``auto`` is the fastest format of the device: whether it keeps the picture is
        tried by others.

        Raises :class:`CheckpointError` for weights that cannot be loaded, :class:`ConfigError` for a device or
        precision that cannot be had, and :class:`DeviceError` for a device that fails.
        """

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device, and how many it has; None for the CPU."""

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes that a run takes at its most for each pixel of the output, about."""

    def describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> Any:
        """Return what :meth:`run` must be told of these whole images to run on parts; called with a ``reach`` only."""

    def run(
        self, thermal: NDArray[Any], visible: NDArray[Any], lap: Callable[[str], None], frame: Any = None
    ) -> NDArray[np.float32]:
        """Return the fused luma, (H, W), neither clipped nor checked; the next call may write to it again.

        The images are of ``sizes``, each uint8 or float32 in [0, 1], maybe read-only and strided. ``lap("upload")`` is
        called once they lie where the network reads them, ``lap("network")`` once it has run; the rest counts as
        download. A device that is not waited for in between counts copies as network. ``frame`` is what
        :meth:`describe` says of the images that these are parts of, None where they are whole. Raises
        :class:`OutOfMemoryError` where memory runs out and :class:`DeviceError` where the device is lost.
        """

    def fuse_raw(self, pair: RawPair, lap: Callable[[str], None]) -> RawFused:
        """Do all of it on the device: return the finished image of two that are as their cameras sent them.

        Called where :attr:`takes_raw` only. Raises what :meth:`run` does.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free the network's memory, here and on the device; what it is, its attributes still say."""


def copy_unit(image: NDArray[Any], out: NDArray[np.float32]) -> None:
    """Write ``image``, uint8 or float32 in [0, 1], to ``out`` as float32 in [0, 1], in one pass."""
    if image.dtype == np.uint8:
        np.multiply(image, np.float32(1 / 255), out=out, casting="unsafe", dtype=np.float32)
    else:
        np.copyto(out, image)
