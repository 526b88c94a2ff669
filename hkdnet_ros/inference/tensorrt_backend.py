"""The back end of TensorRT: the network on an NVIDIA GPU, compiled for it, where the system has TensorRT."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .. import __version__
from ..errors import ConfigError
from ..network.guided import Guided
from .backend import Backend
from .cache import fingerprint
from .checkpoint import weights_path
from .compute_thread import compute
from .config import CPU, EngineConfig
from .device import DTYPES, choose_device, memory_of
from .device_runs import DeviceRuns, Shape
from .export import to_onnx
from .exported_modules import PartOfFrame, WholeNetwork, describe
from .latest import Latest
from .raw_pair import RawFused, RawPair
from .tensorrt_engine import INPUTS, EngineRun, check_version, engine_file, engine_for
from .torch_backend import compute_in, fold_batch_norms, load_fusing, on_device, reach_of, sizes_of

PRECISIONS = ("fp16", "fp32")


class TensorRtBackend(Backend):
    """A student or guided network in TensorRT, an engine for each size of images."""

    takes_raw = True

    def __init__(self, config: EngineConfig) -> None:
        on_device(self._load, config)

    def _load(self, config: EngineConfig) -> None:
        check_version()
        self._device = choose_device(config.device)
        if self._device.type == CPU:
            raise ConfigError("backend tensorrt computes on CUDA, and device is cpu; choose backend torch")
        self.device = str(self._device)
        self.precision = PRECISIONS[0] if config.precision == "auto" else config.precision
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"backend tensorrt computes in {' or '.join(PRECISIONS)}, not in {config.precision}; choose auto"
            )
        path = weights_path(config.model, config.scale)
        self.model_name = path.stem if path.suffix == ".safetensors" else config.model
        network = load_fusing(path, config.scale)
        self.sizes, self.reach = sizes_of(network), reach_of(network)
        self._bytes_per_pixel = 4 * network.floats_per_pixel
        self._name = f"{self.model_name}_{fingerprint(path)}_{__version__}_{self.precision}"
        fold_batch_norms(network)
        compute_in(network.eval().requires_grad_(False), DTYPES[self.precision])
        self._module: nn.Module = WholeNetwork(network)
        self._part: nn.Module = PartOfFrame(network) if isinstance(network, Guided) else self._module
        properties = torch.cuda.get_device_properties(self._device)
        self._gpu = f"{properties.name}_{properties.major}.{properties.minor}_{properties.multi_processor_count}"
        self._engines: Latest[tuple[Shape, ...], Any] = Latest()
        self._runs = DeviceRuns(self._device, self.sizes, self._prepared)

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes that a run takes at its most for each pixel of the output, about; an engine takes less."""
        return self._bytes_per_pixel

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device by anyone, and how many it has; None where it does not answer."""
        return memory_of(self._device)

    def describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return the statistics of two whole images, which say to their parts how bright the frame is."""
        return describe(thermal, visible)

    def run(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        lap: Callable[[str], None],
        frame: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the fused luma of two images; see :meth:`Backend.run`."""
        return on_device(self._runs.run, thermal, visible, lap, frame)

    def fuse_raw(self, pair: RawPair, lap: Callable[[str], None]) -> RawFused:
        """Return the finished image of a pair; see :meth:`Backend.fuse_raw`."""
        return on_device(self._runs.fuse_raw, pair, lap)

    def close(self) -> None:
        """Free the engines' memory; the back end cannot be run afterwards."""
        compute(self._free)

    def _free(self) -> None:
        self._runs.clear()
        self._engines.clear()
        self._module = self._part = None  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # a device that is lost
            torch.cuda.empty_cache()

    def _prepared(self, thermal: Shape, visible: Shape, is_part: bool) -> EngineRun:
        """Return the engine for images of these sizes, or for parts of them."""
        shapes: list[Shape] = [(1, 1, *thermal), (1, 1, *visible)]
        if is_part:
            shapes.append((1, 4))
        engine = self._engines.get(tuple(shapes), lambda: self._engine(shapes))
        return EngineRun(engine, (1, 1, *self.sizes.output_for(visible)), self._device)

    def _engine(self, shapes: Sequence[Shape]) -> Any:
        size = "_".join("x".join(map(str, shape[1:])) for shape in shapes)
        module = self._part if len(shapes) == 3 else self._module
        height, width = shapes[1][2:]
        return engine_for(
            engine_file(self._name, size, self._gpu),
            lambda: to_onnx(module, [torch.zeros(shape) for shape in shapes], INPUTS[: len(shapes)]),
            shapes,
            f"{self.model_name} in {self.precision} for {width}x{height} pixels",
        )
