"""What an inference engine promises to those who call it, and the one place where back ends are named."""

from __future__ import annotations

import contextlib
import dataclasses
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, MissingDependencyError
from .auto_engine import AutoEngine
from .checked_engine import CheckedEngine
from .config import AUTO, EngineConfig
from .precision_trial import choose_precision
from .sizes import Sizes

BACKENDS = {
    "torch": "hkdnet_ros.inference.torch_backend:TorchBackend",
    "openvino": "hkdnet_ros.inference.openvino_backend:OpenVinoBackend",
    "onnxruntime": "hkdnet_ros.inference.onnx_backend:OnnxBackend",
}
"""Each back end's module and class, a :class:`~hkdnet_ros.inference.backend.Backend`; imported when it is asked for."""

CANDIDATES = ("torch", "openvino")
"""What back end ``auto`` chooses from; each is named as its Python package is."""


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
        """The library that runs the network, a name of :data:`BACKENDS`."""

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

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> Engine:
        """Return the engine for cameras of these two sizes, (width, height): this one, or the one of several."""

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse two (H, W) images of ``sizes``, float32 in [0, 1] or uint8, to float32 in [0, 1].

        The images may be read-only and strided: views on a message. Raises :class:`ImageError` for images that cannot
        be used and :class:`DeviceError` where the device runs out of memory or is lost.
        """

    def warm_up(self, height: int, width: int) -> float:
        """Do what the first call of a size of the visible input would otherwise do; return the seconds it took."""

    def close(self) -> None:
        """Free the model and its device memory."""


def runs_on(engine: Engine) -> str:
    """Return what an engine computes with, such as "bf16 on cpu by openvino"."""
    return f"{engine.precision} on {engine.device} by {engine.backend}"


def load_engine(config: EngineConfig | None = None) -> Engine:
    """Return the engine for ``config``, without one for its defaults.

    Model ``auto`` loads the two networks that it chooses between, back end ``auto`` the fastest that is here. Raises
    :class:`CheckpointError` for weights that cannot be loaded, :class:`ConfigError` for a back end, a device or a
    precision that cannot be had, :class:`DeviceError` for a device that fails and :class:`MissingDependencyError` where
    the back end's Python packages are not installed.
    """
    config = config or EngineConfig()
    if config.backend != AUTO and config.backend not in BACKENDS:
        raise ConfigError(f"backend is {config.backend!r}; choose one of {', '.join((AUTO, *BACKENDS))}")
    if config.model == AUTO:
        return AutoEngine(load_engine, config)
    if config.backend == AUTO and config.model.endswith(".onnx"):
        config = dataclasses.replace(config, backend="onnxruntime")
    elif config.backend == AUTO:
        return _fastest(config)
    # Here and not above: torch takes seconds to import, and the node's services should be there first.
    with _packages_there():
        load = pkgutil.resolve_name(BACKENDS[config.backend])
    return CheckedEngine(choose_precision(load, config), config.backend)


def _fastest(config: EngineConfig) -> Engine:
    with _packages_there():
        from .backend_choice import choose_backend
    return choose_backend(load_engine, config, CANDIDATES)


@contextlib.contextmanager
def _packages_there() -> Iterator[None]:
    """Say of a package that an import misses where it is missed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the network needs the Python package {error.name}, which {sys.executable} does not have; install it"
        ) from error
