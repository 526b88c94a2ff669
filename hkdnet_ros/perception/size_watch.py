"""What an image size that was not seen before calls for: a warm-up, and a word where registration changes its shape."""

from __future__ import annotations

from collections import Counter, OrderedDict

from ..images.fitting import TOLERANCE
from ..images.frames import THERMAL, VISIBLE, Frame
from ..inference.engine_api import Engine
from .log import Log, Throttle
from .plan import Plan

_SAYINGS, _SAID_S = 3, 60.0  # so many lines about the same sizes in so many seconds
_KEPT = 8  # sizes that an engine is taken to be warm for


class SizeWatch:
    """Keeps the sizes that came; one thread at a time calls it. Sizes are (width, height)."""

    def __init__(self, engine: Engine, log: Log, warm: tuple[int, int]) -> None:
        """``warm`` is the size of the visible input that the engine was warmed up for already."""
        self._log = log
        self._warm: OrderedDict[tuple[str, tuple[int, int]], None] = OrderedDict([((engine.model_name, warm), None)])
        self._warned: set[str] = set()
        self._said = ""
        self._changes: Counter[str] = Counter()
        self._throttle = Throttle(_SAID_S)

    def prepare(self, plan: Plan, thermal: Frame | None, visible: Frame | None, *, is_registered: bool = False) -> None:
        """Warm the engine up for sizes that are new; warn where the output has another aspect ratio than an image.

        An aspect ratio is warned of once per camera, and not where images are registered. Which network fuses what to
        which size is said when it changes.
        """
        for stream, frame in ((THERMAL, thermal), (VISIBLE, visible)):
            if frame is not None and stream not in self._warned and not is_registered:
                self._compare(stream, frame, plan.output)
        if not plan.needs_network:
            return
        size = plan.visible
        key = plan.engine.model_name, size
        if key in self._warm:
            self._warm.move_to_end(key)
        else:
            self._log.info(f"warming up for {size[0]}x{size[1]} pixels; pairs that come meanwhile are passed over")
            seconds = plan.engine.warm_up(size[1], size[0])
            self._warm[key] = None
            if len(self._warm) > _KEPT:
                self._warm.popitem(last=False)
            self._log.info(f"warmed up for {size[0]}x{size[1]} pixels in {seconds:.1f} s")
        if thermal is not None and visible is not None:
            self._say(plan, thermal, visible)

    def _say(self, plan: Plan, thermal: Frame, visible: Frame) -> None:
        """Say once for each combination of sizes by which network it is fused, and why."""
        (thermal_height, thermal_width), (height, width) = thermal.image.shape[:2], visible.image.shape[:2]
        takes_all = plan.engine.sizes.visible == 1
        text = (
            f"{plan.engine.model_name} fuses thermal {thermal_width}x{thermal_height} and visible {width}x{height} to "
            f"{plan.output[0]}x{plan.output[1]}: "
        )
        if takes_all:
            text += "it takes the visible image in full, and its time follows the output's pixels (output_size)"
        else:
            text += f"it takes both images at {plan.visible[0]}x{plan.visible[1]} (grid)"
        if text != self._said:
            self._said = text
            self._changes[text] += 1
            # Two cameras on one topic would say it with each image.
            if self._throttle.passes(f"{text} {self._changes[text] % _SAYINGS}"):
                self._log.info(text)

    def _compare(self, stream: str, frame: Frame, output: tuple[int, int]) -> None:
        height, width = frame.image.shape[:2]
        share = widening((width, height), output)
        if abs(share) <= TOLERANCE:
            return
        self._warned.add(stream)
        self._log.warning(
            f"the {stream} image of {width}x{height} becomes {output[0]}x{output[1]}, {abs(share):.0%} "
            f"{'wider' if share > 0 else 'narrower'} than it was; expected images of one view and aspect ratio: crop "
            "one camera's to the view of the other (image_proc's crop_decimate), or set grid in that ratio"
        )


def widening(source: tuple[int, int], target: tuple[int, int]) -> float:
    """Return by what share a picture becomes wider for its height when brought from one size to another.

    Sizes are (width, height). 0 keeps its shape, 0.1 makes circles 10 % wider than high, negative makes them narrower.
    """
    return target[0] * source[1] / (target[1] * source[0]) - 1
