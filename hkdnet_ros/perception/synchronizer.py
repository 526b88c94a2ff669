"""Pairing for those who need no session: any stamps may come, from any thread."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic

from .pairing import Match, PairingConfig, Payload, StampPairer
from .stream_clock import StreamClock


class StreamSynchronizer(Generic[Payload]):
    """A stream clock in front of a pairer: pairs messages of both streams by nearest stamp, as a session does."""

    def __init__(self, config: PairingConfig | None = None) -> None:
        self._lock = threading.Lock()
        self._clock = StreamClock()
        self._pairer: StampPairer[Payload] = StampPairer(config)
        self._misstamped: Counter[str] = Counter()

    def add(self, stream: str, stamp_ns: int, payload: Payload) -> list[Match[Payload]]:
        """Take one message of ``stream`` ("thermal" or "visible"); return the matches it decides, oldest first."""
        with self._lock:
            verdict = self._clock.judge(stream, stamp_ns)
            if verdict.reason:
                self._misstamped[verdict.reason] += 1
                return []
            return self._pairer.add(stream, stamp_ns, payload, begins_anew=verdict.begins_anew)

    def flush(self) -> list[Match[Payload]]:
        """Return the matches among the waiting messages, as at the end of both streams; the rest is dropped."""
        return self._pairer.flush()

    @property
    def drops(self) -> Counter[str]:
        """Dropped messages of both streams by reason (stream_clock.py, pairing.py)."""
        with self._lock:
            return self._misstamped + self._pairer.drops
