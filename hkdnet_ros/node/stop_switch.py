"""How a process hears that it should end: an event that signals set, of which none is lost and none comes too late."""

from __future__ import annotations

import contextlib
import os
import select
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSwitch:
    """An event that a signal handler may set at any moment, and that can be waited for.

    A pipe, as threading.Event takes a lock that the thread interrupted by the signal may hold.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def obey_signals(self) -> None:
        """Be set by SIGINT and SIGTERM from now on, instead of what they did so far; call it from the main thread.

        rclpy's own handler raises KeyboardInterrupt wherever the main thread happens to be, in the middle of ending
        after the first Ctrl-C for one; so let it install none.
        """
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self.set())
        # A signal between the last look for signals and the wait would not end the wait: the handler has yet to run.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def set(self) -> None:
        """Ask for the end; once and for all."""
        with contextlib.suppress(BlockingIOError):  # full: asked for often enough
            os.write(self._write, b".")

    def wait(self, seconds: float | None = None) -> bool:
        """Return whether the end was asked for, after ``seconds`` at the latest; None waits until it is."""
        return bool(select.select([self._read], [], [], None if seconds is None else max(seconds, 0.0))[0])

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._read)
        os.close(self._write)


def ignore_signals() -> None:
    """Let SIGINT and SIGTERM do nothing, in a process that has ended in order and is about to leave.

    A late one, as the second that `ros2 launch` sends, would kill the interpreter, which forgets Python's handlers
    before its end.
    """
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
