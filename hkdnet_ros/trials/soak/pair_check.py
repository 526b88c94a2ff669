"""Tells of every fused image whether it was made of the pair that its status says, by the numbers in the pixels."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ...images.frames import THERMAL, VISIBLE
from ...perception.mode import FUSED, HELD
from .numbered import read_numbers

_KEPT = 4000  # images of each camera and each output that are remembered
_WAITING = 100  # outputs that wait for a camera image to come by
_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """A camera image: the number in its pixels, and when it came, by the steady clock in s."""

    number: int
    at: float


@dataclass(slots=True)
class PairCheck:
    """Follows what two cameras send and what is made of it. Times ``at`` are of the steady clock, in s.

    ``counts`` has "checked", "wrong", "illegible" (the pixels do not say), "unknown" (made of a camera image that did
    not come by here) and "repeated" (a stamp published twice); ``examples`` says what was wrong, in words.
    """

    slop_ns: int
    counts: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    _taken: dict[str, OrderedDict[int, Taken]] = field(
        default_factory=lambda: {THERMAL: OrderedDict(), VISIBLE: OrderedDict()}
    )
    _images: OrderedDict[int, dict[str, int | None]] = field(default_factory=OrderedDict)
    _statuses: OrderedDict[int, tuple[str, int]] = field(default_factory=OrderedDict)
    _done: OrderedDict[int, None] = field(default_factory=OrderedDict)
    _fused: deque[tuple[float, dict[str, int]]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add_camera(self, stream: str, stamp_ns: int, number: int, at: float) -> None:
        """Take note of an image that a camera sent."""
        self.received[stream] += 1
        _remember(self._taken[stream], stamp_ns, Taken(number, at))
        self._check_all()

    def add_image(self, stamp_ns: int, luma: NDArray[Any]) -> None:
        """Take a published image, (H, W)."""
        if stamp_ns in self._images or stamp_ns in self._done:
            self._tell("repeated", f"stamp {stamp_ns} was published twice")
            return
        _remember(self._images, stamp_ns, read_numbers(luma))
        self._check_all()

    def add_status(self, stamp_ns: int, mode: str, skew_ns: int, at: float) -> None:
        """Take the status that goes with a published image."""
        self.modes[mode] += 1
        if mode == FUSED:
            self._fused.append((at, {THERMAL: stamp_ns + skew_ns, VISIBLE: stamp_ns}))
        _remember(self._statuses, stamp_ns, (mode, skew_ns))
        self._check_all()

    def finish(self) -> None:
        """Count what could not be told as "unknown"; to be called when all has come that will."""
        for stamp_ns in self._images.keys() & self._statuses.keys():
            self._give_up(stamp_ns)

    def first_camera(self, stream: str, since: float) -> Taken | None:
        """Return the first image of ``stream`` that came after ``since``."""
        return next((taken for taken in self._taken[stream].values() if taken.at >= since), None)

    def first_fused(self, since: float, revived: Collection[str] = ()) -> float | None:
        """Return when the first image came that was fused of two camera images that came after ``since``.

        The node may hear a camera of ``revived`` before it is heard here: what did not come by is taken for new.
        """

        def is_new(stream: str, stamp_ns: int) -> bool:
            taken = self._taken[stream].get(stamp_ns)
            return stream in revived if taken is None else taken.at >= since

        fused = ((at, stamps) for at, stamps in self._fused if at >= since)
        return next((at for at, stamps in fused if all(is_new(*source) for source in stamps.items())), None)

    def _check_all(self) -> None:
        for stamp_ns in sorted(self._images.keys() & self._statuses.keys()):
            mode, skew_ns = self._statuses[stamp_ns]
            stamps = {} if mode == THERMAL else {VISIBLE: stamp_ns}
            if mode != VISIBLE:
                stamps[THERMAL] = stamp_ns + skew_ns
            sources = {stream: self._taken[stream].get(stamp) for stream, stamp in stamps.items()}
            if None not in sources.values():  # else that image is still on its way to here
                self._check(stamp_ns, mode, skew_ns, {s: taken for s, taken in sources.items() if taken})
        while len(self._images) > _WAITING:
            self._give_up(next(iter(self._images)))

    def _check(self, stamp_ns: int, mode: str, skew_ns: int, sources: dict[str, Taken]) -> None:
        shown = self._images.pop(stamp_ns)
        del self._statuses[stamp_ns]
        _remember(self._done, stamp_ns, None)
        self.counts["checked"] += 1
        expected = {stream: taken.number for stream, taken in sources.items()}
        if any(shown[stream] is None for stream in expected):
            self._tell("illegible", f"{mode} image at {stamp_ns} shows {shown}, expected {expected}")
        elif any(shown[stream] != number for stream, number in expected.items()):
            self._tell("wrong", f"{mode} image at {stamp_ns} shows {shown}, expected {expected}")
        elif mode == FUSED and abs(skew_ns) > self.slop_ns:
            self._tell("wrong", f"image at {stamp_ns} is fused of images {skew_ns / 1e6:.1f} ms apart")
        elif mode not in (FUSED, HELD, THERMAL, VISIBLE):
            self._tell("wrong", f"image at {stamp_ns} has mode {mode!r}")

    def _give_up(self, stamp_ns: int) -> None:
        del self._images[stamp_ns]
        self._statuses.pop(stamp_ns, None)
        self.counts["unknown"] += 1

    def _tell(self, what: str, text: str) -> None:
        self.counts[what] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{what}: {text}")


def _remember(table: OrderedDict[int, Any], stamp_ns: int, value: Any) -> None:
    table[stamp_ns] = value
    if len(table) > _KEPT:
        table.popitem(last=False)
