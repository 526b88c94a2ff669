"""At which sizes images are fused: by which engine, what its two inputs are brought to, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ConfigError, ImageError
from ..images.frames import VISIBLE, Frame
from ..inference.engine_api import Engine
from ..inference.sizes import SMALLEST
from ..options import check_options, option

Size: TypeAlias = "tuple[int, int]"
"""Width and height in pixels."""

NO_SIZE = (0, 0)


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
    thermal_gain: float = option(
        1.0,
        "The fused image shows this share of what thermal adds to the visible one; 0 shows the visible image alone.",
        low=0,
        high=1,
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How images of certain sizes are fused."""

    engine: Engine
    thermal: Size
    visible: Size
    output: Size

    @property
    def needs_network(self) -> bool:
        """Whether anything is to be fused: a visible image alone that the network takes in full is the output."""
        return self.thermal != NO_SIZE


class Planner:
    """Plans images as they come; remembers the last pair, so that the output keeps its size where one is missing.

    The output is ``output_size`` where that is set. Else a network that takes the visible image in full gives that
    image's size, and another one ``scale`` times the grid, which is ``grid`` or the thermal image's size. Where there
    was no pair yet, a visible image alone is its own grid, and a thermal one is doubled.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: Plan | None = None
        self._last_grid: Size = NO_SIZE

    def pair(self, thermal: Frame, visible: Frame, config: PipelineConfig) -> Plan:
        """Return the plan of a pair."""
        grid = self._last_grid = _given(config.grid) or size_of(thermal)
        full = size_of(visible)
        self._last = _plan(self._engine.choose(grid, full), grid, _given(config.output_size) or full, config)
        return self._last

    def registered(self, thermal: Frame, reference: str, view: Size, config: PipelineConfig) -> Plan:
        """Return the plan of a pair whose output has the view of one camera, ``view`` of its pixels.

        The output is ``output_size``, else the visible camera's view at its own size, or the thermal one's at twice
        its. A network that takes both images at one size gets them at ``grid``, else at what the output is made of.
        """
        full = _given(config.output_size) or (view if reference == VISIBLE else (2 * view[0], 2 * view[1]))
        engine = self._engine.choose(size_of(thermal) if reference == VISIBLE else view, full)
        grid = self._last_grid = _given(config.grid) or engine.sizes.thermal_for(full)
        plan = _plan(engine, grid, full, config)
        self._last = Plan(plan.engine, plan.thermal, plan.visible, full)
        return self._last

    def thermal(self, frame: Frame, config: PipelineConfig) -> Plan:
        """Return the plan of a thermal image alone."""
        grid = _given(config.grid) or size_of(frame)
        engine, last = self._engine.choose(grid, grid), self._last
        kept = last.output if last is not None and last.engine.sizes.visible == 1 else None
        output = _given(config.output_size) or kept
        plan = _plan(engine, grid, output or (2 * grid[0], 2 * grid[1]), config)
        return Plan(plan.engine, plan.thermal, plan.visible, output or plan.output)

    def visible(self, frame: Frame, config: PipelineConfig) -> Plan:
        """Return the plan of a visible image alone."""
        full = size_of(frame)
        grid = _given(config.grid) or _given(self._last_grid)
        engine = self._engine.choose(grid or (1, 1), full)
        if engine.sizes.visible > 1:
            return _plan(engine, grid or full, full, config)
        output = _given(config.output_size) or full
        return Plan(engine, NO_SIZE, output, output)


def size_of(frame: Frame) -> Size:
    """Return width and height of an image."""
    height, width = frame.image.shape[:2]
    return width, height


def check_size(frame: Frame, stream: str, config: PipelineConfig) -> None:
    """Raise :class:`ImageError` for an image that is smaller than a network takes, unless the grid enlarges it."""
    width, height = size_of(frame)
    if min(width, height) < SMALLEST and not _given(config.grid):
        raise ImageError(
            f"{stream} image is {width}x{height}; the network needs at least {SMALLEST}x{SMALLEST}: set grid, to which "
            "it is enlarged"
        )


def _plan(engine: Engine, grid: Size, full: Size, config: PipelineConfig) -> Plan:
    """Return the plan for ``engine``; ``full`` is its output where it takes the visible image at that size."""
    sizes = engine.sizes
    own = full if sizes.visible == 1 else (sizes.thermal * grid[0], sizes.thermal * grid[1])
    return Plan(engine, sizes.thermal_for(own), sizes.visible_for(own), _given(config.output_size) or own)


def _given(size: Size) -> Size | None:
    return size if any(size) else None
