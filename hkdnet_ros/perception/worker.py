"""Who works on the pairs that a session makes: a thread on the latest, or the caller on every one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")

# The policies that a session offers.
LATEST = "latest"
EVERY = "every"


class Worker(Protocol[Item]):
    """Takes items and has each worked on, or gives it up."""

    def put(self, item: Item) -> Item | None:
        """Hand over ``item`` to be worked on next; return the item that was given up for that, if any."""

    def stop(self) -> Item | None:
        """End the work after the item in work; return the item that waited and was given up, if any."""


class LatestWorker(Generic[Item]):
    """Calls ``work(item)`` in a thread of its own, one item at a time; an item not begun gives way to a newer one.

    So a slow step lowers the rate and never adds delay. ``work`` must deal with its own exceptions: one that escapes
    ends the thread.
    """

    def __init__(self, work: Callable[[Item], None], name: str = "worker") -> None:
        self._work = work
        self._changed = threading.Condition()
        self._waiting: Item | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> Item | None:
        """See :class:`Worker`; the item that waited is given up or, after :meth:`stop`, this one."""
        with self._changed:
            if self._stopping:
                return item
            superseded, self._waiting = self._waiting, item
            self._changed.notify()
            return superseded

    def stop(self) -> Item | None:
        """See :class:`Worker`; waits for the item in work."""
        with self._changed:
            self._stopping = True
            given_up, self._waiting = self._waiting, None
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()
        return given_up

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._stopping)
                if self._stopping:
                    return
                item, self._waiting = self._waiting, None
            assert item is not None
            self._work(item)
            del item  # else the images of the last pair stay in memory until the next


class EveryWorker(Generic[Item]):
    """Calls ``work(item)`` for every item in the thread that hands it over, so that a run can be repeated exactly."""

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._stopped = False

    def put(self, item: Item) -> Item | None:
        """See :class:`Worker`; an item after :meth:`stop` is given up."""
        if self._stopped:
            return item
        self._work(item)
        return None

    def stop(self) -> None:
        """Work on nothing more; nothing waits."""
        self._stopped = True
