"""An event for signal handlers."""

from __future__ import annotations

import contextlib
import os
import select


class StopSwitch:
    """An event that a signal handler may set at any moment, and that can be waited for.

    A pipe, as threading.Event takes a lock that the thread interrupted by the signal may hold.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def set(self) -> None:
        """Ask for the end; once and for all."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b".")

    def wait(self, seconds: float) -> bool:
        """Return whether the end was asked for, after ``seconds`` at the latest."""
        return bool(select.select([self._read], [], [], max(seconds, 0.0))[0])

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._read)
        os.close(self._write)
