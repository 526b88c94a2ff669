"""A computation on CUDA that is launched as one, not kernel by kernel.

A small network is hundreds of kernels of some microseconds each: launched one by one they leave a large GPU idle.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch

_log = logging.getLogger(__name__)

_WARM_UPS = 3
"""Runs before a capture, in which libraries choose and allocate: as torch's documentation of CUDA graphs has it."""


class GraphRecorder:
    """Makes computations of one device replay as CUDA graphs; one thread at a time calls it.

    All graphs share one pool of memory. What one leaves there is overwritten by the next, so that a computation keeps
    nothing: it reads from and writes to memory of its caller.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None
        self.failures = 0
        """How many computations could not be captured, and are launched kernel by kernel."""

    def record(self, launch: Callable[[], object]) -> Callable[[], object]:
        """Return what does as ``launch`` does, from and to the same memory, in one launch.

        ``launch`` is run for that. On the CPU, and where it cannot be captured, it is returned itself. The first
        failure is logged.
        """
        if self._device.type != "cuda":
            return launch
        try:
            return self._captured(launch)
        except RuntimeError as error:  # CUDA's, and torch's own for what cannot be part of a graph
            self.failures += 1
            self._pool = None  # the next ones have nothing to do with what is left in it
            if self.failures == 1:
                cause = error.__context__ or error  # leaving a capture that was spoilt raises once more
                reason = (str(cause) or type(cause).__name__).splitlines()[0]
                _log.warning(
                    "the network could not be captured as a CUDA graph (%s); its kernels are launched one by one, which"
                    " gives the same picture more slowly",
                    reason,
                )
        return launch

    def _captured(self, launch: Callable[[], object]) -> Callable[[], object]:
        with torch.cuda.device(self._device):
            current, side = torch.cuda.current_stream(), torch.cuda.Stream()
            side.wait_stream(current)
            pool = self._pool or torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            # Around the capture, too: torch stays in the stream of one that fails. What libraries keep for a stream
            # is there from the warm-up on.
            with torch.cuda.stream(side), _fastest_kernels():
                for _ in range(_WARM_UPS):
                    launch()
                # Only this thread's calls may spoil the capture: a robot's process has others that use CUDA.
                with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                    launch()
            current.wait_stream(side)
            self._pool = pool
        return graph.replay


@contextlib.contextmanager
def _fastest_kernels() -> Iterator[None]:
    """Let cuDNN time its kernels for each new shape: a graph keeps what was chosen."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled, benchmark=True, deterministic=cudnn.deterministic, allow_tf32=cudnn.allow_tf32
    ):
        yield
