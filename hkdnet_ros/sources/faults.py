"""Faults of cameras and networks on request: late, jittered, dropped and ending streams. Pure and repeatable."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from ..errors import ConfigError
from ..images.frames import THERMAL, VISIBLE, Frame
from ..options import check_options, option
from .camera_source import shifted

STREAMS = (THERMAL, VISIBLE)
_MAX_DELAY = 60.0  # frames on their way are held in memory


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one stream. Raises :class:`ConfigError` for a value out of range."""

    delay: float = option(
        0.0, "Frames arrive this much later, their stamps unchanged.", unit="s", low=0.0, high=_MAX_DELAY
    )
    offset: float = option(0.0, "Stamps are wrong by this, the arrival unchanged.", unit="s", low=-3600.0, high=3600.0)
    jitter: float = option(0.0, "Stamps are wrong by a random amount of up to this, to either side.", unit="s",
                           low=0.0, high=3600.0)  # fmt: skip
    drop: float = option(0.0, "A frame is lost with this probability.", low=0.0, high=1.0)
    stop: float = option(float("inf"), "The stream ends after this time of the recording.", unit="s", low=0.0)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame that reaches its receiver. Times count from the start of the recording.

    ``due_ns`` is when it arrives, ``taken_ns`` its true stamp; ``frame.stamp_ns`` is the stamp it bears.
    """

    due_ns: int
    taken_ns: int
    stream: str
    frame: Frame


class FaultInjector:
    """Turns the events of a source into arrivals. ``lost`` counts what was dropped, by stream and reason."""

    def __init__(self, faults: Mapping[str, Fault] | None = None, seed: int = 0) -> None:
        self._faults = {stream: (faults or {}).get(stream, Fault()) for stream in STREAMS}
        self._seed = seed
        self.lost: Counter[tuple[str, str]] = Counter()

    def arrivals(self, events: Iterable[tuple[str, Frame]]) -> Iterator[Arrival]:
        """Yield arrivals in the order they are due; ``events`` come in stamp order, from 0.

        The same seed loses the same frames. Where both streams have stopped, ``events`` is not read on.
        """
        rngs = {stream: np.random.default_rng([self._seed, number]) for number, stream in enumerate(STREAMS)}
        last_stop_ns = max(fault.stop for fault in self._faults.values()) * 1e9
        on_the_way: list[tuple[int, int, Arrival]] = []
        for number, (stream, frame) in enumerate(events):
            taken_ns = frame.stamp_ns
            while on_the_way and on_the_way[0][0] <= taken_ns:
                yield heapq.heappop(on_the_way)[2]
            if taken_ns >= last_stop_ns:
                break
            fault, rng = self._faults[stream], rngs[stream]
            chance, wobble = (
                rng.random(),
                rng.uniform(-1.0, 1.0),
            )  # drawn for each frame, so that options do not interact
            if taken_ns >= fault.stop * 1e9:
                self.lost[stream, "stop"] += 1
                continue
            if chance < fault.drop:
                self.lost[stream, "drop"] += 1
                continue
            borne = shifted(frame, round((fault.offset + fault.jitter * wobble) * 1e9))
            due_ns = taken_ns + round(fault.delay * 1e9)
            heapq.heappush(on_the_way, (due_ns, number, Arrival(due_ns, taken_ns, stream, borne)))
        while on_the_way:
            yield heapq.heappop(on_the_way)[2]


def parse_faults(words: Iterable[str]) -> dict[str, Fault]:
    """Read faults written as ``STREAM:NAME=VALUE[,NAME=VALUE...]``; several of one stream add up.

    Raises :class:`ConfigError` for anything else.
    """
    names = [field.name for field in fields(Fault)]
    values: dict[str, dict[str, float]] = {}
    for word in words:
        stream, colon, settings = word.partition(":")
        if stream not in STREAMS or not colon:
            raise ConfigError(f"fault {word!r}: expected {'|'.join(STREAMS)}:NAME=VALUE, such as thermal:delay=0.3")
        for setting in settings.split(","):
            name, _, text = setting.partition("=")
            try:
                value = float(text)
            except ValueError:
                value = None
            if name not in names or value is None:
                raise ConfigError(
                    f"fault {word!r}: {setting!r} is none; expected NAME=NUMBER, NAME of {', '.join(names)}"
                )
            if name in values.setdefault(stream, {}):
                raise ConfigError(f"fault {word!r}: {name} of {stream} is given twice")
            values[stream][name] = value
    try:
        return {stream: Fault(**settings) for stream, settings in values.items()}
    except ConfigError as error:
        raise ConfigError(f"fault: {error}") from error
