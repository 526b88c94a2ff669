"""Computations that read and write at fixed places in memory, so that a device can replay them.

Between what comes from the CPU and what goes back to it nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from .cuda_graph import GraphRecorder


class Upload:
    """One input: where the CPU writes it, and where the device reads it."""

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.tensor = torch.zeros(tuple(shape), dtype=dtype, device=device)
        # From page-locked memory alone a copy to CUDA need not be waited for.
        self._staging = (
            torch.zeros(tuple(shape), dtype=dtype, pin_memory=True) if device.type == "cuda" else self.tensor
        )
        self.host: NDArray[Any] = self._staging.numpy()
        """What the CPU writes to; not before the run that reads it has returned."""

    def send(self) -> None:
        """Begin to bring what the CPU wrote to the device."""
        if self._staging is not self.tensor:
            self.tensor.copy_(self._staging, non_blocking=True)


class StaticRun:
    """A computation of some inputs, ready to be run again and again."""

    def __init__(
        self,
        inputs: Sequence[Upload],
        compute: Callable[..., Tensor],
        device: torch.device,
        recorder: GraphRecorder,
    ) -> None:
        """``compute`` takes the tensors of ``inputs`` and returns one; it is run here, with what they hold."""
        self.inputs = inputs
        self._compute = compute  # kept, for a graph works in memory of what it was captured from
        tensors = [each.tensor for each in inputs]
        first = compute(*tensors)
        self._device = device
        self._output = torch.empty(first.shape, dtype=first.dtype, device=device)
        self._landing = (
            torch.empty(first.shape, dtype=first.dtype, pin_memory=True) if device.type == "cuda" else self._output
        )
        del first
        self._launch = recorder.record(lambda: self._output.copy_(compute(*tensors)))

    def __call__(self, lap: Callable[[str], None]) -> NDArray[Any]:
        """Return what comes of the inputs' present content; the next call writes to it again.

        ``lap("upload")`` is called when the copies have begun, ``lap("network")`` when the result is here.
        """
        for each in self.inputs:
            each.send()
        lap("upload")
        self._launch()
        if self._landing is not self._output:
            self._landing.copy_(self._output, non_blocking=True)
            torch.cuda.current_stream(self._device).synchronize()
        lap("network")
        result: NDArray[Any] = self._landing.numpy()
        return result
