"""Recording time laid onto a running clock: when a frame is due, what stamp it bears. No ROS here."""

from __future__ import annotations

from collections import deque

from ..sources.faults import Arrival

_KEPT_MOVES = 4096  # of slow machines; frames that a fault delays may look back over that many


class Timeline:
    """Maps a recording, played at ``rate`` times its speed, to clock times in ns.

    Where the player falls behind, :meth:`catch_up` moves what is still to come instead of letting stamps age: a
    receiver measures its latency by them. Frames taken at one moment move together, so that pairs stay pairs.
    """

    def __init__(self, start_ns: int, rate: float) -> None:
        self._rate = rate
        self._starts: deque[tuple[int, int]] = deque(
            [(-(2**63), start_ns)], maxlen=_KEPT_MOVES
        )  # (from taken_ns, start)
        self._newest_ns = -(2**63)  # the latest moment a frame was published of
        self.moved_ns = 0

    def due_ns(self, arrival: Arrival) -> int:
        """Return the clock time at which a frame is to be published."""
        return self._start(arrival.taken_ns) + round(arrival.due_ns / self._rate)

    def stamp_ns(self, arrival: Arrival) -> int:
        """Return the stamp that a frame bears on the clock."""
        return self._start(arrival.taken_ns) + round(arrival.frame.stamp_ns / self._rate)

    def published(self, arrival: Arrival) -> None:
        """Note that a frame was published: others of its moment now keep its start."""
        self._newest_ns = max(self._newest_ns, arrival.taken_ns)

    def catch_up(self, arrival: Arrival, now_ns: int) -> None:
        """Move frames of moments not begun yet so that they come as if ``arrival`` were due now.

        Also for a clock that was set back. Nothing moves on account of a frame that keeps an older start than the
        latest and is late for that reason only.
        """
        latest_ns = self._starts[-1][1]
        behind_ns = now_ns - latest_ns - round(arrival.due_ns / self._rate)
        if behind_ns <= 0 and self._start(arrival.taken_ns) != latest_ns:
            return
        self._starts.append((max(arrival.taken_ns, self._newest_ns + 1), latest_ns + behind_ns))
        self.moved_ns += behind_ns

    def _start(self, taken_ns: int) -> int:
        return next((start for since, start in reversed(self._starts) if taken_ns >= since), self._starts[0][1])
