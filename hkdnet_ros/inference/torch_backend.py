"""The back end of torch: the student network on CUDA or the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import ConfigError, DeviceError, OutOfMemoryError
from ..network.guided import BLOCK, Guided, frame_statistics
from .backend import Backend, copy_unit
from .checkpoint import FusingNetwork, load_guided, load_student, read_metadata, weights_path
from .compute_thread import compute
from .config import EngineConfig
from .device import DTYPES, choose_device, fast_precision, memory_of
from .device_runs import DeviceRuns
from .memory import give_back_buffers, keep_large_buffers
from .raw_pair import RawFused, RawPair
from .sizes import Sizes
from .tiles import Reach


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch normalisation that directly follows a convolution into it, in place (evaluation only)."""
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            conv, norm = module[index], module[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index], module[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def load_fusing(path: Path, scale: int) -> FusingNetwork:
    """Return the student for ``scale``, or the guided network, in ``path``; errors as :func:`load_student`."""
    if read_metadata(path).get("network") == "guided":
        return load_guided(path)[0]
    return load_student(path, scale=scale)[0]


def sizes_of(network: FusingNetwork) -> Sizes:
    """Return the sizes that ``network`` takes and gives."""
    if isinstance(network, Guided):
        return Sizes(thermal=1 if network.config.thermal_full else 2, visible=1)
    return Sizes(thermal=network.config.scale, visible=network.config.scale)


def reach_of(network: FusingNetwork) -> Reach | None:
    """Return how far ``network`` looks: a student attends to the whole image, a guided one knows it by ``frame``."""
    return Reach(network.reach, BLOCK) if isinstance(network, Guided) else None


def compute_in(network: FusingNetwork, dtype: torch.dtype) -> FusingNetwork:
    """Cast ``network`` in place, all but the convolutions at a student's ends, and return it.

    bfloat16 has 8 significant bits, no more than the images: rounded at the ends, ramps would show as bands. A guided
    network leaves the images themselves unrounded.
    """
    network.to(dtype)
    if not isinstance(network, Guided):
        network.first.float()
        network.output.float()
    return network


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Let float32 convolutions on CUDA be that: by default torch rounds what they multiply to TF32's 11 bits."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    ):
        yield


class TorchBackend(Backend):
    """A student or guided network in torch, on CUDA or the CPU."""

    def __init__(self, config: EngineConfig) -> None:
        on_device(self._load, config)

    def _load(self, config: EngineConfig) -> None:
        keep_large_buffers()
        self._device = choose_device(config.device)
        self.device = str(self._device)
        self.precision = fast_precision(self._device) if config.precision == "auto" else config.precision
        if config.precision == "fp16" and self._device.type == "cpu":
            raise ConfigError("precision fp16 needs CUDA; choose auto, fp32 or bf16 for a CPU")
        if config.threads:
            torch.set_num_threads(config.threads)
        path = weights_path(config.model, config.scale)
        self.model_name = path.stem if path.suffix == ".safetensors" else config.model
        self._network = load_fusing(path, config.scale)
        self.sizes, self.reach = sizes_of(self._network), reach_of(self._network)
        fold_batch_norms(self._network)
        self._network.to(self._device).requires_grad_(False)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        compute_in(self._network, DTYPES[self.precision])
        self._inputs = (_Input(), _Input())  # thermal, visible; on the CPU
        self._runs = DeviceRuns(self._device, self.sizes, lambda *_: self._fused)
        self.takes_raw = self._device.type == "cuda"

    def run(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        lap: Callable[[str], None],
        frame: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the fused luma of two images; see :meth:`Backend.run`."""
        return on_device(self._run, thermal, visible, lap, frame)

    def describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return the statistics of two whole images, (1, 4), which say to their parts how bright the frame is."""
        return on_device(self._describe, thermal, visible)

    def fuse_raw(self, pair: RawPair, lap: Callable[[str], None]) -> RawFused:
        """Return the finished image of a pair; see :meth:`Backend.fuse_raw`."""
        return on_device(self._runs.fuse_raw, pair, lap)

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes that a run takes at its most for each pixel of the output, about; shorter formats save little."""
        return 4 * self._network.floats_per_pixel

    @torch.inference_mode()
    def _describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        images = (own.fill(image).to(self._device) for own, image in zip(self._inputs, (thermal, visible), strict=True))
        found: NDArray[np.float32] = frame_statistics(*images).cpu().numpy()
        return found

    @torch.inference_mode()
    def _run(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        lap: Callable[[str], None],
        frame: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        if self._device.type == "cuda":
            return self._runs.run(thermal, visible, lap, frame)
        inputs = [own.fill(image) for own, image in zip(self._inputs, (thermal, visible), strict=True)]
        lap("upload")
        fused = self._fused(*inputs, *([] if frame is None else [torch.from_numpy(frame)]))[0, 0]
        lap("network")
        return fused.numpy()

    def _fused(self, *inputs: Tensor) -> Tensor:
        with full_float32():
            return self._network(*inputs).fused

    def close(self) -> None:
        """Free the network's memory, here and on the device; it cannot be run afterwards."""
        self._network = None  # type: ignore[assignment]
        self._inputs = (_Input(), _Input())
        self._runs.clear()
        if self._device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # a device that is lost
                torch.cuda.empty_cache()
        give_back_buffers()

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device by anyone, and how many it has; None for the CPU or where it does not answer."""
        return memory_of(self._device)


class _Input:
    """The memory of one input on the CPU, where its images are brought to float32."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0)

    def fill(self, image: NDArray[Any]) -> Tensor:
        """Return ``image`` as (1, 1, H, W) float32 in [0, 1]."""
        shape = (1, 1, *image.shape)
        if self._buffer.shape != shape:
            self._buffer = torch.empty(shape)
        copy_unit(image, self._buffer.numpy()[0, 0])
        return self._buffer


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether ``error`` is what numpy, torch, oneDNN or OpenVINO raise where memory runs out, on CUDA too."""
    words = (
        "can't allocate memory",
        "Failed to allocate",
        "bad_alloc",
        "bad allocation",
        "could not create a memory",
        "out of memory",
    )
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def is_device_failure(error: RuntimeError) -> bool:
    """Tell whether torch raised ``error`` because CUDA has no memory left or does not answer any more."""
    words = ("CUDA", "cuDNN", "CUDNN", "CUBLAS")  # torch's older versions have no class for these
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(word in str(error) for word in words)


def on_device(function: Callable[..., Any], *args: Any) -> Any:
    """Compute ``function(*args)``; a failure of the device becomes a :class:`DeviceError`, with its memory freed."""
    failure: type[DeviceError] = DeviceError
    try:
        return compute(function, *args)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            failure = OutOfMemoryError
        elif not isinstance(error, RuntimeError) or not is_device_failure(error):
            raise
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
        reason = (str(error) or type(error).__name__).splitlines()[0]
    # Outside of the clause: the exception's traceback keeps the tensors that should be freed.
    raise failure(f"the device failed: {reason}")
