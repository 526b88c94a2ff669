"""Several recordings, one after the other or in processes beside each other: each its folder, and a page over all."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any, cast

from ...errors import HkdnetError
from ...files import write_file
from .evaluate import REPORT, Task, run_task
from .overview import overview_page

TRIES = 3
"""How often a recording is taken up that took its process with it: each goes on where the one before was."""


def folders_for(specs: Sequence[str], out: Path) -> list[Path]:
    """Return a folder in ``out`` for each recording: its name, with a number behind it where that is taken."""
    folders: list[Path] = []
    for spec in specs:
        stem = Path(spec.split(",")[0]).stem or spec
        names = (stem, *(f"{stem}_{number}" for number in range(2, len(specs) + 2)))
        folders.append(next(folder for name in names if (folder := out / name) not in folders))
    return folders


def evaluate_many(
    tasks: Sequence[Task],
    out: Path,
    jobs: int = 1,
    said: Callable[[str], object] = print,
    run: Callable[[Task], Path] = run_task,
) -> Mapping[str, str]:
    """Evaluate recordings, ``jobs`` at a time, write the page over all to ``out``, and return what failed, by name.

    ``said`` hears of each report and each failure. One that fails does not keep the others from being evaluated.
    """
    failures: dict[str, str] = {}
    for task, error in _here(tasks, run) if jobs == 1 else _in_processes(tasks, jobs, run):
        if error:
            failures[task.spec] = error
        said(f"hkdnet: {error}" if error else str(task.out / REPORT))
    done = [task.out for task in tasks if task.spec not in failures]
    if done:
        write_file(out / REPORT, overview_page(done, failures).encode())
        said(str(out / REPORT))
    return failures


def _here(tasks: Sequence[Task], run: Callable[[Task], Path]) -> Iterator[tuple[Task, str]]:
    for task in tasks:
        try:
            run(task)
            yield task, ""
        except HkdnetError as error:
            yield task, str(error)


def _in_processes(tasks: Sequence[Task], jobs: int, run: Callable[[Task], Path]) -> Iterator[tuple[Task, str]]:
    """Yield each task and what went wrong with it, as they end; where this is left, the processes are ended."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    waiting = deque((_with_share(task, jobs), 1) for task in tasks)
    running: dict[connection.Connection[Any, Any], tuple[Any, Task, int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task, tries = waiting.popleft()
                answer, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(run, task, theirs), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process is the end of the pipe
                running[answer] = process, task, tries
            for ready in connection.wait(list(running)):
                answer = cast("connection.Connection[Any, Any]", ready)
                process, task, tries = running.pop(answer)
                error = _received(answer)
                process.join()
                if error is None and tries < TRIES:
                    waiting.append((task, tries + 1))
                else:
                    died = f"{task.spec}: its process ended {TRIES} times ({_exit(process.exitcode)}); see its log"
                    yield task, died if error is None else error
    finally:
        for process, _, _ in running.values():
            process.terminate()
            process.join()


def _child(run: Callable[[Task], Path], task: Task, answer: connection.Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent ends its children
    try:
        run(task)
        answer.send("")
    except HkdnetError as error:
        answer.send(str(error))


def _received(answer: connection.Connection) -> str | None:
    """Return what a process said at its end, None where it said nothing."""
    try:
        return str(answer.recv())
    except EOFError:
        return None
    finally:
        answer.close()


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}; is there memory enough for so many jobs?"
    return f"exit status {code}"


def _with_share(task: Task, jobs: int) -> Task:
    """Return the task with its share of the processor, where no number of threads was asked for."""
    if task.engine.threads:
        return task
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return dataclasses.replace(task, engine=dataclasses.replace(task.engine, threads=threads))
