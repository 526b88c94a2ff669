"""What a back end does with pairs on a device: lumas that were prepared on the CPU, or images as cameras send them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .backend import copy_unit
from .cuda_graph import GraphRecorder
from .device import made_current, memory_of
from .device_fusion import PairWay
from .latest import Latest
from .raw_pair import PairPlan, RawFused, RawPair
from .sizes import Sizes
from .static_run import StaticRun, Upload

Shape = tuple[int, ...]

Prepare = Callable[[Shape, Shape, bool], Callable[..., Tensor]]
"""Returns what fuses thermal and visible, (1, 1, H, W) units, for two shapes (H, W), to (1, 1, H, W).

Where the third is true it takes what is known of the whole frame besides, (1, 4), for these are parts of it.
"""


class DeviceRuns:
    """Fuses pairs of any sizes on one device, from and to fixed memory for each size; one thread at a time calls it."""

    def __init__(self, device: torch.device, sizes: Sizes, prepare: Prepare) -> None:
        self._device, self._sizes, self._prepare = device, sizes, prepare
        self._recorder = GraphRecorder(device)
        self._lumas: Latest[tuple[Shape, Shape, bool], StaticRun] = Latest()
        self._pairs: Latest[PairPlan, tuple[PairWay, StaticRun]] = Latest()

    @property
    def failures(self) -> int:
        """How many sizes are launched kernel by kernel, for they could not be captured as a graph."""
        return self._recorder.failures

    @torch.inference_mode()
    def run(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        lap: Callable[[str], None],
        frame: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """Return the fused luma of two lumas; see :meth:`.backend.Backend.run`."""
        key = thermal.shape, visible.shape, frame is not None
        with made_current(self._device):
            run = self._lumas.get(key, lambda: self._luma_run(*key))
            for image, each in zip((thermal, visible), run.inputs, strict=False):
                copy_unit(image, each.host[0, 0])
            if frame is not None:
                np.copyto(run.inputs[2].host, frame)
            return run(lap)

    @torch.inference_mode()
    def fuse_raw(self, pair: RawPair, lap: Callable[[str], None]) -> RawFused:
        """Return the finished image of a pair; see :meth:`.backend.Backend.fuse_raw`."""
        with made_current(self._device):
            way, run = self._pairs.get(pair.plan, lambda: self._pair_run(pair.plan))
            way.fill(pair)
            return way.read(run(lap))

    def clear(self) -> None:
        """Free the memory of all sizes, and their graphs; that of a device which is lost stays.

        To give page-locked memory back torch records an event on the device. Where that fails, the process ends.
        """
        if self._device.type == "cuda" and memory_of(self._device) is None:
            for runs in (self._lumas, self._pairs):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(runs))  # not even at the end of the process
            self._lumas, self._pairs = Latest(), Latest()
            return
        self._lumas.clear()
        self._pairs.clear()

    def _luma_run(self, thermal: Shape, visible: Shape, is_part: bool) -> StaticRun:
        network = self._prepare(thermal, visible, is_part)
        shapes: list[Shape] = [(1, 1, *thermal), (1, 1, *visible)]
        if is_part:
            shapes.append((1, 4))
        inputs = [Upload(shape, torch.float32, self._device) for shape in shapes]
        return StaticRun(inputs, lambda *images: network(*images)[0, 0].float(), self._device, self._recorder)

    def _pair_run(self, plan: PairPlan) -> tuple[PairWay, StaticRun]:
        network = self._prepare(plan.thermal_input[::-1], plan.visible_input[::-1], False)
        way = PairWay(plan, network, self._sizes, self._device)
        return way, StaticRun(way.inputs, way.compute, self._device, self._recorder)
