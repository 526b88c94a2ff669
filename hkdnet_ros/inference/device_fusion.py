"""The way of one pair on a device: conditioned, registered, fused, coloured; one upload a camera and one download.

The same steps in the same order as :mod:`hkdnet_ros.perception.pipeline` takes them on the CPU, which says why.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device_images import Resize, Spread, TableSampling, blend, gray, join, split, to_levels
from .raw_pair import PairPlan, RawFused, RawPair
from .sizes import Sizes
from .static_run import Upload

Network = Callable[[Tensor, Tensor], Tensor]
"""Fuses thermal and visible, (1, 1, H, W) units, to (1, 1, H, W)."""

_SETTINGS = 4  # floats ahead of the thermal image: black, scale, whether it is turned round, gain
_MEASURES = 3  # floats behind the fused one: whether it is finite, and two spreads
_FLOAT = 4  # bytes
_TYPES = {"uint8": torch.uint8, "uint16": torch.int16, "float32": torch.float32}  # torch has no arithmetic of uint16


class PairWay:
    """The way of pairs of one plan, through ``network`` of ``sizes``."""

    def __init__(self, plan: PairPlan, network: Network, sizes: Sizes, device: torch.device) -> None:
        self._plan, self._network, self._sizes = plan, network, sizes
        width, height = plan.thermal_size
        self._thermal_shape = height, width
        self._type = _TYPES[plan.thermal_type]
        self._thermal: Resize | TableSampling = (
            Resize(plan.thermal_size, plan.thermal_input, device)
            if plan.table is None
            else TableSampling(plan.table, device)
        )
        left, top, columns, rows = plan.window
        self._window = slice(top, top + rows), slice(left, left + columns)
        self._shown = Resize((columns, rows), plan.shown, device)
        self._luma = Resize(plan.shown, plan.visible_input, device)
        self._chroma = Resize(plan.shown, plan.output, device)
        self._under_thermal = Resize(plan.visible_input, plan.thermal_input, device)
        self._alone = Resize(plan.visible_input, plan.output, device)
        self._fused = Resize(sizes.output_for(plan.visible_input), plan.output, device)
        self._thermal_spread = Spread(plan.thermal_size, device)
        self._visible_spread = Spread(plan.visible_input, device)
        self._weights = [None if weight is None else torch.from_numpy(weight).to(device) for weight in plan.weights]
        size = _FLOAT * _SETTINGS + width * height * np.dtype(plan.thermal_type).itemsize
        self.inputs = Upload((size,), torch.uint8, device), Upload(plan.visible_shape, torch.uint8, device)
        """The bytes of settings and thermal image, and the visible image."""

    def fill(self, pair: RawPair) -> None:
        """Write what the cameras sent, and this moment's settings, to where they are uploaded from."""
        thermal, visible = (each.host for each in self.inputs)
        settings = thermal[: _FLOAT * _SETTINGS].view(np.float32)
        settings[:] = pair.black, 1 / max(pair.span, 1e-6), pair.is_black_hot, pair.gain
        image = thermal[_FLOAT * _SETTINGS :].view(self._plan.thermal_type)
        np.copyto(image.reshape(self._thermal_shape), pair.thermal)
        np.copyto(visible, pair.visible)

    def compute(self, thermal_bytes: Tensor, visible_image: Tensor) -> Tensor:
        """Return the fused image's bytes and, behind them, those of what was measured; see :meth:`read`."""
        black, scale, is_turned, gain = thermal_bytes[: _FLOAT * _SETTINGS].view(torch.float32).unbind()
        counts = thermal_bytes[_FLOAT * _SETTINGS :].view(self._type).view(self._thermal_shape)
        if self._type == torch.int16:
            counts = counts.int() & 0xFFFF
        thermal = ((counts.float() - black) * scale).clamp(0, 1)
        thermal = thermal * (1 - 2 * is_turned) + is_turned
        thermal_spread = self._thermal_spread.of_units(thermal)
        registered = self._thermal.units(thermal)
        luma, chroma = self._visible(visible_image)
        visible_spread = self._visible_spread.of_levels(luma)
        alone = luma / 255
        on_thermal, on_output = self._weights
        if self._plan.is_filled and on_thermal is not None:
            registered = blend(registered, self._under_thermal.levels(luma) / 255, on_thermal)
        if self._sizes.visible > 1:
            registered = gain * registered + (1 - gain) * (self._under_thermal.levels(luma) / 255)
        fused = self._network(registered[None, None], alone[None, None])[0, 0].float()
        is_finite = fused.isfinite().all()
        fused = fused.clamp(0, 1)
        if self._sizes.visible == 1:
            fused = gain * fused + (1 - gain) * alone
        fused = self._fused.units(fused)
        if self._plan.is_filled and on_output is not None:
            fused = blend(fused, self._alone.units(alone), on_output)
        levels = to_levels(fused)
        image = levels.byte() if chroma is None else join(levels, *self._chroma.levels(chroma))
        measures = torch.stack([is_finite.float(), thermal_spread, visible_spread])
        return torch.cat([image.flatten(), measures.view(torch.uint8)])

    def read(self, result: NDArray[np.uint8]) -> RawFused:
        """Return what :meth:`compute` gave, in memory of its own."""
        is_finite, thermal_spread, visible_spread = result[-_FLOAT * _MEASURES :].copy().view(np.float32).tolist()
        width, height = self._plan.output
        shape = (height, width, 3) if self._plan.is_color else (height, width)
        image = result[: -_FLOAT * _MEASURES].reshape(shape).copy()
        return RawFused(image, bool(is_finite), thermal_spread, visible_spread)

    def _visible(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return luma at the size that the network takes, and Cr and Cb, all in levels."""
        shown = image[self._window]
        if shown.dim() == 2:
            return self._luma.levels(self._shown.levels(shown.float())), None
        colors = shown.permute(2, 0, 1)[:3]
        if self._plan.encoding.startswith("rgb"):
            colors = colors.flip(0)
        colors = self._shown.levels(colors.float())
        if not self._plan.is_color:
            return self._luma.levels(gray(colors)), None
        planes = split(colors)
        return self._luma.levels(planes[0]), planes[1:]
