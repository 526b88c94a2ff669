"""An engine that outlives its device."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
from .config import AUTO, CHOSEN, CPU, EngineConfig
from .engine import Engine, EngineInFront
from .raw_pair import RawFused, RawPair

Result = TypeVar("Result")


class FallbackEngine(EngineInFront):
    """An engine that tries once more where its device fails, and then goes on with the CPU.

    With ``on_failure`` "inactive" it raises the second :class:`DeviceError` instead. ``warn`` hears of both steps.
    """

    def __init__(
        self,
        load: Callable[[EngineConfig], Engine],
        config: EngineConfig,
        on_failure: str,
        warn: Callable[[str], Any],
    ) -> None:
        """Load the engine for ``config``. Raises what ``load`` raises."""
        self._load = load
        self._config = config
        self._on_failure = on_failure
        self._warn = warn
        self._failure = ""
        self._cameras: tuple[Sequence[int], Sequence[int]] | None = None
        self._engine = self._surely(lambda: load(config), self._load_on_cpu)

    @property
    def failure(self) -> str:
        """Why the device that was asked for was left; empty where it was not."""
        return self._failure

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> FallbackEngine:
        """Return this, which from now on is what its engine chooses for cameras of these sizes."""
        self._cameras = thermal, visible
        self._engine.choose(thermal, visible)
        return self

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Fuse as the engine does, on another device where need be."""
        return self._surely(
            lambda: self._engine.fuse(thermal, visible), lambda: self._moved_to_cpu().fuse(thermal, visible)
        )

    def fuse_raw(self, pair: RawPair) -> RawFused | None:
        """Fuse as the engine does; None where it had to be moved to the CPU, on which images are prepared first."""

        def move() -> None:
            self._moved_to_cpu()

        return self._surely(lambda: self._engine.fuse_raw(pair), move)

    def warm_up(self, height: int, width: int) -> float:
        """Warm up as the engine does, on another device where need be."""
        return self._surely(
            lambda: self._engine.warm_up(height, width), lambda: self._moved_to_cpu().warm_up(height, width)
        )

    def close(self) -> None:
        """Free the model and its device memory."""
        self._engine.close()

    def _surely(self, action: Callable[[], Result], otherwise: Callable[[], Result]) -> Result:
        """Return ``action()``, tried twice, or ``otherwise()`` where the device fails and the CPU may take over."""
        try:
            return action()
        except DeviceError as error:
            self._warn(f"{error}; trying once more")
        try:
            return action()
        except DeviceError as error:
            if self._on_failure != CPU or self._config.device == CPU:
                raise
            self._failure = str(error)
            self._warn(f"{error}; going on with the CPU, until the node is configured again")
        return otherwise()

    def _moved_to_cpu(self) -> Engine:
        self._engine.close()
        self._engine = self._load_on_cpu()
        if self._cameras is not None:
            self._engine.choose(*self._cameras)
        return self._engine

    def _load_on_cpu(self) -> Engine:
        # fp16 is for CUDA only, and so is TensorRT.
        backend = AUTO if self._config.backend == "tensorrt" else self._config.backend
        if backend == AUTO and os.environ.get(CHOSEN) == "tensorrt":
            backend = "torch"
        self._config = dataclasses.replace(self._config, device=CPU, precision=AUTO, backend=backend)
        return self._load(self._config)
