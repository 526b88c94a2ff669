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
from ..perception.pairing import APPROXIMATE, NEAREST, Match, OnDrop, PairingConfig
from ..perception.synchronizer import StreamSynchronizer
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
        config = PairingConfig(slop=float(slop), queue_size=queue_size)
        self._synchronizer: StreamSynchronizer[Any] = StreamSynchronizer(config)
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
        """Messages without a partner, by reason (perception/pairing.py and stream_clock.py)."""
        return self._synchronizer.drops

    def _add(self, message: Any, stream: str) -> None:
        for match in self._synchronizer.add(stream, stamp_to_ns(message.header.stamp), message):
            for callback, args in list(self._callbacks.values()):
                callback(match.thermal, match.visible, *args)


class StockPairer:
    """message_filters' TimeSynchronizer ("exact") or ApproximateTimeSynchronizer ("approximate") behind our interface.

    What it drops is not known, so that nobody hears of it. One thread at a time calls :meth:`add`. Raises
    :class:`MissingDependencyError` where message_filters is not installed.
    """

    def __init__(self, config: PairingConfig, on_drop: OnDrop | None = None) -> None:
        try:
            import message_filters
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"sync.policy {config.policy} needs message_filters, which is not installed; install it, or choose "
                f"{NEAREST}"
            ) from error
        self._library = message_filters
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

    def flush(self) -> list[Match[Any]]:
        """Forget what waits; the stock classes do not give it."""
        self.reset()
        return []

    def add(self, stream: str, stamp_ns: int, payload: Any, *, begins_anew: bool = False) -> list[Match[Any]]:
        """Take one message of ``stream``; return the matches it makes.

        Where the stream ``begins_anew``, what waits is forgotten: the stock classes would pair nothing more after a bag
        has looped.
        """
        if begins_anew:
            self.reset()
        offset = self._config.thermal_offset if stream == THERMAL else self._config.visible_offset
        shifted_ns = stamp_ns + round(offset * 1e9)
        if shifted_ns < 0:  # no message can have such a stamp
            return []
        header = Header(stamp=ns_to_stamp(shifted_ns))
        self._inputs[stream].signalMessage(SimpleNamespace(header=header, stamp_ns=shifted_ns, payload=payload))
        matches, self._matches = self._matches, []
        return matches

    def _matched(self, thermal: Any, visible: Any) -> None:
        self._matches.append(Match(thermal.payload, visible.payload, thermal.stamp_ns - visible.stamp_ns))
