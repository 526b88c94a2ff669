"""Nearest-stamp pairing of the two camera streams, online.

Pairs are made closest first: of all messages the two nearest in time are a pair, then what precedes both is paired
the same way, and what follows both. Pairs are therefore one to one, in order on both streams, and wherever two
messages are each other's nearest within the slop, they are a pair.

Online, a pair goes out as soon as nothing still to come can be nearer to either message. Stamps rise within a stream
(:mod:`.stream_clock` sees to that), so only the successor of the earlier message could be. While that has not arrived,
the shortest recent interval of its stream says how soon it may come. This estimate only hastens a pair, it never drops
a message.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from ..images.frames import THERMAL, VISIBLE
from ..options import check_options, option

Payload = TypeVar("Payload")

# What PairingConfig.policy may be; this module is the first.
NEAREST = "nearest"
APPROXIMATE = "approximate"
EXACT = "exact"

# What PairingConfig.*_stamps may be.
CAMERA = "camera"
ARRIVAL = "arrival"

# Why a message was dropped, the keys of the drop counts.
OVERFLOW = "overflow"  # its queue was full before a partner came
UNPAIRED = "unpaired"  # no partner within the slop, or every such partner had a nearer one
RESET = "reset"  # left from before a stream began anew, or from before reset()

_NEVER = 1 << 64  # after every stamp
_INTERVALS = 16  # recent intervals, the shortest of which predicts the next message
_ENOUGH_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class PairingConfig:
    """Which messages of the two streams may form a pair."""

    policy: str = option(
        NEAREST,
        "Images are paired by nearest stamp (nearest), or as message_filters does, which must be "
        "installed (approximate, exact).",
        choices=(NEAREST, APPROXIMATE, EXACT),
    )
    slop: float = option(
        0.05,
        "The two images of a pair are taken at most this far apart, inclusive.",
        unit="s",
        low=0,
        high=10,
        live=True,
    )
    # As mode.limit: a stream that is later than that counts as lost.
    queue_time: float = option(
        1.0,
        "Images of each stream wait for a partner until one comes that is newer by more than this; a stream that comes "
        "later than that behind the other does not pair.",
        unit="s",
        low=0.05,
        high=60,
        live=True,
    )
    queue_memory: int = option(
        256,
        "The images of each stream that wait for a partner take at most this.",
        unit="MB",
        low=1,
        high=65536,
        live=True,
    )
    queue_size: int = option(1000, "At most this many images of each stream wait for a partner.", low=1, high=1000)
    thermal_offset: float = option(
        0.0,
        "This is added to the stamps of thermal images before they are compared.",
        unit="s",
        low=-4e9,
        high=4e9,
        live=True,
    )
    visible_offset: float = option(
        0.0,
        "This is added to the stamps of visible images before they are compared.",
        unit="s",
        low=-4e9,
        high=4e9,
        live=True,
    )

    thermal_stamps: str = option(
        CAMERA,
        "Thermal images have the time of their own stamps (camera), or that at which they arrive (arrival), "
        "for a camera without a clock.",
        choices=(CAMERA, ARRIVAL),
    )
    visible_stamps: str = option(
        CAMERA,
        "Visible images, and what is fused of them, have the time of their own stamps (camera), or that at which "
        "they arrive (arrival), for a camera without a clock.",
        choices=(CAMERA, ARRIVAL),
    )

    def __post_init__(self) -> None:
        check_options(self)

    def lets_wait(self, count: int, span_ns: int, nbytes: int) -> bool:
        """Return whether ``count`` images of a stream may wait, stamped within ``span_ns``; a single one always may."""
        return count <= 1 or (
            count <= self.queue_size and span_ns <= self.queue_time * 1e9 and nbytes <= self.queue_memory * 1_000_000
        )


@dataclass(frozen=True, slots=True)
class Match(Generic[Payload]):
    """Two messages that belong together; ``skew_ns`` is thermal minus visible stamp, offsets applied."""

    thermal: Payload
    visible: Payload
    skew_ns: int


OnDrop: TypeAlias = "Callable[[str, int, str], object]"
"""Hears of each dropped message: its stream, its stamp in ns as it was given, and why."""


class Pairer(Protocol[Payload]):
    """What pairs the images: :class:`StampPairer`, or another of its interface."""

    def add(
        self, stream: str, stamp_ns: int, payload: Payload, *, begins_anew: bool = False, nbytes: int = 0
    ) -> list[Match[Payload]]: ...
    def reconfigure(self, config: PairingConfig) -> None: ...
    def flush(self) -> list[Match[Payload]]: ...
    def reset(self) -> None: ...


@dataclass(slots=True)
class _Stream(Generic[Payload]):
    """One stream's waiting messages and what is known of its clock; stamps have the offset applied."""

    name: str
    offset_ns: int
    on_drop: OnDrop
    stamps: list[int] = field(default_factory=list)  # waiting, oldest first
    payloads: list[Payload] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # bytes
    last: int | None = None  # the newest stamp
    intervals: deque[int] = field(default_factory=lambda: deque(maxlen=_INTERVALS))

    def push(self, stamp: int, payload: Payload, nbytes: int) -> None:
        self.stamps.append(stamp)
        self.payloads.append(payload)
        self.sizes.append(nbytes)

    def drop(self, count: int, reason: str) -> None:
        """Drop the ``count`` oldest waiting messages."""
        for stamp in self.stamps[:count]:
            self.on_drop(self.name, stamp - self.offset_ns, reason)
        del self.stamps[:count], self.payloads[:count], self.sizes[:count]

    def pop(self) -> tuple[int, Payload]:
        del self.sizes[0]
        return self.stamps.pop(0), self.payloads.pop(0)

    def fits(self, config: PairingConfig) -> bool:
        """Return whether all that waits may go on waiting."""
        span_ns = self.stamps[-1] - self.stamps[0] if self.stamps else 0
        return config.lets_wait(len(self.stamps), span_ns, sum(self.sizes))

    def shift_to(self, offset_ns: int) -> None:
        """Apply another offset, to the stamps known so far as well."""
        shift_ns = offset_ns - self.offset_ns
        self.offset_ns = offset_ns
        self.stamps = [stamp + shift_ns for stamp in self.stamps]
        if self.last is not None:
            self.last += shift_ns

    def restart(self) -> None:
        """Drop everything received so far as belonging to an earlier run of the clock."""
        self.drop(len(self.stamps), RESET)
        self.last = None

    def advance(self, stamp: int) -> None:
        """Take note of a message in order."""
        if self.last is not None:
            self.intervals.append(stamp - self.last)
        self.last = stamp

    def earliest_next(self) -> int:
        """Return a stamp before which the next message is not to be expected; one must have come."""
        assert self.last is not None
        shortest = min(self.intervals) if len(self.intervals) >= _ENOUGH_INTERVALS else 0
        return self.last + max(1, shortest * 9 // 10)  # a tenth for jitter


class StampPairer(Generic[Payload]):
    """Pairs messages of the streams ``thermal`` and ``visible`` by nearest stamp; any thread may call any method.

    Matches are returned, so that the caller acts on them outside the pairer's lock. Messages of each stream wait as far
    as ``queue_*`` of the configuration let them; beyond, the oldest is decided with what is there, or dropped. A stream
    that begins anew (a bag that loops) starts afresh: what waited is paired as it is or dropped, and where the other
    stream has not begun anew yet, its messages are dropped until it does or until the first has filled its queue.
    """

    def __init__(self, config: PairingConfig | None = None, on_drop: OnDrop | None = None) -> None:
        """``on_drop`` is called inside the lock: it must not call the pairer."""
        self._config = config = config or PairingConfig()
        self._slop_ns = round(config.slop * 1e9)
        self._lock = threading.Lock()
        self._drops: Counter[str] = Counter()
        self._heard = on_drop
        self._thermal: _Stream[Payload] = _Stream(THERMAL, round(config.thermal_offset * 1e9), self._dropped)
        self._visible: _Stream[Payload] = _Stream(VISIBLE, round(config.visible_offset * 1e9), self._dropped)
        self._behind: _Stream[Payload] | None = None  # the stream that has yet to follow the other's jump

    def add(
        self, stream: str, stamp_ns: int, payload: Payload, *, begins_anew: bool = False, nbytes: int = 0
    ) -> list[Match[Payload]]:
        """Take one message of ``stream`` ("thermal" or "visible"); return the matches it decides, oldest first.

        Its stamp must be above 0 and newer than the one before, but where the stream ``begins_anew`` with it. While it
        waits it takes ``nbytes`` of memory.
        """
        own, other = (self._thermal, self._visible) if stream == THERMAL else (self._visible, self._thermal)
        with self._lock:
            stamp = stamp_ns + own.offset_ns
            matches = self._follow_jump(own, other, stamp) if begins_anew else []
            own.advance(stamp)
            if own is self._behind:
                self._dropped(stream, stamp_ns, RESET)
                return matches
            own.push(stamp, payload, nbytes)
            while decided := self._decide():
                matches += decided
            while not own.fits(self._config):
                decided = self._decide(final=True)
                matches += decided
                if not decided:
                    own.drop(1, OVERFLOW)
                    self._behind = None
            return matches

    def reconfigure(self, config: PairingConfig) -> None:
        """Go by another slop, other queues and offsets from the next message on; what waits keeps waiting."""
        with self._lock:
            self._config = config
            self._slop_ns = round(config.slop * 1e9)
            self._thermal.shift_to(round(config.thermal_offset * 1e9))
            self._visible.shift_to(round(config.visible_offset * 1e9))

    def flush(self) -> list[Match[Payload]]:
        """Return the matches among the waiting messages, as at the end of both streams; the rest is dropped."""
        with self._lock:
            matches = self._decide_all()
            for stream in (self._thermal, self._visible):
                stream.drop(len(stream.stamps), UNPAIRED)
            return matches

    def reset(self) -> None:
        """Forget the waiting messages (counted as drops) and both clocks; the totals stay."""
        with self._lock:
            self._behind = None
            for stream in (self._thermal, self._visible):
                stream.restart()
                stream.intervals.clear()

    @property
    def drops(self) -> Counter[str]:
        """Dropped messages of both streams by reason."""
        with self._lock:
            return Counter(self._drops)

    def _dropped(self, stream: str, stamp_ns: int, reason: str) -> None:
        self._drops[reason] += 1
        if self._heard is not None:
            self._heard(stream, stamp_ns, reason)

    def _follow_jump(self, own: _Stream[Payload], other: _Stream[Payload], stamp: int) -> list[Match[Payload]]:
        """Begin a new run of ``own``'s clock at ``stamp``; return what could still be paired of the old one."""
        matches: list[Match[Payload]] = []
        self._behind = None
        # The other stream has jumped already if its last stamp is nearer to where this one is than to where it was.
        if own.last is not None and other.last is not None and other.last - stamp > own.last - other.last:
            matches = self._decide_all()
            other.drop(len(other.stamps), RESET)
            self._behind = other
        own.restart()
        return matches

    def _decide_all(self) -> list[Match[Payload]]:
        matches: list[Match[Payload]] = []
        while decided := self._decide(final=True):
            matches += decided
        return matches

    def _decide(self, *, final: bool = False) -> list[Match[Payload]]:
        """Take the next group of pairs that nothing still to come can change, or (``final``) that is nearest now."""
        thermal, visible = self._thermal, self._visible
        while thermal.stamps and visible.stamps:
            skew = thermal.stamps[0] - visible.stamps[0]
            if abs(skew) <= self._slop_ns:
                break
            (thermal if skew < 0 else visible).drop(1, UNPAIRED)
        else:
            return []
        horizon = (_NEVER, _NEVER) if final else (thermal.earliest_next(), visible.earliest_next())
        matches = []
        taken_thermal = taken_visible = 0
        for i, j in _closest_first(thermal.stamps, visible.stamps, *horizon):
            thermal.drop(i - taken_thermal, UNPAIRED)
            visible.drop(j - taken_visible, UNPAIRED)
            taken_thermal, taken_visible = i + 1, j + 1
            thermal_stamp, thermal_payload = thermal.pop()
            visible_stamp, visible_payload = visible.pop()
            skew = thermal_stamp - visible_stamp
            matches.append(Match(thermal_payload, visible_payload, skew))
        return matches


def _closest_first(
    thermal: Sequence[int], visible: Sequence[int], next_thermal: int, next_visible: int
) -> list[tuple[int, int]]:
    """Pair the beginnings of two rising sequences, up to the first two messages that are each other's nearest.

    The first messages must lie within the slop. ``next_*`` is the earliest stamp of a message still to come. Returns
    index pairs, rising on both sides; none where a message still to come may be nearer. Of equally near partners the
    earlier one wins.
    """
    thermal, visible = [*thermal, next_thermal], [*visible, next_visible]
    i = j = 0
    chain = [(0, 0)]  # ever nearer pairs, each sharing one message with the one before
    while True:
        gap = abs(thermal[i] - visible[j])
        # Only the successor of the earlier message can be nearer, if it comes before that one's mirror image.
        if thermal[i] <= visible[j]:
            nearer = thermal[i + 1] < visible[j] + gap
            i += nearer
        else:
            nearer = visible[j + 1] < thermal[i] + gap
            j += nearer
        if not nearer:
            break
        if i == len(thermal) - 1 or j == len(visible) - 1:
            return []
        chain.append((i, j))
    # The last pair is certain. Of what lies before it, the nearest is the last of the chain that shares no message
    # with it, and so on backwards.
    pairs = [chain.pop()]
    for i, j in reversed(chain):
        if i < pairs[-1][0] and j < pairs[-1][1]:
            pairs.append((i, j))
    return pairs[::-1]
