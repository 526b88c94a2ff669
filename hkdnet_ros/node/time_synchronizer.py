"""Nearest-stamp pairing as a filter for chains of message_filters, and message_filters' own pairing for the node.

message_filters is not installed everywhere; :class:`NearestTimeSynchronizer` works without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from std_msgs.msg import Header

from ..errors import ConfigError, MissingDependencyError
from ..images.frames import THERMAL, VISIBLE
from ..images.messages import stamp_to_ns
from ..perception.pairing import APPROXIMATE, NEAREST, ZERO_STAMP, Match, PairingConfig, StampPairer
from .image_messages import ns_to_stamp


class NearestTimeSynchronizer:
    """Pairs the messages of two filters by nearest stamp: a drop-in for message_filters.ApproximateTimeSynchronizer.

    ``fs`` are the two filters, anything with ``registerCallback``. Callbacks get one message of each, in that order,
    and are called outside of any lock: one that raises does no harm to the next pair. Any thread may feed it. Where the
    stock filter takes the first messages within ``slop`` (s), this one waits until nothing nearer can come: at most for
    one more message of a stream.

    Raises :class:`ConfigError` for other than two filters and for headerless messages, which have no time to pair by.
    """

    def __init__(self, fs: Sequence[Any], queue_size: int, slop: float, allow_headerless: bool = False) -> None:
        if len(fs) != 2:
            raise ConfigError(f"{len(fs)} filters given; nearest-stamp pairing is for 2")
        if allow_headerless:
            raise ConfigError("allow_headerless is true; pairing by stamps needs messages with a header")
        self._pairer: StampPairer[Any] = StampPairer(PairingConfig(slop=float(slop), queue_size=queue_size))
        self._callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
        for stream, input_filter in zip((THERMAL, VISIBLE), fs, strict=True):
            input_filter.registerCallback(self._add, stream)

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:  # noqa: N802
        """Call ``cb(first, second, *args)`` for each pair; return the number of the connection."""
        connection = len(self._callbacks)
        self._callbacks[connection] = (cb, args)
        return connection

    @property
    def drops(self) -> Counter[str]:
        """Messages without a partner, by reason (perception/pairing.py)."""
        return self._pairer.drops

    def _add(self, message: Any, stream: str) -> None:
        for match in self._pairer.add(stream, stamp_to_ns(message.header.stamp), message):
            for callback, args in list(self._callbacks.values()):
                callback(match.thermal, match.visible, *args)


class StockPairer:
    """message_filters' TimeSynchronizer ("exact") or ApproximateTimeSynchronizer ("approximate") behind our interface.

    What it drops is not known, so that only stamps of zero are counted. One thread at a time calls :meth:`add`. Raises
    :class:`MissingDependencyError` where message_filters is not installed.
    """

    def __init__(self, config: PairingConfig) -> None:
        try:
            import message_filters
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"sync.policy {config.policy} needs message_filters, which is not installed; install it, or choose "
                f"{NEAREST}"
            ) from error
        self._library = message_filters
        self._zero_stamps = 0
        self.reconfigure(config)

    def reconfigure(self, config: PairingConfig) -> None:
        """Go by another slop and other offsets; what waited is forgotten."""
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget what waits."""
        library, config = self._library, self._config
        self._matches: list[Match[Any]] = []
        self._inputs = {stream: library.SimpleFilter() for stream in (THERMAL, VISIBLE)}
        inputs = list(self._inputs.values())
        if config.policy == APPROXIMATE:
            synchronizer = library.ApproximateTimeSynchronizer(inputs, config.queue_size, config.slop)
        else:
            synchronizer = library.TimeSynchronizer(inputs, config.queue_size)
        synchronizer.registerCallback(self._matched)

    @property
    def drops(self) -> Counter[str]:
        """Dropped messages by reason."""
        return Counter({ZERO_STAMP: self._zero_stamps} if self._zero_stamps else {})

    def add(self, stream: str, stamp_ns: int, payload: Any) -> list[Match[Any]]:
        """Take one message of ``stream``; return the matches it makes."""
        offset = self._config.thermal_offset if stream == THERMAL else self._config.visible_offset
        shifted_ns = stamp_ns + round(offset * 1e9)
        if stamp_ns <= 0 or shifted_ns < 0:
            self._zero_stamps += 1
            return []
        header = Header(stamp=ns_to_stamp(shifted_ns))
        self._inputs[stream].signalMessage(SimpleNamespace(header=header, stamp_ns=shifted_ns, payload=payload))
        matches, self._matches = self._matches, []
        return matches

    def _matched(self, thermal: Any, visible: Any) -> None:
        self._matches.append(Match(thermal.payload, visible.payload, thermal.stamp_ns - visible.stamp_ns))
