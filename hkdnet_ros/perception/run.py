"""A recording through a session, as a robot would have met it: all in the order it arrived, a timer between."""

from __future__ import annotations

from collections.abc import Iterable

from .incoming import Arrival, Calibration, Depth, Incoming, ShutterFlag, Transform
from .session import Session

TICK_NS = 100_000_000
"""Time between two calls of :meth:`Session.tick`, as in the node."""


def run(session: Session, arrivals: Iterable[Arrival]) -> None:
    """Feed ``arrivals`` to ``session``, which has no clock of its own and the policy EVERY.

    Time is that of the recording, so that the outcome is the same in every run and on every machine. In a long
    silence the timer runs on for :attr:`Session.patience_ns`. What waits at the end for a nearer partner
    is left to :meth:`Session.flush`.
    """
    now_ns: int | None = None
    for arrival in arrivals:
        if now_ns is not None:
            for tick_ns in range(now_ns + TICK_NS, min(arrival.arrived_ns, now_ns + session.patience_ns), TICK_NS):
                session.tick(tick_ns)
        if isinstance(arrival, Incoming):
            session.receive(arrival)
        elif isinstance(arrival, Calibration):
            session.receive_calibration(arrival.stream, arrival.model, arrival.stamp_ns)
        elif isinstance(arrival, ShutterFlag):
            session.receive_shutter(arrival.is_closed)
        elif isinstance(arrival, Transform):
            session.receive_transform(arrival.parent, arrival.child, arrival.child_to_parent)
        else:
            assert isinstance(arrival, Depth)
            session.receive_depth(arrival.image)
        now_ns = arrival.arrived_ns
