"""The way of one pair: conditioned, registered, fused in luma at high resolution, coloured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

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
        "Both images are brought to this width and height before they are fused; [0, 0] means the thermal "
        "image's size.",
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
        if len(self.grid) != 2 or (self.grid != (0, 0) and min(self.grid) < SMALLEST):
            raise ConfigError(
                f"grid is {list(self.grid)}; expected [width, height] of at least {SMALLEST} each, or [0, 0] for the "
                "thermal image's size"
            )


class FusionPipeline:
    """Turns pairs into fused frames, one after the other (the thermal range is carried from frame to frame)."""

    def __init__(
        self, engine: Engine, config: PipelineConfig | None = None, thermal_config: ThermalConfig | None = None
    ) -> None:
        self._engine = engine
        self._config = config or PipelineConfig()
        self._conditioner = ThermalConditioner(thermal_config)
        self._last_grid = (0, 0)  # of the last pair

    def reconfigure(self, config: PipelineConfig, thermal_config: ThermalConfig) -> None:
        """Go by other settings from the next frame on; the thermal range is kept. Any thread may call this."""
        self._config = config
        self._conditioner.reconfigure(thermal_config)

    def begin_anew(self) -> None:
        """Forget the thermal range with which the next frame has nothing to do: its stream's clock has jumped back."""
        self._conditioner.begin_anew()

    def process(self, pair: Pair) -> FusedFrame:
        """Fuse one pair: ``scale`` times the grid's size, stamp and frame of the visible image.

        ``timings`` has "thermal", "registration", "color" and the engine's own stages. Raises :class:`ImageError` for
        an image that is smaller than 16x16 or has NaN, and for a visible one of floats.
        """
        _check(pair.thermal, THERMAL)
        _check(pair.visible, VISIBLE)
        clock = StageClock()
        self._last_grid = grid = self.grid_for(THERMAL, pair.thermal)
        thermal = self._thermal(pair.thermal, clock)
        registered = _registered(thermal, grid, clock)
        luma, chroma = self._visible(pair.visible, grid, clock)
        fused = self._fuse(registered, luma, chroma, pair.visible, FUSED, clock)
        return dataclasses.replace(fused, thermal=thermal)

    def process_alone(self, stream: str, frame: Frame) -> FusedFrame:
        """Super-resolve the image of one stream by the same ``scale``; the mode of the result is ``stream``.

        The network gets the luma of that image as both of its inputs: what two equal images have in common is the image
        itself, so that what it adds is the resolution. The thermal image gives gray with its own stamp and frame.
        Raises what :meth:`process` does.
        """
        _check(frame, stream)
        clock = StageClock()
        grid = self.grid_for(stream, frame)
        if stream == VISIBLE:
            luma, chroma = self._visible(frame, grid, clock)
            return self._fuse(_registered(luma, grid, clock), luma, chroma, frame, stream, clock)
        thermal = self._thermal(frame, clock)
        registered = _registered(thermal, grid, clock)
        luma = _registered(registered, self._visible_size(grid), clock)
        return dataclasses.replace(self._fuse(registered, luma, None, frame, stream, clock), thermal=thermal)

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the thermal image that would be fused, (H, W) float32 in [0, 1] at its own size, and fuse nothing.

        Raises what :meth:`process` does.
        """
        _check(frame, THERMAL)
        return self._conditioner.condition(frame)

    def grid_for(self, stream: str, frame: Frame) -> tuple[int, int]:
        """Return width and height that ``frame`` of ``stream`` is fused at: ``grid``, or the thermal image's size.

        A visible image that comes alone is brought to the grid of the last pair, so that the output keeps its size; to
        its own size where there was none.
        """
        config = self._config
        if any(config.grid):
            return config.grid
        height, width = frame.image.shape[:2]
        return self._last_grid if stream == VISIBLE and any(self._last_grid) else (width, height)

    def _thermal(self, frame: Frame, clock: StageClock) -> NDArray[np.float32]:
        thermal = self._conditioner.condition(frame)
        clock.lap("thermal")
        return thermal

    def _visible(
        self, frame: Frame, grid: tuple[int, int], clock: StageClock
    ) -> tuple[NDArray[Any], color.Chroma | None]:
        """Return luma at the size that the engine takes, and chroma where the output has colour."""
        width, height = (self._engine.scale * side for side in grid)  # of the output
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
        return _registered(luma, self._visible_size(grid), clock), chroma

    def _visible_size(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Return width and height at which the engine takes the visible image beside thermal at ``grid``."""
        return self._engine.sizes.visible_for([self._engine.scale * side for side in grid])

    def _fuse(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        chroma: color.Chroma | None,
        source: Frame,
        mode: str,
        clock: StageClock,
    ) -> FusedFrame:
        """Return the fused frame of two lumas, with stamp and frame of ``source``."""
        fused = self._engine.fuse(thermal, visible)
        clock.skip()
        image = color.to_uint8(fused) if chroma is None else color.recombine(fused, chroma)
        clock.lap("color")
        timings = {**clock.timings, **self._engine.timings}
        return FusedFrame(image, source.stamp_ns, source.frame_id, mode, timings=timings)


def _registered(image: NDArray[Any], grid: tuple[int, int], clock: StageClock) -> NDArray[Any]:
    registered = resample(image, *grid)
    clock.lap("registration")
    return registered


def _check(frame: Frame, stream: str) -> None:
    height, width = frame.image.shape[:2]
    if min(width, height) < SMALLEST:
        raise ImageError(f"{stream} image is {width}x{height}; the network needs at least {SMALLEST}x{SMALLEST}")
