"""TensorRT's engines: built from ONNX once for a GPU, a version and a size, kept, and run on torch's memory.

A build takes minutes on a small robot. TensorRT comes with the system, as JetPack brings it: it is never installed by
this package. One network builds with versions 10 and 11: it is strongly typed, so that the file alone says what is
computed in which format.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..errors import ConfigError, DeviceError, MissingDependencyError
from .cache import cache_folder, keep, kept

try:
    import tensorrt
except ImportError as error:
    raise MissingDependencyError(
        f"backend tensorrt needs NVIDIA's Python package tensorrt, which {sys.executable} cannot import ({error}); "
        "install it with the system (on a Jetson: apt install python3-libnvinfer, and a virtual environment that sees "
        "the system's packages), or choose backend torch"
    ) from error

Shape = tuple[int, ...]

INPUTS = ("thermal", "visible", "frame")
"""What the inputs of a network in ONNX are called, in their order; the last is there for parts of a frame only."""
OUTPUT = "fused"

OLDEST = 10
"""The first version of TensorRT whose networks can be strongly typed and whose builder says how far it is."""

_WORKSPACE = 1 << 30  # bytes that a layer may take while it runs


def check_version() -> None:
    """Raise :class:`ConfigError` for a TensorRT that is too old."""
    if int(tensorrt.__version__.partition(".")[0]) < OLDEST:
        raise ConfigError(
            f"TensorRT {tensorrt.__version__} is here, and backend tensorrt needs {OLDEST} or later (JetPack 6.1); "
            "choose backend torch"
        )


def engine_file(network: str, size: str, gpu: str) -> Path:
    """Return where the engine of a network is kept: for images of ``size``, on a ``gpu``, in this version of TensorRT.

    ``network`` names preset, weights and number format.
    """
    name = re.sub(r"[^\w.]+", "-", f"{network}_{size}_{gpu}_trt{tensorrt.__version__}")
    return cache_folder() / "tensorrt" / f"{name}.engine"


def engine_for(path: Path, make_onnx: Callable[[], bytes], shapes: Sequence[Shape], title: str) -> Any:
    """Return the engine in ``path``; where there is none that can be read, it is built from ONNX and kept there.

    ``shapes`` are those of the inputs :data:`INPUTS`; ``title`` names the engine beside the progress of its build.
    Raises what :func:`build` does.
    """
    plan = kept(path)
    engine = None if plan is None else load(plan)
    if engine is None:
        plan = build(make_onnx(), shapes, title)
        keep(path, plan)
        engine = _load_built(plan, title)
    return engine


def load(plan: bytes) -> Any:
    """Return the engine of what :func:`build` gave; None for what is damaged, or is of another version or GPU."""
    return tensorrt.Runtime(_logger()).deserialize_cuda_engine(plan)


def _load_built(plan: bytes, title: str) -> Any:
    engine = load(plan)
    if engine is None:
        raise DeviceError(f"TensorRT cannot load the engine that it built for {title}; its own messages stand above")
    return engine


def build(onnx: bytes, shapes: Sequence[Shape], title: str) -> bytes:
    """Return the engine of a network in ONNX for inputs of these shapes, as bytes for this version and this GPU.

    Raises :class:`ConfigError` for a network that TensorRT cannot read and :class:`DeviceError` where the build fails.
    """
    logger = _logger()
    builder = tensorrt.Builder(logger)
    # Version 11 knows no other networks and ignores the flag.
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ConfigError(f"TensorRT {tensorrt.__version__} cannot read {title} ({reasons}); choose backend torch")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # float32 that is asked for is meant
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    _fix_sizes(builder, network, config, shapes)
    with tqdm(total=100, desc=f"TensorRT builds {title}, once", unit="%") as bar:
        monitor = _monitor(BuildProgress(lambda percent: bar.update(percent - bar.n)))
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DeviceError(
            f"TensorRT {tensorrt.__version__} cannot build {title}; its own messages stand above; choose backend torch"
        )
    return bytes(plan)


def _fix_sizes(builder: Any, network: Any, config: Any, shapes: Sequence[Shape]) -> None:
    """Let a network that takes images of any size be built for these alone."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    if not any(-1 in tuple(each.shape) for each in inputs):
        return
    profile = builder.create_optimization_profile()
    for each, shape in zip(inputs, shapes, strict=True):
        profile.set_shape(each.name, shape, shape, shape)
    config.add_optimization_profile(profile)


class BuildProgress:
    """How far a build is, from what TensorRT says of its phases, which lie within each other; any thread may say it."""

    def __init__(self, show: Callable[[int], object]) -> None:
        """``show`` hears of each whole percent once, in rising order."""
        self._show = show
        self._shown = 0
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Hear of a phase of so many steps, within a step of its parent."""
        with self._lock:
            self._phases[phase] = _Phase(parent, max(steps, 1))

    def step(self, phase: str, step: int) -> None:
        """Hear that ``step`` of a phase, counted from 0, is done."""
        with self._lock:
            if phase in self._phases:
                self._phases[phase].done = step + 1
                self._update()

    def finish(self, phase: str) -> None:
        """Hear that a phase has ended, whether it took all of its steps or not."""
        with self._lock:
            ended = self._phases.pop(phase, None)
            if ended is not None and ended.parent is None:
                self._update(100)

    def _update(self, percent: int | None = None) -> None:
        if percent is None:
            outermost = [name for name, phase in self._phases.items() if phase.parent is None]
            percent = int(100 * max(map(self._share, outermost), default=0))
        if percent > self._shown:
            self._shown = percent
            self._show(percent)

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        inner = (self._share(child) for child, inside in self._phases.items() if inside.parent == name)
        return min((phase.done + max(inner, default=0.0)) / phase.steps, 1.0)


class _Phase:
    def __init__(self, parent: str | None, steps: int) -> None:
        self.parent, self.steps, self.done = parent, steps, 0


def _monitor(progress: BuildProgress) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        """What TensorRT calls; from C++, so that no exception may leave it."""

        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(phase_name, step)
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()


@functools.cache
def _logger() -> Any:
    """Return the one logger of the process: TensorRT keeps the first that it is given, and warns of others."""
    return tensorrt.Logger(tensorrt.Logger.WARNING)


class EngineRun:
    """An engine that reads from and writes to memory of torch, as a network of torch does."""

    def __init__(self, engine: Any, output: Shape, device: torch.device) -> None:
        self._context = engine.create_execution_context()  # its own, for what is captured as a graph keeps it
        self._engine, self._output, self._device = engine, output, device

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the fused luma of float32 lumas, (1, 1, H, W) each, before it is computed: in the stream's order."""
        output = torch.empty(self._output, device=self._device)
        held = [each.contiguous() for each in inputs]
        for name, tensor in zip((*INPUTS[: len(held)], OUTPUT), (*held, output), strict=True):
            self._context.set_tensor_address(name, tensor.data_ptr())
            if name != OUTPUT:
                self._context.set_input_shape(name, tuple(tensor.shape))
        if not self._context.execute_async_v3(torch.cuda.current_stream(self._device).cuda_stream):
            raise RuntimeError("TensorRT's execution on CUDA failed; its own messages stand above")
        return output


def run_once(path: Path, inputs: Sequence[Tensor], output: Shape) -> NDArray[np.float32]:
    """Return what a file of ONNX makes of ``inputs``, built for them and kept nowhere; raises as :func:`build`."""
    check_version()
    device = torch.device("cuda")
    plan = build(path.read_bytes(), [tuple(each.shape) for each in inputs], path.name)
    run = EngineRun(_load_built(plan, path.name), output, device)
    fused: NDArray[np.float32] = run(*(each.to(device) for each in inputs)).cpu().numpy()
    return fused
