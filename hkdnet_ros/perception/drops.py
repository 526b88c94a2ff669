"""Counts what is dropped, tells the sink, and says it in the log now and then."""

from __future__ import annotations

from .log import Log, Throttle
from .sink import Drop, Sink
from .statistics import Statistics


class DropCounter:
    """One place for every drop of a session; any thread may call it."""

    def __init__(self, statistics: Statistics, sink: Sink, log: Log, throttle: Throttle) -> None:
        self._statistics = statistics
        self._sink = sink
        self._log = log
        self._throttle = throttle

    def count(self, drop: Drop) -> int:
        """Count a drop and tell the sink; return how many there are for its reason."""
        count = self._statistics.add_drop(drop.reason)
        self._sink.dropped(drop)
        return count

    def say(self, drop: Drop, fact: str) -> None:
        """Count a drop and log why, one line for each reason and period."""
        count = self.count(drop)
        if self._throttle.passes(drop.reason):
            self._log.warning(f"{drop.reason} dropped ({count} so far): {fact}")

    def say_defect(self, drop: Drop, trace: str) -> None:
        """Count a drop by a defect of this program, and log its traceback."""
        self.count(drop)
        if self._throttle.passes(drop.reason):
            self._log.error(f"a pair was dropped by an internal error:\n{trace}")
