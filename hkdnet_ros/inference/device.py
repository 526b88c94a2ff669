"""Which device to compute on, and in which number format."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import ConfigError
from .processor import cpu_has_bf16

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """Return the device of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; :class:`ConfigError` where there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {name!r}; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device is {name!r} but torch sees {torch.cuda.device_count()} CUDA devices; choose another")
    return device


def made_current(device: torch.device) -> AbstractContextManager[object]:
    """Let what asks CUDA for the current device find ``device`` meanwhile, as TensorRT does; on a CPU do nothing."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def memory_of(device: torch.device) -> tuple[int, int] | None:
    """Return the bytes in use on ``device`` by anyone, and how many it has; None for the CPU or one that is lost."""
    if device.type != "cuda":
        return None
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:
        return None
    return total - free, total


def has_bf16(device: torch.device) -> bool:
    """Tell whether ``device`` computes in bfloat16 at speed."""
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()


def fast_precision(device: torch.device) -> str:
    """Return the fastest format of ``device`` that may keep the picture: fp16 on CUDA, bf16 or fp32 on a CPU."""
    if device.type == "cuda":
        return "fp16"
    return "bf16" if cpu_has_bf16() else "fp32"
