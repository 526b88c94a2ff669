"""Works on many recordings at once, in processes of this machine; one that is killed costs no recording."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from .evaluate import Task
from .many import TICK_S, TRIES, Tick
from .work import work

Work = Callable[[Task], str]

# A new interpreter for each: a fork would take over the threads of torch and OpenCV without what they hold.
_CONTEXT = multiprocessing.get_context("spawn")

_PATIENCE_S = 10.0


def in_processes(tasks: Sequence[Task], most: int, work: Work = work) -> Generator[Tick, None, None]:
    """Do ``work`` on each of ``tasks``, ``most`` of them at a time; yield how it goes, at least every TICK_S.

    A task whose process was killed begins again in another one, where it goes on from what is on the disk; after TRIES
    times it is over. When the caller closes this, the processes end.
    """
    waiting = deque(range(len(tasks)))
    killed: Counter[int] = Counter()
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.task is not None for worker in workers):
            while waiting and (worker := _idle(workers, most, work)) is not None:
                worker.give(waiting.popleft(), tasks)
            ready = wait([worker.end for worker in workers], timeout=TICK_S)
            over: dict[int, str] = {}
            for worker in [worker for worker in workers if worker.end in ready]:
                if worker.task is None:  # killed while it waited
                    workers.remove(worker)
                    continue
                number, answer = worker.answer()
                if answer is not None:
                    over[number] = answer
                    continue
                workers.remove(worker)
                killed[number] += 1
                if killed[number] < TRIES:
                    waiting.append(number)
                else:
                    over[number] = (
                        f"{tasks[number].spec}: its process was killed {TRIES} times ({worker.ended}); where memory "
                        "is short choose fewer --jobs; the same command goes on from what was finished"
                    )
            yield Tick(over, [worker.task for worker in workers if worker.task is not None])
    finally:
        _end(workers)


class _Worker:
    """A process, and the task that it is at, None when it waits for one."""

    def __init__(self, work: Work) -> None:
        self.end, theirs = _CONTEXT.Pipe()
        self.process: BaseProcess = _CONTEXT.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()  # so that the process alone holds that end, and its death is heard here
        self.task: int | None = None

    def give(self, number: int, tasks: Sequence[Task]) -> None:
        self.task = number
        with contextlib.suppress(OSError):  # it died meanwhile; that is heard as its answer
            self.end.send(tasks[number])

    def answer(self) -> tuple[int, str | None]:
        """Return the task it was at and what came of it, None where the process is dead."""
        number, self.task = self.task, None
        assert number is not None
        try:
            return number, self.end.recv()
        except (EOFError, OSError):
            self.process.join()
            return number, None

    @property
    def ended(self) -> str:
        code = self.process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"


def _idle(workers: list[_Worker], most: int, work: Work) -> _Worker | None:
    for worker in workers:
        if worker.task is None:
            return worker
    if len(workers) == most:
        return None
    workers.append(_Worker(work))
    return workers[-1]


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.end.close()  # who waits for a task ends with this
        if worker.task is not None and worker.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGINT)
    for worker in workers:
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()  # what it had finished is on the disk
            worker.process.join()


def _serve(end: Connection, work: Work) -> None:
    """Do one task after the other, in a process of its own."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError):
        while True:
            end.send(work(end.recv()))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
