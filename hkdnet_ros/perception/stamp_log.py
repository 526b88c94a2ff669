"""What is said of stamps by which images are of no use, and what mends them."""

from __future__ import annotations

from .incoming import DEPTH, Incoming
from .log import Log, Throttle
from .stream_clock import DUPLICATE, ZERO_STAMP

_DUPLICATES = 0.6  # of a stream's images bear the stamp of the one before: more than a relay that sends each twice
_RECEIVED = 20  # images, before which that is not said


class StampLog:
    """Warns now and then of what a driver does wrong; a late image is nobody's fault."""

    def __init__(self, log: Log, throttle: Throttle) -> None:
        self._log = log
        self._throttle = throttle

    def say(self, incoming: Incoming, reason: str, count: int, received: int) -> None:
        """Take note of an image of no use for ``reason``, as are ``count`` of the ``received`` ones of its stream.

        Some duplicates are sent by a relay that sends all twice, which is no harm.
        """
        stream = incoming.stream
        if reason == ZERO_STAMP and self._throttle.passes(f"{stream} stamp"):
            expected = "that of the visible image which it belongs to" if stream == DEPTH else "its time of exposure"
            self._log.warning(
                f"{stream} image has a stamp of {incoming.stamp_ns} ns; expected {expected}: have the driver set it"
                f"{_or_arrival(stream)}"
            )
        many = received >= _RECEIVED and count > _DUPLICATES * received
        if reason == DUPLICATE and many and self._throttle.passes(f"{stream} duplicate"):
            self._log.warning(
                f"{count} of {received} {stream} images bear the stamp of the one before and are dropped; expected the "
                f"time of exposure of each: have the driver stamp to the nanosecond{_or_arrival(stream)}"
            )


def _or_arrival(stream: str) -> str:
    return "" if stream == DEPTH else f", or set sync.{stream}_stamps to arrival"  # depth has the visible camera's
