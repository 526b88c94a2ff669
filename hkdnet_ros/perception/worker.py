"""A thread that always works on the latest item, so that a slow step lowers the rate and never adds delay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestWorker(Generic[Item]):
    """Calls ``work(item)`` in a thread of its own, one item at a time; an item not begun gives way to a newer one.

    ``work`` must deal with its own exceptions: one that escapes ends the thread.
    """

    def __init__(self, work: Callable[[Item], None], name: str = "worker") -> None:
        self._work = work
        self._changed = threading.Condition()
        self._waiting: list[Item] = []  # at most one
        self._stopping = False
        self._working = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether an item waits or is worked on."""
        with self._changed:
            return bool(self._waiting) or self._working

    def put(self, item: Item) -> bool:
        """Hand over ``item`` to be worked on next; return whether it was given up an older one, or itself, for that.

        That is: True means that one item will never be worked on, the one that waited or, after :meth:`stop`, this.
        """
        with self._changed:
            if self._stopping:
                return True
            superseded = bool(self._waiting)
            self._waiting = [item]
            self._changed.notify()
            return superseded

    def stop(self) -> int:
        """End the thread after the item it is at; return how many waiting items were given up (0 or 1)."""
        with self._changed:
            self._stopping = True
            given_up = len(self._waiting)
            self._waiting = []
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()
        return given_up

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                item = self._waiting.pop()
                self._working = True
            self._work(item)
            del item  # else the images of the last pair stay in memory until the next
            with self._changed:
                self._working = False
