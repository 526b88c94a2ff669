"""The engine: the student network behind numpy images, on CUDA or the CPU."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import ConfigError, DeviceError, ImageError
from ..network.student import Student
from .checkpoint import load_student, weights_path
from .compute_thread import compute
from .config import EngineConfig as EngineConfig
from .device import DTYPES, choose_device, fast_precision
from .memory import give_back_buffers, keep_large_buffers

LEAST_AGREEMENT = 45.0
"""PSNR in dB to fp32 that a faster format must reach for ``precision: auto`` to use it."""


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch normalisation that directly follows a convolution into it, in place (evaluation only)."""
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            conv, norm = module[index], module[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index], module[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def compute_in(network: Student, dtype: torch.dtype) -> Student:
    """Cast ``network`` in place, all but the convolutions at its ends, and return it.

    bfloat16 has 8 significant bits, no more than the images: rounded at the ends, ramps would show as bands.
    """
    network.to(dtype)
    network.head.conv1.float()
    network.output.float()
    return network


def rounding_scene(size: int = 96) -> tuple[Tensor, Tensor]:
    """Return a pair, (1, 1, size, size) each, with what matters to rounding: ramps, edges, fine texture, a hot disc."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    disc = ((x - 0.6).square() + (y - 0.5).square() < 0.03).float()
    texture = 0.1 * torch.sin(40 * math.pi * x) * torch.sin(28 * math.pi * y)
    thermal = (0.3 * y + 0.6 * disc + 0.05).clamp(0, 1)
    visible = (0.5 * x + 0.3 * (y > 0.4).float() + texture + 0.1).clamp(0, 1)
    return thermal[None, None], visible[None, None]


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Let float32 convolutions on CUDA be that: by default torch rounds what they multiply to TF32's 11 bits."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    ):
        yield


class FusionEngine:
    """Fuses and super-resolves pairs of luma images with a student network.

    Not thread-safe: one thread calls :meth:`fuse` at a time. Raises :class:`CheckpointError` for weights that cannot
    be loaded and :class:`ConfigError` for a device or precision that cannot be had. Every call may raise
    :class:`DeviceError` where CUDA runs out of memory or is lost.
    """

    def __init__(self, config: EngineConfig | None = None) -> None:
        _on_device(self._load, config or EngineConfig())

    def _load(self, config: EngineConfig) -> None:
        keep_large_buffers()
        self._device = choose_device(config.device)
        if config.precision == "fp16" and self._device.type == "cpu":
            raise ConfigError("precision fp16 needs CUDA; choose auto, fp32 or bf16 for a CPU")
        if config.threads:
            torch.set_num_threads(config.threads)
        path = weights_path(config.model, config.scale)
        self._name = path.stem if path.suffix == ".safetensors" else config.model
        self._network, self._metadata = load_student(path, scale=config.scale)
        self._scale = self._network.config.scale  # known after close(), too
        fold_batch_norms(self._network)
        self._network.to(self._device).requires_grad_(False)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._precision = self._settle_precision(config.precision)
        compute_in(self._network, DTYPES[self._precision])
        self._input = torch.empty(0)
        self._staging = torch.empty(0)
        self._output = torch.empty(0)
        self._timings: dict[str, float] = {}

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self._scale

    @property
    def device(self) -> str:
        """The device in torch's words, such as ``cpu`` or ``cuda``."""
        return str(self._device)

    @property
    def precision(self) -> str:
        """The format computed in: ``fp32``, ``fp16`` or ``bf16``."""
        return self._precision

    @property
    def model_name(self) -> str:
        """The weights' file name without suffix, such as ``realtime_x2``."""
        return self._name

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the checkpoint says about its training."""
        return self._metadata

    @property
    def timings(self) -> Mapping[str, float]:
        """Milliseconds of the last call by stage: upload, network, download."""
        return self._timings

    def _agreement(self, precision: str) -> float:
        """Return the PSNR in dB between ``precision`` and the fp32 network on a built-in test scene."""
        thermal, visible = (image.to(self._device) for image in rounding_scene())
        with torch.inference_mode(), full_float32():
            exact = self._network(thermal, visible).fused
            rounded = compute_in(copy.deepcopy(self._network), DTYPES[precision])
            fast = rounded(thermal, visible).fused
        error = float((exact.clamp(0, 1) - fast.clamp(0, 1)).square().mean())
        if not math.isfinite(error):  # fp16 ends at 65504
            return -math.inf
        return 10 * math.log10(1 / error) if error > 0 else math.inf

    def _settle_precision(self, wanted: str) -> str:
        if wanted == "fp32":
            return wanted
        if wanted != "auto":
            if self._agreement(wanted) == -math.inf:
                raise ConfigError(f"precision {wanted} overflows in {self._name}; choose auto or fp32")
            return wanted
        fast = fast_precision(self._device)
        if fast == "fp32" or self._agreement(fast) >= LEAST_AGREEMENT:
            return fast
        return "fp32"

    def warm_up(self, height: int, width: int) -> float:
        """Run twice at this input size, so that the first real frame is as fast as the rest; return the seconds."""
        began = time.perf_counter()
        gray = np.full((height, width), 0.5, np.float32)
        for _ in range(2):
            self.fuse(gray, gray)
        return time.perf_counter() - began

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return the fused luma, float32 (scale H, scale W) in [0, 1], a new array.

        ``thermal`` and ``visible`` are (H, W) of one size of at least 16x16, each uint8 or float32 in [0, 1]; they may
        be strided and read-only. Raises :class:`ImageError` for anything else, NaN included, and where the network
        overflows, as fp16 might on a scene unlike all that it was tried on.
        """
        _check_images(thermal, visible)
        return _on_device(self._fuse, thermal, visible)

    @torch.inference_mode()
    def _fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        start = time.perf_counter()
        inputs = self._upload(thermal, visible)
        uploaded = self._now()
        with full_float32():
            fused = self._network(inputs[:1], inputs[1:]).fused
        total = fused.sum()
        fused.clamp_(0, 1)
        computed = self._now()
        if not math.isfinite(total):
            raise ImageError(f"the output of {self._name} is not finite in {self._precision}; set precision to fp32")
        result = self._download(fused[0, 0])
        end = time.perf_counter()
        self._timings = {
            "upload": (uploaded - start) * 1e3,
            "network": (computed - uploaded) * 1e3,
            "download": (end - computed) * 1e3,
        }
        return result

    def close(self) -> None:
        """Free the network's memory, here and on the device; the engine cannot be used afterwards."""
        self._network = None  # type: ignore[assignment]
        self._input = self._staging = self._output = torch.empty(0)
        if self._device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # a device that is lost
                torch.cuda.empty_cache()
        give_back_buffers()

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes in use on the device by anyone, and how many it has; None for the CPU or where it does not answer."""
        if self._device.type != "cuda":
            return None
        try:
            free, total = torch.cuda.mem_get_info(self._device)
        except RuntimeError:
            return None
        return total - free, total

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _upload(self, thermal: NDArray[Any], visible: NDArray[Any]) -> Tensor:
        """Fill the input buffer, (2, 1, H, W) float32 on the device, thermal first."""
        shape = (2, 1, *thermal.shape)
        if self._input.shape != shape:
            on_cuda = self._device.type == "cuda"
            self._input = torch.empty(shape, device=self._device)
            # Copies to CUDA are quick and need no wait from page-locked memory only.
            self._staging = torch.empty(shape, pin_memory=True) if on_cuda else self._input
            self._output = torch.empty([side * self.scale for side in thermal.shape], pin_memory=on_cuda)
        staging = self._staging.numpy()
        for index, image in enumerate((thermal, visible)):
            if image.dtype == np.uint8:
                np.multiply(image, np.float32(1 / 255), out=staging[index, 0], casting="unsafe", dtype=np.float32)
            else:
                np.copyto(staging[index, 0], image)
        if self._staging is not self._input:
            self._input.copy_(self._staging, non_blocking=True)
        return self._input

    def _download(self, fused: Tensor) -> NDArray[np.float32]:
        if self._device.type == "cpu":
            own: NDArray[np.float32] = fused.contiguous().numpy()
            return own
        self._output.copy_(fused)
        # The page-locked buffer is written again by the next call: the caller gets memory of its own.
        copied: NDArray[np.float32] = self._output.numpy().copy()
        return copied


def is_device_failure(error: RuntimeError) -> bool:
    """Tell whether torch raised ``error`` because CUDA has no memory left or does not answer any more."""
    words = ("CUDA", "cuDNN", "CUDNN", "CUBLAS")  # torch's older versions have no class for these
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(word in str(error) for word in words)


def _on_device(function: Callable[..., Any], *args: Any) -> Any:
    """Compute ``function(*args)``; a failure of the device becomes a :class:`DeviceError`, with its memory freed."""
    try:
        return compute(function, *args)
    except RuntimeError as error:
        if not is_device_failure(error):
            raise
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
        reason = str(error).splitlines()[0]
    # Outside of the clause: the exception's traceback keeps the tensors that should be freed.
    raise DeviceError(f"the device failed: {reason}")


def _check_images(thermal: NDArray[Any], visible: NDArray[Any]) -> None:
    for name, image in (("thermal", thermal), ("visible", visible)):
        if image.ndim != 2 or min(image.shape) < 16:
            raise ImageError(f"{name} luma has shape {image.shape}; expected (H, W) of at least 16x16")
        if image.dtype == np.uint8:
            continue
        if image.dtype != np.float32:
            raise ImageError(f"{name} luma is {image.dtype}; expected uint8, or float32 in [0, 1]")
        low, high = float(image.min()), float(image.max())
        if not (low >= 0 and high <= 1):  # NaN compares false
            raise ImageError(f"{name} luma spans {low:g} to {high:g}; expected float32 in [0, 1] without NaN")
    if thermal.shape != visible.shape:
        raise ImageError(f"thermal luma is {thermal.shape}, visible {visible.shape}; bring both to one size")
