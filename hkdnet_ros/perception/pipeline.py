"""The way of one pair: conditioned, registered, fused in luma at high resolution, coloured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..images import color
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from ..images.resampling import resample
from ..inference.engine_api import Engine
from ..inference.sizes import SMALLEST
from ..options import check_options, option
from ..stage_clock import StageClock
from .mode import FUSED
from .thermal import ThermalConditioner, ThermalConfig


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What is fused at which size, and what comes out."""

    grid: tuple[int, int] = option(
        (0, 0),
        "A network that takes both images at one size gets them at this width and height; [0, 0] means the thermal "
        "image's size.",
        unit="px",
        low=0,
        high=8192,
    )
    output_size: tuple[int, int] = option(
        (0, 0),
        "The fused image has this width and height; [0, 0] means the visible image's size with guided, whose cost "
        "follows it, and scale times the grid with another network.",
        unit="px",
        low=0,
        high=8192,
    )
    output: str = option(
        "auto",
        "With auto the output is bgr8 where the visible image has colour, else mono8; with gray it is always mono8.",
        choices=("auto", "gray"),
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)
        for name, size in (("grid", self.grid), ("output_size", self.output_size)):
            if len(size) != 2 or (size != (0, 0) and min(size) < SMALLEST):
                raise ConfigError(
                    f"{name} is {list(size)}; expected [width, height] of at least {SMALLEST} each, or [0, 0] for what "
                    "follows from the images"
                )


Size: TypeAlias = "tuple[int, int]"
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How images of certain sizes are fused: by which engine, at which sizes of its inputs, to which output."""

    engine: Engine
    thermal: Size
    visible: Size
    output: Size

    @property
    def needs_network(self) -> bool:
        """Whether anything is to be fused: a visible image alone that the network takes in full is the output."""
        return self.thermal != NO_SIZE


NO_SIZE = (0, 0)


class FusionPipeline:
    """Turns pairs into fused frames, one after the other (the thermal range is carried from frame to frame)."""

    def __init__(
        self, engine: Engine, config: PipelineConfig | None = None, thermal_config: ThermalConfig | None = None
    ) -> None:
        self._engine = engine
        self._config = config or PipelineConfig()
        self._conditioner = ThermalConditioner(thermal_config)
        self._last: Plan | None = None  # of the last pair
        self._last_grid = NO_SIZE

    def reconfigure(self, config: PipelineConfig, thermal_config: ThermalConfig) -> None:
        """Go by other settings from the next frame on; the thermal range is kept. Any thread may call this."""
        self._config = config
        self._conditioner.reconfigure(thermal_config)

    def begin_anew(self) -> None:
        """Forget the thermal range with which the next frame has nothing to do: its stream's clock has jumped back."""
        self._conditioner.begin_anew()

    def process(self, pair: Pair) -> FusedFrame:
        """Fuse one pair to the output size of its :meth:`plan`, with stamp and frame of the visible image.

        ``timings`` has "thermal", "registration", "color" and the engine's own stages. Raises :class:`ImageError` for
        an image that is smaller than 16x16 or has NaN, and for a visible one of floats.
        """
        _check(pair.thermal, THERMAL)
        _check(pair.visible, VISIBLE)
        clock = StageClock()
        self._last = plan = self.plan(pair.thermal, pair.visible)
        self._last_grid = self._grid(pair.thermal)
        thermal = self._thermal(pair.thermal, clock)
        registered = _registered(thermal, plan.thermal, clock)
        luma, chroma = self._visible(pair.visible, plan, clock)
        fused = self._fuse(plan, registered, luma, chroma, pair.visible, FUSED, clock)
        return dataclasses.replace(fused, thermal=thermal)

    def process_alone(self, stream: str, frame: Frame) -> FusedFrame:
        """Return the image of one stream at the output's size; the mode of the result is ``stream``.

        A network that takes both images at one size gets the luma of that image as both of its inputs: what two equal
        images have in common is the image itself, so that what it adds is the resolution. One that takes the visible
        image at the output's size has nothing to add to it, and gets black in its place beside a thermal image. The
        thermal image gives gray with its own stamp and frame. Raises what :meth:`process` does.
        """
        _check(frame, stream)
        clock = StageClock()
        if stream == VISIBLE:
            plan = self.plan(None, frame)
            luma, chroma = self._visible(frame, plan, clock)
            thermal = _registered(luma, plan.thermal, clock) if plan.needs_network else luma
            return self._fuse(plan, thermal, luma, chroma, frame, stream, clock)
        plan = self.plan(frame, None)
        conditioned = self._thermal(frame, clock)
        registered = _registered(conditioned, plan.thermal, clock)
        if plan.engine.sizes.visible == 1:
            luma = np.zeros(plan.visible[::-1], np.uint8)
        else:
            luma = _registered(registered, plan.visible, clock)
        fused = self._fuse(plan, registered, luma, None, frame, stream, clock)
        return dataclasses.replace(fused, thermal=conditioned)

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the thermal image that would be fused, (H, W) float32 in [0, 1] at its own size, and fuse nothing.

        Raises what :meth:`process` does.
        """
        _check(frame, THERMAL)
        return self._conditioner.condition(frame)

    def plan(self, thermal: Frame | None, visible: Frame | None) -> Plan:
        """Return how a pair, or one image where the other is None, is fused.

        The output is ``output_size`` where that is set. Else a network that takes the visible image in full gives that
        image's size, and another one ``scale`` times the grid, which is ``grid`` or the thermal image's size. An image
        alone keeps the output as it was with the last pair; where there was none, a visible image is its own grid, and
        a thermal one is doubled.
        """
        if thermal is None:
            assert visible is not None
            return self._plan_visible(_size(visible))
        grid = self._grid(thermal)
        if visible is not None:
            return self._plan(grid, self._engine.choose(grid, _size(visible)), _size(visible))
        engine = self._engine.choose(grid, grid)
        last = self._last
        keeps = last is not None and (last.engine.sizes.visible == 1 or any(self._config.output_size))
        doubled = engine.sizes.output_for(grid) if engine.sizes.visible > 1 else (2 * grid[0], 2 * grid[1])
        return self._plan(grid, engine, last.output if last and keeps else doubled, keeps=keeps)

    def _plan(self, grid: Size, engine: Engine, visible: Size, *, keeps: bool = False) -> Plan:
        """Return the plan of an engine; ``visible`` is the size of its output where it takes that image in full."""
        sizes = engine.sizes
        own = visible if sizes.visible == 1 else (sizes.thermal * grid[0], sizes.thermal * grid[1])
        output = self._config.output_size if any(self._config.output_size) else visible if keeps else own
        if sizes.visible == 1:
            own = output
        return Plan(engine, sizes.thermal_for(own), sizes.visible_for(own), output)

    def _plan_visible(self, size: Size) -> Plan:
        """Return the plan of a visible image alone."""
        known = self._config.grid if any(self._config.grid) else self._last_grid
        engine = self._engine.choose(known if any(known) else (1, 1), size)
        if engine.sizes.visible > 1:
            return self._plan(known if any(known) else size, engine, size)
        output = self._config.output_size if any(self._config.output_size) else size
        return Plan(engine, NO_SIZE, output, output)

    def _grid(self, thermal: Frame) -> Size:
        return self._config.grid if any(self._config.grid) else _size(thermal)

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
        """Return the fused frame of two lumas, with stamp and frame of ``source``."""
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


def _size(frame: Frame) -> Size:
    height, width = frame.image.shape[:2]
    return width, height


def _registered(image: NDArray[Any], size: Size, clock: StageClock) -> NDArray[Any]:
    registered = resample(image, *size)
    clock.lap("registration")
    return registered


def _check(frame: Frame, stream: str) -> None:
    width, height = _size(frame)
    if min(width, height) < SMALLEST:
        raise ImageError(f"{stream} image is {width}x{height}; the network needs at least {SMALLEST}x{SMALLEST}")
