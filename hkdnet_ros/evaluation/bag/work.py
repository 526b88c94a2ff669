"""One recording of many, worked on in a process or on a machine of its own: quietly, with an answer of one line."""

from __future__ import annotations

import functools
import socket
import traceback
from pathlib import Path

import cv2

from ... import __version__
from ...errors import HkdnetError
from .evaluate import Task, run_task
from .progress import Noted
from .summary import write_summary


def work(task: Task) -> str:
    """Evaluate one recording of several, quietly; return what went wrong in one line, "" where nothing did."""
    if task.version != __version__:
        return f"{socket.gethostname()} has hkdnet_ros {__version__}, not {task.version}; install the same everywhere"
    import torch  # here: the help of a command need not wait for it

    if threads := task.engine.threads:  # what runs beside the network keeps to its share of the cores, too
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    try:
        run_task(task, functools.partial(Noted, task.out))
        write_summary(task.out)
    except HkdnetError as error:
        return str(error)
    except Exception as error:  # of this recording alone: the others go on
        traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(f"{type(error).__name__}: {error}, {Path(last.filename).name}:{last.lineno}".split())
        return f"{task.spec}: a defect of hkdnet_ros, please report it ({said})"
    return ""
