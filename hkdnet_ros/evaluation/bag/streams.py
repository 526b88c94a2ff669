"""Keeps what arrived, what was dropped and what was said, as tables: the recording as the core met it."""

from __future__ import annotations

import logging
from pathlib import Path

from ...perception.incoming import Arrival, Incoming
from ...perception.mode import ModeChange
from ...perception.sink import Drop
from .tables import TableWriter

IMAGES = ("stream", "stamp_ns", "arrived_ns", "motion")
DROPS = ("arrived_ns", "reason", "thermal_stamp_ns", "visible_stamp_ns")
MODES = ("arrived_ns", "mode", "cause")
LOG = ("arrived_ns", "severity", "line")

_MOST_LINES = 10_000


class StreamTables:
    """Writes images.csv, drops.csv, modes.csv and log.csv; one thread calls it.

    It is a log, too (perception/log.py), for what the core says; time is the recording's.
    """

    def __init__(self, folder: Path) -> None:
        self.now_ns = 0
        self._tables = {
            name: TableWriter(folder / f"{name}.csv", columns)
            for name, columns in (("images", IMAGES), ("drops", DROPS), ("modes", MODES), ("log", LOG))
        }
        self.spans: dict[str, tuple[int, int]] = {}
        """The least and the largest stamp of each stream, but for those of 0."""
        self.trouble = ""
        """The first warning of the core's."""
        self._lines = 0

    def arrived(self, arrival: Arrival, motion: float | None) -> None:
        """Take note of what arrived, and of the time; ``motion`` is as :func:`~.ahead.decoded_ahead` tells it."""
        self.now_ns = arrival.arrived_ns
        if not isinstance(arrival, Incoming):
            return
        if arrival.stamp_ns > 0:
            low, high = self.spans.get(arrival.stream, (arrival.stamp_ns, arrival.stamp_ns))
            self.spans[arrival.stream] = min(low, arrival.stamp_ns), max(high, arrival.stamp_ns)
        row = {"stream": arrival.stream, "stamp_ns": arrival.stamp_ns, "arrived_ns": arrival.arrived_ns}
        self._tables["images"].write({**row, "motion": motion})

    def dropped(self, drop: Drop) -> None:
        """Take note of what was dropped."""
        stamps = {"thermal_stamp_ns": drop.thermal_stamp_ns, "visible_stamp_ns": drop.visible_stamp_ns}
        self._tables["drops"].write({"arrived_ns": self.now_ns, "reason": drop.reason, **stamps})

    def mode_changed(self, change: ModeChange, now_ns: int) -> None:
        """Take note of a new mode."""
        self._tables["modes"].write({"arrived_ns": now_ns, "mode": change.mode, "cause": change.cause})

    def info(self, message: str, /) -> None:
        """Keep a line of the core's."""
        self._say("info", message)

    def warning(self, message: str, /) -> None:
        """Keep a warning of the core's."""
        self._say("warning", message)

    def error(self, message: str, /) -> None:
        """Keep an error of the core's, and log it here and now: it tells of a defect."""
        self._say("error", message)
        logging.getLogger(__name__).error("%s", message)

    def _say(self, severity: str, line: str) -> None:
        self._lines += 1
        if severity != "info":
            self.trouble = self.trouble or line
        if self._lines <= _MOST_LINES:
            self._tables["log"].write({"arrived_ns": self.now_ns, "severity": severity, "line": line})

    def finish(self) -> None:
        """Complete the tables."""
        for table in self._tables.values():
            table.finish()

    def abandon(self) -> None:
        """Leave nothing of them."""
        for table in self._tables.values():
            table.abandon()
