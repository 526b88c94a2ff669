"""What an image size that was not seen before calls for: a warm-up, and a word where registration changes its shape."""

from __future__ import annotations

from collections import OrderedDict

from ..images.frames import THERMAL, VISIBLE, Frame
from ..inference.engine_api import Engine
from .log import Log

_KEPT = 8  # sizes that an engine is taken to be warm for
_TOLERANCE = 0.03  # 1 % or 2 % come from sizes rounded to multiples of 8


class SizeWatch:
    """Keeps the sizes that came; one thread at a time calls it. Sizes are (width, height)."""

    def __init__(self, engine: Engine, log: Log, warm: tuple[int, int]) -> None:
        """``warm`` is the size that the engine was warmed up for already."""
        self._engine = engine
        self._log = log
        self._warm: OrderedDict[tuple[int, int], None] = OrderedDict([(warm, None)])
        self._warned: set[str] = set()

    def prepare(self, grid: tuple[int, int], thermal: Frame | None, visible: Frame | None) -> None:
        """Warm the engine up for ``grid`` where it is new; warn where it has another aspect ratio than an image.

        An aspect ratio is warned of once per camera.
        """
        for stream, frame in ((THERMAL, thermal), (VISIBLE, visible)):
            if frame is not None and stream not in self._warned:
                self._compare(stream, frame, grid)
        if grid in self._warm:
            self._warm.move_to_end(grid)
            return
        seconds = self._engine.warm_up(grid[1], grid[0])
        self._warm[grid] = None
        if len(self._warm) > _KEPT:
            self._warm.popitem(last=False)
        self._log.info(f"warmed up for {grid[0]}x{grid[1]} pixels in {seconds:.1f} s")

    def _compare(self, stream: str, frame: Frame, grid: tuple[int, int]) -> None:
        height, width = frame.image.shape[:2]
        share = widening((width, height), grid)
        if abs(share) <= _TOLERANCE:
            return
        self._warned.add(stream)
        self._log.warning(
            f"the {stream} image of {width}x{height} becomes {grid[0]}x{grid[1]}, {abs(share):.0%} "
            f"{'wider' if share > 0 else 'narrower'} than it was; expected images of one view and aspect ratio: crop "
            "one camera's to the view of the other (image_proc's crop_decimate), or set grid in that ratio"
        )


def widening(source: tuple[int, int], target: tuple[int, int]) -> float:
    """Return by what share a picture becomes wider for its height when brought from one size to another.

    Sizes are (width, height). 0 keeps its shape, 0.1 makes circles 10 % wider than high, negative makes them narrower.
    """
    return target[0] * source[1] / (target[1] * source[0]) - 1
