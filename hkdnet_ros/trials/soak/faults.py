"""The faults of the soak: each a generator that begins the fault, yields while it lasts, and ends it when resumed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ...images.frames import THERMAL, VISIBLE
from ...node.schema import SPECS

STREAMS = (THERMAL, VISIBLE)
STORM_HZ = 100.0
_JUMP_S = 20.0
_STORMED = ("mode.return_time", "thermal.time_constant", "output", "jpeg_quality")  # which storm_of_sets changes


class Rig(Protocol):
    """What the faults act on."""

    size: tuple[int, int]

    def set_camera(self, stream: str, **parameters: Any) -> None:
        """Set parameters of a camera's process (camera.py)."""

    def set_node(self, parameters: Mapping[str, Any]) -> None:
        """Set parameters of the fusion node."""

    def kill_camera(self, stream: str) -> None:
        """End a camera's process by SIGKILL, without a word to its subscribers."""

    def revive_camera(self, stream: str) -> None:
        """Start a camera again, with the reliability that it did not have before."""

    def start_stalled_subscriber(self) -> Callable[[], None]:
        """Start a process that subscribes the output, reliable, and is stopped; return what ends it."""

    def start_storm(self, sets: Iterator[tuple[str, Any, bool]], rate: float) -> Callable[[], str]:
        """Set the node's parameters as ``sets`` say: name, value, whether it is to succeed.

        Return what ends that and says in words what came of it.
        """


Fault = Callable[[Rig], Iterator[None]]


def _killed(streams: Sequence[str]) -> Fault:
    def fault(rig: Rig) -> Iterator[None]:
        for stream in streams:
            rig.kill_camera(stream)
        yield
        for stream in streams:
            rig.revive_camera(stream)

    return fault


def _set(streams: Sequence[str], **faulty: Any) -> Fault:
    def fault(rig: Rig) -> Iterator[None]:
        for stream in streams:
            rig.set_camera(stream, **faulty)
        yield
        for stream in streams:
            rig.set_camera(stream, **{name: type(value)(0) for name, value in faulty.items()})

    return fault


def _sizes_swapped(rig: Rig) -> Iterator[None]:
    width, height = rig.size
    rig.set_camera(THERMAL, width=height, height=width)
    rig.set_camera(VISIBLE, width=width + 16, height=height + 8)
    yield
    for stream in STREAMS:
        rig.set_camera(stream, width=width, height=height)


def _recording_loops(rig: Rig) -> Iterator[None]:
    for jump in (1, 2):  # the second is the end from which the way back is measured
        for stream in STREAMS:
            rig.set_camera(stream, offset=-jump * _JUMP_S)
        yield
    for stream in STREAMS:
        rig.set_camera(stream, offset=0.0)


def _stalled_subscriber(rig: Rig) -> Iterator[None]:
    end = rig.start_stalled_subscriber()
    yield
    end()


def storm_of_sets() -> Iterator[tuple[str, Any, bool]]:
    """Yield sets that are live, wrong in value, in type or in name, and of parameters that are fixed, in turn."""
    for index in itertools.count():
        yield from (
            ("mode.return_time", (1.0, 0.9)[index % 2], True),
            ("sync.slop", -1.0, False),
            ("thermal.time_constant", (2.0, 3.0)[index % 2], True),
            ("scale", 3 + index % 2, False),
            ("thermal.percentile_low", 101, False),
            ("output", ("auto", "gray")[index % 2], True),
            ("mode.limit", "soon", False),
            ("sync.slopp", 0.05, False),
            ("jpeg_quality", 80 + index % 10, True),
        )


def _storm(rig: Rig) -> Iterator[str]:
    end = rig.start_storm(storm_of_sets(), STORM_HZ)
    yield ""
    yield end()
    rig.set_node({spec.name: spec.default for spec in SPECS if spec.name in _STORMED})


FAULTS: dict[str, Callable[[Rig], Iterator[str | None]]] = {
    "thermal camera killed": _killed([THERMAL]),
    "visible camera killed": _killed([VISIBLE]),
    "both cameras killed": _killed(STREAMS),
    "thermal frozen": _set([THERMAL], frozen=True),
    "sizes swapped": _sizes_swapped,
    "half of the images lost": _set(STREAMS, drop=0.5),
    "thermal 0.3 s late": _set([THERMAL], delay=0.3),
    "jitter of 30 ms": _set(STREAMS, jitter=0.03),
    "recording loops": _recording_loops,
    "100 parameter sets per second": _storm,
    "malformed images": _set(STREAMS, malformed=2),
    "stalled subscriber": _stalled_subscriber,
}
"""By name. What is yielded when a fault ends may be a note for the report."""


def in_turn(names: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Yield ``names`` again and again, each time shuffled by ``chance``."""
    while True:
        shuffled = list(names)
        chance.shuffle(shuffled)
        yield from shuffled
