"""Loads engines: the one place where back ends are named."""

from __future__ import annotations

import contextlib
import dataclasses
import pkgutil
import sys
from collections.abc import Iterator

from ..errors import ConfigError, MissingDependencyError
from .auto_engine import AutoEngine
from .checked_engine import CheckedEngine
from .config import AUTO, EngineConfig
from .engine import Engine
from .precision_trial import choose_precision

__all__ = ["BACKENDS", "CANDIDATES", "CUDA_CANDIDATES", "Engine", "load_engine", "runs_on"]

BACKENDS = {
    "torch": "hkdnet_ros.inference.torch_backend:TorchBackend",
    "openvino": "hkdnet_ros.inference.openvino_backend:OpenVinoBackend",
    "onnxruntime": "hkdnet_ros.inference.onnx_backend:OnnxBackend",
    "tensorrt": "hkdnet_ros.inference.tensorrt_backend:TensorRtBackend",
}
"""Each back end's module and class, a :class:`~hkdnet_ros.inference.backend.Backend`; imported when it is asked for."""

CANDIDATES = ("torch", "openvino")
"""What back end ``auto`` chooses from on a CPU; each is named as its Python package is."""

CUDA_CANDIDATES = ("torch", "tensorrt")
"""The same on CUDA."""


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
    return choose_backend(load_engine, config, CANDIDATES, CUDA_CANDIDATES)


@contextlib.contextmanager
def _packages_there() -> Iterator[None]:
    """Say of a package that an import misses where it is missed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the network needs the Python package {error.name}, which {sys.executable} does not have; install it"
        ) from error
