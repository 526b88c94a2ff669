"""Several processes, which torchrun starts, train one network: each on its own batches, by the mean of their gradients.

DistributedDataParallel is not used: it averages behind the forward of one module, and the loss of a step here calls
several (student, teacher, adapters). After backward, one reduction over all gradients does the same.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import ConfigError
from ..inference.device import choose_device

PATIENCE = timedelta(hours=2)
"""How long the others wait for the first process, which alone validates."""


@contextlib.contextmanager
def joined(device: str) -> Iterator[str]:
    """Make this process one of torchrun's group for the length of the block, and yield the device it is to train on.

    Of the processes on a host each gets a GPU of its own where ``device`` is ``auto`` or ``cuda``. Without torchrun's
    WORLD_SIZE, or where that is 1, ``device`` comes back and nothing else happens. Raises :class:`ConfigError` for a
    device that is not there and where the group cannot be joined.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield device
        return
    if not dist.is_available():  # as in some builds for Jetson
        raise ConfigError("this build of PyTorch has no torch.distributed; start one process, without torchrun")
    if device in ("auto", "cuda") and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    chosen = choose_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    try:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"the other processes cannot be joined ({reason}); start all with torchrun") from error
    yield str(chosen)
    # Not after an error: that ends this process, by which torchrun ends the others; leaving could wait for them.
    dist.destroy_process_group()


def is_joined() -> bool:
    """Tell whether there are other processes."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Return this process's number in the group, 0 for one that is alone."""
    return dist.get_rank() if is_joined() else 0


def is_first() -> bool:
    """Tell whether this process is the one that validates, logs and writes files."""
    return rank() == 0


def mean_of_all(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in place, in one reduction; NaN of one reaches all.

    Every process must give tensors of the same shapes and of one type.
    """
    if not is_joined():
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view(tensor.shape))


def share(state: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the first process's ``state`` of tensors and plain values, on ``device``."""
    if not is_joined():
        return state
    file = io.BytesIO()
    if is_first():
        torch.save(state, file)
    content = [file.getvalue()]
    dist.broadcast_object_list(content, src=0)
    return torch.load(io.BytesIO(content[0]), map_location=device, weights_only=True)


def wait() -> None:
    """Return when all processes have come here."""
    if is_joined():
        dist.barrier(device_ids=[torch.cuda.current_device()] if dist.get_backend() == "nccl" else None)
