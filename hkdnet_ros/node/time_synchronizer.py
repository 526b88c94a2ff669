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
from ..images.messages import NS_PER_S, stamp_to_ns
from ..perception.pairing import APPROXIMATE, NEAREST, OVERFLOW, RESET, UNPAIRED, Match, OnDrop, PairingConfig
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
        # By count alone, as the stock one's.
        config = PairingConfig(slop=float(slop), queue_size=queue_size, queue_time=60.0)
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

    The stock classes drop without a word what found no partner. So what waits is kept track of here: ``on_drop`` hears
    of each image that is in none of their queues any more and was not paired. The queues have the limits of ours. One
    thread at a time calls this. Raises :class:`MissingDependencyError` where message_filters is not installed.
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
        self._heard = on_drop
        self._config = config
        self._waiting: dict[str, list[Any]] = {THERMAL: [], VISIBLE: []}
        self._begin()

    def reconfigure(self, config: PairingConfig) -> None:
        """Go by another slop and other offsets; what waited is dropped."""
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Drop what waits."""
        self._drop_all(RESET)

    def flush(self) -> list[Match[Any]]:
        """Drop what waits; the stock classes have paired what they pair."""
        self._drop_all(UNPAIRED)
        return []

    def add(
        self, stream: str, stamp_ns: int, payload: Any, *, begins_anew: bool = False, nbytes: int = 0
    ) -> list[Match[Any]]:
        """Take one message of ``stream``; return the matches it makes.

        Where the stream ``begins_anew``, what waits is dropped: the stock classes would pair nothing more after a bag
        has looped.
        """
        if begins_anew:
            self.reset()
        offset = self._config.thermal_offset if stream == THERMAL else self._config.visible_offset
        shifted_ns = stamp_ns + round(offset * 1e9)
        if not 0 <= shifted_ns < 2**31 * NS_PER_S:  # no message can have such a stamp
            self._dropped(stream, stamp_ns, UNPAIRED)
            return []
        message = SimpleNamespace(
            header=Header(stamp=ns_to_stamp(shifted_ns)),
            stamp_ns=shifted_ns,
            given_ns=stamp_ns,
            payload=payload,
            nbytes=nbytes,
        )
        self._waiting[stream].append(message)
        self._inputs[stream].signalMessage(message)
        self._keep_limits(stream)
        return self._take_matches()

    def _begin(self) -> None:
        library, config = self._library, self._config
        self._matched: list[tuple[Any, Any]] = []
        self._inputs = {stream: library.SimpleFilter() for stream in (THERMAL, VISIBLE)}
        inputs = list(self._inputs.values())
        if config.policy == APPROXIMATE:
            synchronizer = library.ApproximateTimeSynchronizer(inputs, config.queue_size, config.slop)
        else:
            synchronizer = library.TimeSynchronizer(inputs, config.queue_size)
        synchronizer.registerCallback(lambda *messages: self._matched.append(messages))
        self._queues = dict(zip((THERMAL, VISIBLE), synchronizer.queues, strict=True))  # stamp to message

    def _keep_limits(self, stream: str) -> None:
        queue = self._queues[stream]
        while queue:
            span_ns = max(queue) - min(queue)
            if self._config.lets_wait(len(queue), span_ns, sum(message.nbytes for message in queue.values())):
                return
            del queue[min(queue)]

    def _take_matches(self) -> list[Match[Any]]:
        """Return what was matched, and drop what neither was nor waits any longer."""
        matched, self._matched = self._matched, []
        accounted = {id(message) for pair in matched for message in pair}
        for stream, queue in self._queues.items():
            kept = {id(message) for message in queue.values()}
            for message in self._waiting[stream]:
                if id(message) not in kept | accounted:
                    self._dropped(stream, message.given_ns, OVERFLOW)
            self._waiting[stream] = [message for message in self._waiting[stream] if id(message) in kept]
        return [Match(t.payload, v.payload, t.stamp_ns - v.stamp_ns) for t, v in matched]

    def _drop_all(self, reason: str) -> None:
        for stream, waiting in self._waiting.items():
            while waiting:
                self._dropped(stream, waiting.pop(0).given_ns, reason)
        self._begin()

    def _dropped(self, stream: str, stamp_ns: int, reason: str) -> None:
        if self._heard is not None:
            self._heard(stream, stamp_ns, reason)
