"""Child processes of a command: their output in files, and none of them left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from ..signals import handling

GRACE_S = 12.0  # run_node gives itself 8 s to end


class Child:
    """One Python process, started as ``python ARGUMENTS``; output and errors go to ``log``.

    ``environment`` comes besides that of this process.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._was_interrupted = False
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0", **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def status(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), None while it runs."""
        return self._process.poll()

    def last_lines(self, count: int) -> list[str]:
        """Return the end of what it has said, without empty lines."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-count:]

    def resident_bytes(self) -> int:
        """Return the resident memory without /dev/shm, where the middleware fills what it reserved; 0 after its end."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return 0
        kilobytes = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssFile:"))]
        return 1024 * sum(kilobytes)

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C does; once, for a second time could meet a Python that is ending and kill it."""
        if self.status() is None and not self._was_interrupted:
            self._was_interrupted = True
            self._process.send_signal(signal.SIGINT)
            self._process.send_signal(signal.SIGCONT)  # it may be stopped

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait()

    def end(self, deadline: float) -> int:
        """Interrupt it, kill it where it runs beyond ``deadline`` (of time.monotonic), and return its status."""
        self.interrupt()
        try:
            return self._process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Children:
    """A context that ends all children it started, the last first, however it is left."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(
        self, name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start ``python ARGUMENTS``; as :class:`Child`."""
        with _deferred():  # an interrupt in between would leave a child that nobody ends
            child = Child(name, arguments, log, environment)
            self._children.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _uninterrupted():
            deadline = time.monotonic() + GRACE_S
            for child in reversed(self._children):
                child.interrupt()
            for child in reversed(self._children):
                child.end(deadline)


def keep_to_this_machine() -> None:
    """Neither disturb nor hear robots on the network, unless the environment has ROS settings of its own."""
    from ..node.distributions import keep_local  # here, so that whoever only needs names does so without ROS

    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    keep_local()


@contextlib.contextmanager
def termination_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that contexts are left in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    with handling([number for number in numbers if signal.getsignal(number) != signal.SIG_IGN], interrupt):  # nohup
        yield


@contextlib.contextmanager
def _deferred() -> Iterator[None]:
    """Interrupt afterwards. By handlers, which a child does not inherit, as it would a mask or what is ignored."""
    pending: list[int] = []
    with handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda number, frame: pending.append(number)):
        yield
    if pending:
        raise KeyboardInterrupt


def _uninterrupted() -> contextlib.AbstractContextManager[None]:
    """Ignore what would interrupt: impatient second signals must not leave a child running."""
    return handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)
