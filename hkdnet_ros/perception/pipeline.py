"""The way of one pair: conditioned, registered, fused in luma at high resolution, coloured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..images import color
from ..images.blank import is_blank
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from ..images.resampling import resample
from ..inference.engine_api import Engine
from ..inference.sizes import SMALLEST
from ..stage_clock import StageClock
from .config import PerceptionConfig
from .mode import FUSED
from .plan import NO_SIZE, Plan, Planner, Size, size_of
from .thermal import ThermalConditioner


class FusionPipeline:
    """Turns pairs into fused frames, one after the other (the thermal range is carried from frame to frame)."""

    def __init__(self, engine: Engine, config: PerceptionConfig | None = None) -> None:
        """``config`` is that of all stages, of which the pipeline has ``pipeline`` and ``thermal``."""
        config = config or PerceptionConfig()
        self._config = config.pipeline
        self._conditioner = ThermalConditioner(config.thermal)
        self._planner = Planner(engine)

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Go by other settings from the next frame on; the thermal range is kept. Any thread may call this."""
        self._config = config.pipeline
        self._conditioner.reconfigure(config.thermal)

    def plan(self, thermal: Frame | None, visible: Frame | None) -> Plan:
        """Return how a pair, or the one image where the other is None, will be fused.

        Raises :class:`ImageError` for an image that is smaller than 16x16.
        """
        for frame, stream in ((thermal, THERMAL), (visible, VISIBLE)):
            if frame is not None:
                _check(frame, stream)
        if thermal is None:
            assert visible is not None
            return self._planner.visible(visible, self._config)
        if visible is None:
            return self._planner.thermal(thermal, self._config)
        return self._planner.pair(thermal, visible, self._config)

    def begin_anew(self) -> None:
        """Forget the thermal range with which the next frame has nothing to do: its stream's clock has jumped back."""
        self._conditioner.begin_anew()

    def process(self, pair: Pair) -> FusedFrame:
        """Fuse one pair to the output size of its :meth:`plan`, with stamp and frame of the visible image.

        A visible image that shows nothing (:func:`~hkdnet_ros.images.blank.is_blank`) is no guide, and would whiten or
        flatten what thermal shows: then the thermal image itself is enlarged, and the mode of the result is THERMAL.
        ``timings`` has "thermal", "registration", "color" and the engine's own stages. Raises :class:`ImageError` for
        an image that is smaller than 16x16 or has NaN, and for a visible one of floats.
        """
        clock = StageClock()
        plan = self.plan(pair.thermal, pair.visible)
        thermal = self._thermal(pair.thermal, clock)
        luma, chroma = self._visible(pair.visible, plan, clock)
        if is_blank(luma) and not is_blank(thermal):
            plan = dataclasses.replace(plan, thermal=NO_SIZE)
            fused = self._fuse(plan, thermal, thermal, chroma, pair.visible, THERMAL, clock)
        else:
            registered = _registered(thermal, plan.thermal, clock)
            fused = self._fuse(plan, registered, luma, chroma, pair.visible, FUSED, clock)
        return dataclasses.replace(fused, thermal=thermal)

    def process_alone(self, stream: str, frame: Frame) -> FusedFrame:
        """Return the image of one stream at the output's size; the mode of the result is ``stream``.

        A network that takes both images at one size gets the luma of that image as both of its inputs: what two equal
        images have in common is the image itself, so that what it adds is the resolution. One that takes the visible
        image at the output's size has nothing to add to either, and thermal is enlarged as it is. The thermal image
        gives gray with its own stamp and frame. Raises what :meth:`process` does.
        """
        clock = StageClock()
        if stream == VISIBLE:
            plan = self.plan(None, frame)
            luma, chroma = self._visible(frame, plan, clock)
            thermal = _registered(luma, plan.thermal, clock) if plan.needs_network else luma
            return self._fuse(plan, thermal, luma, chroma, frame, stream, clock)
        plan = self.plan(frame, None)
        conditioned = self._thermal(frame, clock)
        luma = registered = conditioned
        if plan.needs_network:
            registered = _registered(conditioned, plan.thermal, clock)
            luma = _registered(registered, plan.visible, clock)
        fused = self._fuse(plan, registered, luma, None, frame, stream, clock)
        return dataclasses.replace(fused, thermal=conditioned)

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the thermal image that would be fused, (H, W) float32 in [0, 1] at its own size, and fuse nothing.

        Raises what :meth:`process` does.
        """
        _check(frame, THERMAL)
        return self._conditioner.condition(frame)

    def _thermal(self, frame: Frame, clock: StageClock) -> NDArray[np.float32]:
        thermal = self._conditioner.condition(frame)
        clock.lap("thermal")
        return thermal

    def _visible(self, frame: Frame, plan: Plan, clock: StageClock) -> tuple[NDArray[Any], color.Chroma | None]:
        """Return luma at the size that the engine takes, and chroma where the output has colour."""
        width, height = plan.engine.sizes.output_for(plan.visible)
        # More visible pixels than the output has serve nothing after this. Means of means over whole pixels are
        # means, so that shrinking twice, to the output and then to the grid, is still correct in area.
        rows, columns = frame.image.shape[:2]
        visible = resample(frame.image, min(columns, width), min(rows, height))
        clock.lap("registration")
        luma: NDArray[Any]
        chroma: color.Chroma | None = None
        if self._config.output == "auto" and color.is_color(frame.encoding):
            luma, chroma = color.split(visible, frame.encoding)
        else:
            luma = color.luma(visible, frame.encoding)
        clock.lap("color")
        return _registered(luma, plan.visible, clock), chroma

    def _fuse(
        self,
        plan: Plan,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        chroma: color.Chroma | None,
        source: Frame,
        mode: str,
        clock: StageClock,
    ) -> FusedFrame:
        """Return the fused frame of two lumas, or of the second where none are fused, with stamp and frame of
        ``source``.
        """
        stages: Mapping[str, float] = {}
        fused: NDArray[Any] = visible
        if plan.needs_network:
            fused = plan.engine.fuse(thermal, visible)
            stages = plan.engine.timings
            clock.skip()
        elif fused.dtype == np.uint8:
            fused = np.multiply(fused, np.float32(1 / 255), dtype=np.float32)
        fused = _registered(fused, plan.output, clock)
        image = color.to_uint8(fused) if chroma is None else color.recombine(fused, chroma)
        clock.lap("color")
        return FusedFrame(image, source.stamp_ns, source.frame_id, mode, timings={**clock.timings, **stages})


def _registered(image: NDArray[Any], size: Size, clock: StageClock) -> NDArray[Any]:
    registered = resample(image, *size)
    clock.lap("registration")
    return registered


def _check(frame: Frame, stream: str) -> None:
    width, height = size_of(frame)
    if min(width, height) < SMALLEST:
        raise ImageError(f"{stream} image is {width}x{height}; the network needs at least {SMALLEST}x{SMALLEST}")
